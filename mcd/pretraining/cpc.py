"""CPC: predict the lower patches of a slice from those above, in feature space.

Van den Oord, Li and Vinyals, "Representation learning with contrastive predictive coding", arXiv 1807.03748; Henaff et al.,
"Data-efficient image recognition with contrastive predictive coding", ICML 2020. A slice is cut into 7x7 patches that
overlap by half; z_rc is the encoder's pooled feature of one; a masked convolutional network turns them into contexts c_rc that
see the rows up to r; for k steps, with linear maps W_k, the loss is InfoNCE against patches from anywhere in the batch:

    min  mean over k, r, c  -log  exp(z_{r+k+1,c} W_k c_rc) / [the same + sum over negatives of exp(z_j W_k c_rc)]

Row r + 1 is left out (k + 1), because it shares half of its pixels with row r. This is InfoNCE as in van den Oord et al.,
not the binary form with one negative in the code of Taleb et al. 2020; maps, skipped row and number of negatives are those of
Loewe et al. (NeurIPS 2019, their code), the context network that of Henaff et al. (their appendix).

Adapted: one-channel patches, a quarter of the slice's shorter side, rounded to a multiple of 16, from the box around the body,
which is resized to four patches per side. On 64-pixel slices a patch has 16 pixels and its bottleneck one, where only the
centres of the last 3x3 kernels learn. A patch without tissue is neither predicted nor a negative: all such patches are alike.
Neighbouring slices of a patient are not in one batch.

Batch normalisation leaks: patches of a slice share statistics, by which the encoder finds the positive (Henaff et al.).
Pre-training therefore normalises each patch by itself (their choice, layer normalisation), tracks running statistics, and
converts the weights so that batch normalisation does the same to a patch of average statistics, and nearly so to others;
see `mcd.models.sample_norm`.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mcd.losses import selected
from mcd.losses.info_nce import info_nce
from mcd.models.sample_norm import batch_norm_state, use_sample_norm
from mcd.pretraining.encoder_only import EncoderPretraining
from mcd.pretraining.options import CPCOptions
from mcd.pretraining.tiles import blank, cut_tiles, tile_side
from mcd.slices.batches import Batch, SliceSet, spread_batches
from mcd.training.guards import Levels
from mcd.training.method import Losses

ACROSS = 4
"""Patches side by side; overlapping by half, they are 2 * 4 - 1 = 7 per row, as in van den Oord et al."""

GRID = 2 * ACROSS - 1

SKIPPED = 1
"""Rows between context and first target: those that share pixels with the context."""


class CPC(EncoderPretraining):
    """The encoder without batch normalisation, the context network and the maps W_k.

    Logs `accuracy`, how often the positive scores highest (chance is 1/(1 + negatives)).
    """

    options: CPCOptions

    def __init__(self, options: CPCOptions, filters: int, modalities: Sequence[str], size: tuple[int, int]) -> None:
        super().__init__(options, filters, modalities, size)
        use_sample_norm(self.encoder)
        channels = self.encoder.channels
        self.side = tile_side(size)
        self.context = nn.Sequential(*(MaskedBlock(channels) for _ in range(options.context_layers)), nn.ReLU())
        self.maps = nn.ModuleList(nn.Linear(channels, channels, bias=False) for _ in range(options.steps))

    def batches(self, slices: SliceSet, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        return spread_batches(slices.subject_of, slices.height_of, batch_size, rng)

    def losses(self, batch: Batch, player: str) -> Losses:
        patches = overlapping_patches(batch.images, self.side)  # (N, 7, 7, 1, S, S)
        features = self.encoder(patches.flatten(0, 2)).view(*patches.shape[:3], -1)
        context = self.context(features.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        counts = ~blank(patches, self.options.tissue)  # (N, 7, 7)
        counts = counts | (counts.sum() < 2)  # hardly any tissue in the batch: poor targets are better than none
        # How many patches each step predicts, and all: the one time that the host waits for the device.
        rows_down = [step + SKIPPED for step in range(1, len(self.maps) + 1)]
        everything, *predicted = torch.stack([counts[:, below:].sum() for below in (0, *rows_down)]).tolist()
        candidates = selected(features, counts, everything)
        place = torch.cumsum(counts.flatten(), 0).view(counts.shape) - 1  # a patch's position in `candidates`
        losses, accuracies = [], []
        for map_, below, count in zip(self.maps, rows_down, predicted, strict=True):
            wanted = counts[:, below:]
            own = map_(selected(context[:, :-below], wanted, count))
            loss, accuracy = info_nce(
                own, candidates, selected(place[:, below:], wanted, count), self.options.negatives
            )
            losses.append(loss)
            accuracies.append(accuracy)
        return {"total": torch.stack(losses).mean(), "accuracy": torch.stack(accuracies).mean()}

    def levels(self, batch_size: int) -> Levels:
        return Levels(falling=("total",), chance={"total": math.log(1 + self.options.negatives)})

    def unet_state(self, modality: str) -> dict[str, Tensor]:
        return batch_norm_state(self.encoder)


class MaskedBlock(nn.Module):
    """A residual block that passes information sideways and one row down, never up: (N, C, R, K) -> (N, C, R, K)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 4  # 256 of 1024, Henaff et al.
        self.narrow = nn.Conv2d(channels, hidden, 1)
        self.sideways = nn.Conv2d(hidden, hidden, (1, 3), padding=(0, 1))
        self.down = nn.Conv2d(hidden, hidden, (2, 1))
        self.widen = nn.Conv2d(hidden, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        inner = self.sideways(F.relu(self.narrow(features)))
        inner = self.down(F.pad(inner, (0, 0, 1, 0)))  # a row of zeros on top: row r sees r - 1 and r
        return features + self.widen(F.relu(inner))


def overlapping_patches(images: Tensor, side: int) -> Tensor:
    """(N, C, H, W) -> (N, 7, 7, C, side, side): patches of the body's box, each half a side from the previous one."""
    body = cut_tiles(images, 1, ACROSS * side)[:, 0]
    return body.unfold(2, side, side // 2).unfold(3, side, side // 2).permute(0, 2, 3, 1, 4, 5)
