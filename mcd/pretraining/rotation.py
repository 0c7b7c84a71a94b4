"""Rotation (RotNet): predict by which of 0, 90, 180 and 270 degrees a slice was rotated.

Gidaris, Singh and Komodakis, "Unsupervised representation learning by predicting image rotations", ICLR 2018 (Eq. 2 and 3):

    min  1/N sum_i  1/4 sum_{r=0..3}  -log softmax(F(rot90^r(x_i)))_r

Adapted: the network is the U-Net's encoder with global average pooling and one linear layer. The slice is padded to a square
with background, equally on opposite sides, before it is rotated: a border on one side would give the answer away.
Quarter turns need no interpolation, which would leave traces. No augmentation: mirroring along both axes is a rotation by
180 degrees.

For PET, which is nearly round and has little texture, the accuracy says little about the features: the task can be hard or
easy for reasons unrelated to the content.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mcd.losses import at_least_single
from mcd.pretraining.encoder_only import EncoderPretraining
from mcd.pretraining.options import RotationOptions
from mcd.slices.batches import Batch
from mcd.training.guards import Levels
from mcd.training.method import Losses

TURNS = 4
"""Classes: quarter turns."""


class Rotation(EncoderPretraining):
    """The encoder and a linear classifier of four turns. Logs `accuracy`; chance is 0.25."""

    options: RotationOptions

    def __init__(
        self, options: RotationOptions, filters: int, modalities: Sequence[str], size: tuple[int, int]
    ) -> None:
        super().__init__(options, filters, modalities, size)
        self.head = nn.Linear(self.encoder.channels, TURNS)

    def losses(self, batch: Batch, player: str) -> Losses:
        count, device = len(batch.images), batch.images.device
        if self.options.copies == "all":
            turned = all_turns(batch.images)
            turns = torch.arange(TURNS, device=device).repeat_interleave(count)
        else:
            turns = torch.randint(TURNS, (count,), device=device)
            turned = all_turns(batch.images).unflatten(0, (TURNS, count))[turns, torch.arange(count, device=device)]
        logits = at_least_single(self.head(self.encoder(turned)))
        return {
            "total": F.cross_entropy(logits, turns),
            "accuracy": (logits.detach().argmax(1) == turns).float().mean(),
        }

    def levels(self, batch_size: int) -> Levels:
        return Levels(falling=("total",), chance={"total": math.log(4)})


def all_turns(images: Tensor) -> Tensor:
    """(N, C, H, W) -> (4N, C, S, S), S the longer side: all slices unrotated, then rotated by 1, 2 and 3 quarter turns."""
    height, width = images.shape[-2:]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = F.pad(images, (left, side - width - left, top, side - height - top))
    return torch.cat([torch.rot90(square, turns, dims=(2, 3)) for turns in range(TURNS)])
