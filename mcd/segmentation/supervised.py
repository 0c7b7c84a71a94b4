"""Supervised fine-tuning of one modality's U-Net (Sec. IV-D), from pre-trained or from random weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from mcd.losses.segmentation import dice_and_cross_entropy
from mcd.models.unet import UNet
from mcd.slices.augment import Augmentation, augment
from mcd.slices.batches import Batch
from mcd.training.method import Losses, Method


@dataclass(frozen=True, kw_only=True)
class Options:
    """What an algorithm lets the configuration set: nothing, unless a subclass adds it. Defaults are the published values."""


class Segmentation(Method):
    """A method that learns to segment: holds a U-Net whose sigmoid outputs are the regions.

    `unet` is what predicts and what is saved; whatever else a method needs to learn lives beside it.

    Class attributes:
        options_class: the algorithm's options.
        uses_unlabelled: whether its batches mix labelled with unlabelled slices (`MixedSlices`).

    Args:
        unet: with one output a region, pre-trained or not.
        augmentation: the same for every method of a table.
        options: the algorithm's own; its defaults where None.
    """

    options_class: ClassVar[type[Options]] = Options
    uses_unlabelled: ClassVar[bool]

    def __init__(self, unet: UNet, augmentation: Augmentation, options: Options | None = None) -> None:
        super().__init__()
        self.unet = unet
        self.augmentation = augmentation
        self.options = options or self.options_class()


class Supervised(Segmentation):
    """Dice and cross-entropy on the labelled slices: Fully Supervised, and the second stage of every pre-training."""

    uses_unlabelled = False

    def players(self) -> dict[str, Sequence[nn.Parameter]]:
        return {"network": list(self.unet.parameters())}

    def losses(self, batch: Batch, player: str) -> Losses:
        assert batch.targets is not None
        images, targets = augment(batch.images, batch.targets, self.augmentation)
        return {"total": dice_and_cross_entropy(self.unet(images), targets)}
