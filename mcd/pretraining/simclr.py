"""SimCLR: two views of a slice attract, views of all other slices repel.

T. Chen, S. Kornblith, M. Norouzi, G. Hinton: A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020.

    z = head(pooled bottleneck);  l(i, j) = -log  exp(cos(z_i, z_j) / t)  /  sum over k != i of exp(cos(z_i, z_k) / t)

averaged over both directions of all N pairs among 2N views (Eq. 1).

Adapted to a U-Net encoder on one-channel slices: the pooled bottleneck (16f) replaces ResNet-50's 2048 features, and
the head keeps its shape (as wide as the feature, then 128); views are those of `mcd.pretraining.views`; Adam replaces LARS,
which is for batches of thousands; neighbouring slices of a subject do not share a batch, where they would be each
other's negatives.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from mcd.losses.ntxent import nt_xent
from mcd.models.heads import projection_head
from mcd.pretraining.encoder_only import EncoderPretraining
from mcd.pretraining.health import embedding_sd, retrieval_accuracy
from mcd.pretraining.options import SimCLROptions
from mcd.pretraining.views import random_view
from mcd.slices.batches import Batch, SliceSet, spread_batches
from mcd.training.guards import Levels
from mcd.training.method import Losses


class SimCLR(EncoderPretraining):
    """One encoder, one head, two views. Logs how often a view finds its partner, and the spread of the embeddings."""

    options: SimCLROptions

    def __init__(self, options: SimCLROptions, filters: int, modalities: Sequence[str], size: tuple[int, int]) -> None:
        super().__init__(options, filters, modalities, size)
        width = self.encoder.channels
        self.head = projection_head(width, width, options.projection)

    def losses(self, batch: Batch, player: str) -> Losses:
        views = random_view(batch.images.repeat(2, 1, 1, 1), batch.ranges.repeat(2, 1), self.options)
        a, b = self.head(self.encoder(views)).chunk(2)
        return {
            "total": nt_xent(a, b, self.options.temperature),
            "accuracy": retrieval_accuracy(a, b),
            "embedding_sd": embedding_sd(a),
        }

    def levels(self, batch_size: int) -> Levels:
        return Levels(falling=("total",), chance={"total": math.log(2 * batch_size - 1)})

    def batches(self, slices: SliceSet, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        return spread_batches(slices.subject_of, slices.height_of, batch_size, rng)
