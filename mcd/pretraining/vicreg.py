"""VICReg: two views agree, while every coordinate of the embedding varies and no two are correlated. No negatives, no target.

A. Bardes, J. Ponce, Y. LeCun: VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning, ICLR 2022.

    L = lambda * s(Z, Z') + mu * (v(Z) + v(Z')) + nu * (c(Z) + c(Z'))   (Eq. 6)
    s: mean squared distance    v: mean over coordinates of max(0, 1 - sd)    c: squared off-diagonal covariances over D

Not in the paper's tables: the example of `docs/how_to/adding_a_baseline.md`. Adapted to a U-Net encoder on one-channel slices:
the expander keeps the authors' proportions, two hidden layers and an output four times as wide as the feature; views are those
of `mcd.pretraining.views`; Adam replaces LARS.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.losses import at_least_single
from mcd.models.heads import projection_head
from mcd.pretraining.encoder_only import EncoderPretraining
from mcd.pretraining.health import embedding_sd, retrieval_accuracy
from mcd.pretraining.options import VICRegOptions
from mcd.pretraining.views import random_view
from mcd.slices.batches import Batch
from mcd.training.method import Losses


class VICReg(EncoderPretraining):
    """One encoder, one expander, two views."""

    options: VICRegOptions

    def __init__(self, options: VICRegOptions, filters: int, modalities: Sequence[str], size: tuple[int, int]) -> None:
        super().__init__(options, filters, modalities, size)
        wide = 4 * self.encoder.channels
        self.expander = projection_head(self.encoder.channels, wide, wide, wide)

    def losses(self, batch: Batch, player: str) -> Losses:
        views = random_view(batch.images.repeat(2, 1, 1, 1), batch.ranges.repeat(2, 1), self.options)
        a, b = at_least_single(self.expander(self.encoder(views))).chunk(2)
        with torch.autocast(a.device.type, enabled=False):
            invariance = F.mse_loss(a, b)
            variance = variance_loss(a) + variance_loss(b)
            covariance = covariance_loss(a) + covariance_loss(b)
        weights = self.options
        return {
            "total": weights.invariance * invariance + weights.variance * variance + weights.covariance * covariance,
            "invariance": invariance,
            "variance": variance,
            "covariance": covariance,
            "accuracy": retrieval_accuracy(a, b),
            "embedding_sd": embedding_sd(a),
        }


def variance_loss(embeddings: Tensor) -> Tensor:
    """How far the standard deviations of the coordinates of (N, D) fall short of 1, on average (Eq. 1)."""
    return F.relu(1 - torch.sqrt(embeddings.var(0) + 1e-4)).mean()


def covariance_loss(embeddings: Tensor) -> Tensor:
    """Sum of the squared covariances between different coordinates of (N, D), over D (Eq. 3 and 4)."""
    covariance = torch.cov(embeddings.T)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / len(covariance)
