"""What the semi-supervised baselines have in common: mixed batches, and for the paper's three a weight that ramps up.

All learn from random weights (paper Sec. V), on batches that are half labelled and half unlabelled (as
in their published codes). Optimiser, schedule and augmentation are those of every method of the table, instead of the codes'
SGD, and so is the length, counted in labelled slices with a target (`mcd.segmentation.length`).

Both halves are drawn from all slices with content. The paper fine-tunes only on slices with a target, and it is unknown
which unlabelled slices have one; with targets in every labelled slice but in few of the unlabelled ones, the halves would not
be two draws from the same distribution, as the methods assume. A discriminator would learn to find targets, not
labels, and the statistics of batch norm would fit neither half: on simulated PET with two labelled subjects the mean
teacher's DSC was 0.02 that way, and 0.61 with all slices (Fully Supervised 0.44; one seed).

The codes count their ramps in iterations, and end them with the training; here a ramp is a share of the training, so
that it does so whatever the length.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mcd.models.unet import UNet
from mcd.segmentation.options import SemiSupervisedOptions
from mcd.segmentation.supervised import Segmentation
from mcd.slices.augment import augment
from mcd.slices.batches import Batch, MixedSlices, SliceSet, mixed_batches
from mcd.slices.options import Augmentation


def sigmoid_ramp(progress: Tensor, length: float = 1.0) -> Tensor:
    """exp(-5 (1 - t)^2) with t = progress / length, at most 1: from e^-5 to 1 (Laine and Aila, ICLR 2017)."""
    return torch.exp(-5 * (1 - (progress / length).clamp(max=1)).square())


class MixedSegmentation(Segmentation):
    """A `Segmentation` that learns from `MixedSlices`."""

    def batches(self, slices: SliceSet, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        assert isinstance(slices, MixedSlices)
        return mixed_batches(len(slices.labelled), len(slices.unlabelled), batch_size, rng)

    def augmented(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """All images, the labelled ones' targets, and which of the images are labelled: (N, 1, H, W), (n, R, H, W), (N,)."""
        assert batch.targets is not None
        assert batch.labelled is not None
        images, targets = augment(batch.images, batch.targets, self.augmentation)
        return images, targets[batch.labelled], batch.labelled


class SemiSupervised(MixedSegmentation):
    """A `MixedSegmentation` with a weight that ramps up.

    Attributes:
        progress: share of the training that is done: a buffer, so that a resumed training has it.
    """

    options: SemiSupervisedOptions
    progress: Tensor

    def __init__(self, unet: UNet, augmentation: Augmentation, options: SemiSupervisedOptions) -> None:
        super().__init__(unet, augmentation, options)
        self.register_buffer("progress", torch.zeros(()))

    def ramp(self) -> Tensor:
        """The ramp at this step, a scalar in [e^-5, 1]."""
        return sigmoid_ramp(self.progress, self.options.ramp)

    def after_step(self, step: int, steps: int) -> None:
        self.progress.fill_(step / steps)
