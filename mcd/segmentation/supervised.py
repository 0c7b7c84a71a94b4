"""Supervised fine-tuning of one modality's U-Net (Sec. IV-D), from pre-trained or from random weights."""

import math
from collections.abc import Collection, Sequence

from torch import Tensor, nn

from mcd.losses.segmentation import dice_and_cross_entropy
from mcd.models.unet import UNet
from mcd.segmentation.options import PRIOR, SegmentationOptions
from mcd.slices.augment import augment
from mcd.slices.batches import Batch
from mcd.slices.options import Augmentation
from mcd.training.method import Losses, Method


def set_prior(unet: UNet, probability: float = PRIOR) -> None:
    """Set the output layer's biases, so that training begins at about this probability everywhere (Lin et al., ICCV 2017, 4.1).

    A new output layer guesses 1/2. Its first steps are then taken by the many pixels outside, which pull down whatever the last
    layer's few features say, of a pre-trained decoder most of all: they end as evidence against a region, and where they are 0
    by their ReLUs nothing can be told any more, and the bias keeps the region below 1/2 everywhere.
    """
    assert unet.output.bias is not None
    nn.init.constant_(unet.output.bias, math.log(probability / (1 - probability)))


class Segmentation(Method):
    """A method that learns to segment: it has a U-Net whose sigmoid outputs are the regions.

    `unet` predicts and is saved; whatever else a method needs for learning is not.

    Args:
        unet: with one output per region, pre-trained or not.
        augmentation: the same for every method of a table.
        options: the algorithm's own.

    Attributes:
        partial_labels: whether its losses leave out what `known` says is not labelled. A class says so for its own losses: one
            that inherits from it has to say so again.
        transferred, transferred_rate: the names of `unet`'s tensors that came from pre-training, and the factor on their rate.
    """

    partial_labels = False

    def __init__(self, unet: UNet, augmentation: Augmentation, options: SegmentationOptions) -> None:
        super().__init__()
        self.unet = unet
        self.augmentation = augmentation
        self.options = options
        self.transferred: Collection[str] = ()
        self.transferred_rate = 1.0

    def pictures(self, batch: Batch) -> dict[str, Tensor]:
        assert batch.targets is not None
        targets = batch.targets if batch.known is None else batch.targets * batch.known[:, :, None, None]
        return {"image": batch.images, "target": targets, "probability": self.unet(batch.images).sigmoid()}

    def known(self, batch: Batch) -> Tensor | None:
        """Which regions of its labelled slices are labelled, (n, regions, 1, 1) bool, as losses take `within`; None for all."""
        if batch.known is None:
            return None
        known = batch.known if batch.labelled is None else batch.known[batch.labelled]
        return known[:, :, None, None]

    def rate_factor(self, parameter: nn.Parameter) -> float:
        learned_before = any(
            own is parameter and name in self.transferred for name, own in self.unet.named_parameters()
        )
        return self.transferred_rate if learned_before else 1.0


class Supervised(Segmentation):
    """Dice and cross-entropy on the labelled slices: Fully Supervised, and the second stage of every pre-training."""

    partial_labels = True

    def players(self) -> dict[str, Sequence[nn.Parameter]]:
        return {"network": list(self.unet.parameters())}

    def losses(self, batch: Batch, player: str) -> Losses:
        assert batch.targets is not None
        images, targets = augment(batch.images, batch.targets, self.augmentation)
        return {"total": dice_and_cross_entropy(self.unet(images), targets, self.known(batch))}
