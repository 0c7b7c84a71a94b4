"""Exemplar: bring two views of a slice together, and views of other patients' slices apart.

Dosovitskiy, Springenberg, Riedmiller and Brox, "Discriminative unsupervised feature learning with convolutional neural
networks", NeurIPS 2014, made every image a class of its own. A class per slice of a cohort is not feasible;
this is the triplet form of Kolesnikov, Zhai and Beyer, "Revisiting self-supervised visual representation learning", CVPR 2019:

    min  mean  max(0, |f(a) - f(p)|^2 - |f(a) - f(n)|^2 + margin)      |f| = 1

with anchor a and positive p two random views of one slice, and as negative, as they choose it, the nearest of the batch that is
farther away than the positive (semi-hard). It is another *patient's* slice, unless the batch has one patient alone, since a
patient's slices look alike. The derangement of the batch of Taleb et al., "3D self-supervised methods for medical imaging",
NeurIPS 2020, is an option.

Adapted: f is the U-Net's encoder with global average pooling and a linear layer. Embeddings are normalised over features;
the code of Kolesnikov et al. normalises over the batch, probably by mistake. Two views per slice instead of their eight.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mcd.losses.triplet import semi_hard, squared_distances, triplet_loss
from mcd.pretraining.encoder_only import EncoderPretraining
from mcd.pretraining.health import retrieval_accuracy
from mcd.pretraining.options import ExemplarOptions
from mcd.pretraining.views import random_view
from mcd.slices.batches import Batch
from mcd.training.method import Losses


class Exemplar(EncoderPretraining):
    """The encoder and a linear embedding.

    Logs `accuracy`, how often a view finds its partner in the batch (a semi-hard negative is farther than the positive by
    choice, so that triplets would say nothing), and `active`, the share of triplets with a loss above 0; once it is 0, nothing
    more is learnt.
    """

    options: ExemplarOptions

    def __init__(
        self, options: ExemplarOptions, filters: int, modalities: Sequence[str], size: tuple[int, int]
    ) -> None:
        super().__init__(options, filters, modalities, size)
        self.embed = nn.Linear(self.encoder.channels, options.embedding)

    def losses(self, batch: Batch, player: str) -> Losses:
        views = random_view(batch.images.repeat(2, 1, 1, 1), batch.ranges.repeat(2, 1), self.options)
        anchors, positives = self.embed(self.encoder(views)).chunk(2)
        with torch.autocast(anchors.device.type, enabled=False):
            to_positive = squared_distances(anchors, positives)
            if self.options.negatives == "derangement":
                negatives = positives[other_subjects(batch.subjects)]
            else:
                distances = squared_distances(anchors.detach()[:, None], positives.detach())
                negatives = positives[semi_hard(to_positive.detach(), distances, allowed_negatives(batch.subjects))]
            to_negative = squared_distances(anchors, negatives)
            return {
                "total": triplet_loss(to_positive, to_negative, self.options.margin),
                "accuracy": retrieval_accuracy(anchors, positives),
                "active": (to_positive + self.options.margin > to_negative).float().mean(),
            }


def other_subjects(subjects: Tensor) -> Tensor:
    """A random permutation (N,) of positions without fixed points, which maps each to another subject's.

    Slices are ordered by subject and the order is shifted by the size of the largest group, so that none is paired
    with its own subject. If one subject has more than half of the slices, no permutation can do that; then it only has no
    fixed points.

    Raises:
        ValueError: for fewer than two slices.
    """
    count = len(subjects)
    if count < 2:
        raise ValueError("a triplet needs at least 2 slices in a batch")
    _, group, sizes = subjects.unique(return_inverse=True, return_counts=True)
    shuffled = torch.randperm(count, device=subjects.device)
    key = torch.randperm(len(sizes), device=subjects.device)[group[shuffled]]
    line = shuffled[key.argsort(stable=True)]
    shift = sizes.max().clamp(max=count // 2)
    partner = line[(torch.arange(count, device=subjects.device) + shift) % count]
    return torch.empty_like(line).scatter_(0, line, partner)


def allowed_negatives(subjects: Tensor) -> Tensor:
    """(N, N) bool: which slices may be a slice's negatives: other subjects'; all others if the batch has only one subject."""
    others = subjects[:, None] != subjects
    return others | (~others.any() & ~torch.eye(len(subjects), dtype=torch.bool, device=subjects.device))
