"""BYOL: one view's embedding predicts the other view's embedding by a moving average of the network. No negatives.

J.-B. Grill et al.: Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning, NeurIPS 2020.

    online:  z = head(encoder(v)),  q = predictor(z)          target:  z' = head'(encoder'(v')),  no gradient
    L = mean of 2 - 2 cos(q, z'), with the views swapped and added (Eq. 2)
    target <- tau * target + (1 - tau) * online after every step,   tau = 1 - (1 - tau_0) (cos(pi k / K) + 1) / 2

Adapted to a U-Net encoder on one-channel slices: head and predictor keep the authors' proportions (hidden layer twice as wide
as the feature, output 256) and their BatchNorm, without which small batches may collapse; of the authors' asymmetric views
the blur is kept (always in one, rarely in the other), solarisation has no meaning for z-scores; Adam replaces LARS.
The target runs in train mode, with BatchNorm statistics of its own batches (see `mcd.training.ema`).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mcd.losses import at_least_single
from mcd.models.heads import projection_head
from mcd.pretraining.encoder_only import EncoderPretraining
from mcd.pretraining.health import embedding_sd, retrieval_accuracy
from mcd.pretraining.options import BYOLOptions
from mcd.pretraining.views import random_view
from mcd.slices.batches import Batch
from mcd.training.ema import follower, update_ema
from mcd.training.method import Losses


class BYOL(EncoderPretraining):
    """An online network and its target, a moving average. Logs how often one view's embedding finds the other's."""

    options: BYOLOptions

    def __init__(self, options: BYOLOptions, filters: int, modalities: Sequence[str], size: tuple[int, int]) -> None:
        super().__init__(options, filters, modalities, size)
        hidden = 2 * self.encoder.channels
        self.head = projection_head(self.encoder.channels, hidden, options.projection)
        self.predictor = projection_head(options.projection, hidden, options.projection)
        self.target_encoder = follower(self.encoder)
        self.target_head = follower(self.head)

    def players(self) -> dict[str, Sequence[nn.Parameter]]:
        online = (self.encoder, self.head, self.predictor)
        return {"network": [parameter for module in online for parameter in module.parameters()]}

    def losses(self, batch: Batch, player: str) -> Losses:
        other = self.options.model_copy(update={"blurred": self.options.blurred_other})
        views = (
            random_view(batch.images, batch.ranges, self.options),
            random_view(batch.images, batch.ranges, other),
        )
        embeddings = [self.head(self.encoder(view)) for view in views]
        predictions = [self.predictor(embedding) for embedding in embeddings]
        with torch.no_grad():
            targets = [self.target_head(self.target_encoder(view)) for view in views]
        return {
            "total": prediction_distance(predictions[0], targets[1]) + prediction_distance(predictions[1], targets[0]),
            "accuracy": retrieval_accuracy(*embeddings),
            "embedding_sd": embedding_sd(embeddings[0]),
        }

    def after_step(self, step: int, steps: int) -> None:
        decay = momentum(self.options.momentum, step / steps)
        update_ema(self.target_encoder, self.encoder, decay)
        update_ema(self.target_head, self.head, decay)


def prediction_distance(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over N pairs (N, D) of the squared distance of their directions, 2 - 2 cos: 0 for equal, 4 for opposite ones."""
    return 2 - 2 * F.cosine_similarity(at_least_single(prediction), at_least_single(target), dim=1).mean()


def momentum(start: float, done: float) -> float:
    """The target's decay after the share `done` of all steps: from `start` to 1 along half a cosine."""
    return 1 - (1 - start) * (math.cos(math.pi * done) + 1) / 2
