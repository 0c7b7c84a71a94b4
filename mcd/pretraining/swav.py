"""SwAV: from one view's embedding, predict to which prototypes another view of the slice is assigned.

M. Caron et al.: Unsupervised Learning of Visual Features by Contrasting Cluster Assignments, NeurIPS 2020.

    z = head(encoder(view)) / |.|       scores = z C^T, prototypes C of length 1
    codes q of the two large views: Sinkhorn over exp(scores / epsilon), so that a batch uses all prototypes equally (Eq. 3-5)
    L = mean over large views i and all views j != i of  - q_i . log softmax(scores_j / t)   (Eq. 2 and 6)

Settings are those of the authors' script for small batches (`swav_200ep_bs256_pretrain.sh`), except for what has to shrink with
the data: prototypes (theirs: 3000 for a million images), queue (15 batches, as theirs), small views (4 instead of 6). Adapted
to a U-Net encoder on one-channel slices: large views have the slice's size, small ones 96/224 of it, rounded to a multiple of
16; the head is as wide as the pooled feature; a view is a crop within the body that contains tissue, since small ones would
often be empty; Adam replaces LARS; neighbouring slices of a subject, which belong to one cluster, do not share a batch, whose
codes have to differ.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.losses import at_least_single
from mcd.losses.sinkhorn import log_sinkhorn
from mcd.losses.swapped_prediction import swapped_prediction
from mcd.models.heads import Prototypes, projection_head
from mcd.pretraining.encoder_only import EncoderPretraining
from mcd.pretraining.health import embedding_sd, retrieval_accuracy
from mcd.pretraining.options import SwAVOptions
from mcd.pretraining.views import random_view, view_size
from mcd.slices.batches import Batch, SliceSet, spread_batches
from mcd.training.guards import Levels
from mcd.training.method import Losses


class SwAV(EncoderPretraining):
    """One encoder, one head, prototypes and a queue of embeddings of both large views.

    Logs how often a large view finds its partner, the spread of the embeddings, and `prototypes_used`: the share of the
    prototypes over which the batch's predictions spread (the exponential of their entropy, divided by the count).
    """

    options: SwAVOptions
    queue: Tensor

    def __init__(self, options: SwAVOptions, filters: int, modalities: Sequence[str], size: tuple[int, int]) -> None:
        super().__init__(options, filters, modalities, size)
        width = self.encoder.channels
        self.head = projection_head(width, width, options.projection)
        self.prototypes = Prototypes(options.projection, options.prototypes)
        self.small_size = view_size(size, options.small_size)
        self.register_buffer("queue", torch.zeros(2, options.queue, options.projection))
        self.frozen, self.uses_queue = True, False  # `before_epoch` says when this ends
        self.queued = 0  # rows of the queue that are written

    def before_epoch(self, epoch: int, epochs: int) -> None:
        self.frozen = epoch < self.options.frozen_epochs
        self.uses_queue = self.options.queue > 0 and epoch >= self.options.queue_start * epochs
        # Counted here, and by the steps from then on: a step that asked the device would wait for it.
        self.queued = int(self.queue[0].any(1).sum())

    def losses(self, batch: Batch, player: str) -> Losses:
        self.prototypes.renormalise()
        embeddings = self._embeddings(batch)
        # a frozen prototype gets no gradient, so that Adam changes neither it nor its running moments
        scores = self.prototypes(embeddings, frozen=self.frozen)
        predictions = torch.softmax(scores.detach() / self.options.temperature, dim=-1).mean((0, 1))
        return {
            "total": swapped_prediction(scores, self._codes(embeddings[:2].detach()), self.options.temperature),
            "accuracy": retrieval_accuracy(embeddings[0], embeddings[1]),
            "embedding_sd": embedding_sd(embeddings[0]),
            "prototypes_used": torch.exp(-torch.xlogy(predictions, predictions).sum()) / len(predictions),
        }

    def levels(self, batch_size: int) -> Levels:
        # not a falling total: its codes are others when the queue begins
        return Levels(chance={"total": math.log(self.options.prototypes)})

    def _embeddings(self, batch: Batch) -> Tensor:
        """(views, N, projection) of length 1, the two large views first."""
        few, small = self.options.small_views, self.options.model_copy(update={"crop": self.options.small_crop})

        def encoded(views: int, options: SwAVOptions, size: tuple[int, int] | None = None) -> Tensor:
            copies = batch.images.repeat(views, 1, 1, 1), batch.ranges.repeat(views, 1)
            return self.encoder(random_view(*copies, options, size))

        features = [encoded(2, self.options), *([encoded(few, small, self.small_size)] if few else [])]
        embeddings = at_least_single(self.head(torch.cat(features)))
        return F.normalize(embeddings, dim=1).unflatten(0, (2 + few, len(batch.images)))

    @torch.no_grad()
    def _codes(self, embeddings: Tensor) -> Tensor:
        """Codes (2, N, prototypes) of the large views' embeddings (2, N, D), which then enter the queue."""
        everyone = embeddings
        if self.uses_queue and self.queued >= self.options.queue:
            everyone = torch.cat([embeddings, self.queue], dim=1)
        scores = self.prototypes(everyone)
        codes = log_sinkhorn(
            scores / self.options.epsilon, self.options.sinkhorn_iterations, everyone.shape[1] / scores.shape[2]
        ).exp()
        if self.options.queue:
            self.queue.copy_(torch.cat([embeddings, self.queue], dim=1)[:, : self.options.queue])
            self.queued += embeddings.shape[1]
        return codes[:, : embeddings.shape[1]]

    def batches(self, slices: SliceSet, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        return spread_batches(slices.subject_of, slices.height_of, batch_size, rng)
