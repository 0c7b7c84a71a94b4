"""ContIG, with a second image instead of genetics: the embeddings of a slice's two modalities attract across encoders.

A. Taleb, M. Kirchler, R. Monti, C. Lippert: ContIG: Self-supervised Multimodal Contrastive Learning for Medical Imaging with
Genetics, CVPR 2022.

    L = alpha * l(a -> b) + (1 - alpha) * l(b -> a),    l(a -> b) = mean of -log softmax over j of cos(a_i, b_j) / t, at j = i

with negatives from the other modality alone, as the authors'.

Adapted: the genetics' perceptron becomes a second U-Net encoder with weights of its own, and the positive is the same slice in
the other modality. Each modality is then fine-tuned from its own encoder. The two modalities are cropped and augmented
*independently*: registered slices with the same crop share their silhouette, and the networks would match that. Neighbouring
slices of a subject do not share a batch. alpha is 0.5, not the authors' 0.75, which favours the image, which is fine-tuned,
over the genes, which are not; here both are images and both are fine-tuned, and the order of a pair should not matter.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor, nn

from mcd.losses.contrastive import cross_modal
from mcd.models.encoder import Encoder
from mcd.models.heads import projection_head
from mcd.models.unet import bottleneck_channels
from mcd.pretraining.base import ENCODER_ONLY, Pretraining
from mcd.pretraining.health import embedding_sd, retrieval_accuracy
from mcd.pretraining.options import ContIGOptions
from mcd.pretraining.views import random_view
from mcd.slices.batches import Batch, SliceSet, spread_batches
from mcd.training.guards import Levels
from mcd.training.method import Losses


class ContIG(Pretraining):
    """One encoder and one head per modality. Logs how often a slice finds its other modality, and the embeddings' spread."""

    options: ContIGOptions
    up_layers = ENCODER_ONLY

    def __init__(self, options: ContIGOptions, filters: int, modalities: Sequence[str], size: tuple[int, int]) -> None:
        super().__init__(options, filters, modalities, size)
        self.encoders = nn.ModuleList(Encoder(filters) for _ in modalities)
        width = bottleneck_channels(filters)
        # no BatchNorm in the heads, as the authors'
        self.heads = nn.ModuleList(
            projection_head(width, width, options.projection, batch_norm=False) for _ in modalities
        )

    def players(self) -> dict[str, Sequence[nn.Parameter]]:
        return {"network": list(self.parameters())}

    def losses(self, batch: Batch, player: str) -> Losses:
        a, b = (
            head(encoder(random_view(images, ranges, self.options)))
            for encoder, head, images, ranges in zip(
                self.encoders, self.heads, batch.images.split(1, dim=1), batch.ranges.split(1, dim=1), strict=True
            )
        )
        x_to_y, y_to_x = cross_modal(a, b, self.options.temperature)
        return {
            "total": self.options.alpha * x_to_y + (1 - self.options.alpha) * y_to_x,
            "accuracy": retrieval_accuracy(a, b),
            "embedding_sd": embedding_sd(a),
        }

    def levels(self, batch_size: int) -> Levels:
        return Levels(falling=("total",), chance={"total": math.log(batch_size)})

    def batches(self, slices: SliceSet, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        return spread_batches(slices.subject_of, slices.height_of, batch_size, rng)

    def unet_state(self, modality: str) -> dict[str, Tensor]:
        return self.encoders[self.modalities.index(modality)].state_dict()
