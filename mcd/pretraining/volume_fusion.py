"""Volume Fusion: two slices are mixed in boxes, and the network says for every pixel in which of five proportions.

G. Wang, J. Wu, X. Luo, X. Liu, K. Li, S. Zhang: MIS-FM: 3D Medical Image Segmentation using Foundation Models Pretrained on
a Large-Scale Unannotated Dataset, arXiv 2306.16925; read in nnssl (`volume_fusion_transform.py`, `VolumeFusionTrainer.py`).

    X = a F + (1 - a) B,    a in {0, 1/4, 2/4, 3/4, 1} constant within boxes, later boxes over earlier ones, 0 outside all
    L = cross-entropy + Dice  of the classes of a

A pretext task that is itself a segmentation, so the whole U-Net learns.

Not in the paper's tables: a control for methods that hand back a decoder, as Multi-ConDoS does. Adapted: in two dimensions.
Boxes as long as the authors' cover 12 % of a slice, but 4 % of a volume; 3 to 12 of them leave half of a slice uncovered, as
10 to 40 do of a volume. What is uncovered tells B from F; without it, a and 1 - a would look alike. Every slice of a batch
is F once and B once, where the authors split the batch into halves. Pixels where both slices are background are 0 whatever a
is, so the loss leaves them out. Adam at the paper's rate, and no augmentation but the mixing, as for DSGAN.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.distributed.shares import shared
from mcd.losses import at_least_single
from mcd.losses.segmentation import mean_within, overlap_loss
from mcd.pretraining.options import VolumeFusionOptions
from mcd.pretraining.whole_unet import UNetPretraining
from mcd.slices.batches import Batch
from mcd.slices.boxes import random_intervals
from mcd.training.method import Losses


class VolumeFusion(UNetPretraining):
    """One U-Net with an output per class. Logs `accuracy`, the share of right pixels averaged over the classes."""

    options: VolumeFusionOptions

    def __init__(
        self, options: VolumeFusionOptions, filters: int, modalities: Sequence[str], size: tuple[int, int]
    ) -> None:
        super().__init__(options, filters, modalities, size, out_channels=options.classes)

    def losses(self, batch: Batch, player: str) -> Losses:
        classes, fused, occupied = self._fused(batch.images)
        logits = at_least_single(shared(self.unet, fused))
        one_hot = F.one_hot(classes, self.options.classes).movedim(-1, 1)
        cross_entropy = mean_within(F.cross_entropy(logits, classes, reduction="none"), occupied[:, 0])
        dice = overlap_loss(logits.softmax(1), one_hot, within=occupied)
        with torch.no_grad():
            right = (logits.argmax(1) == classes)[:, None]
            accuracy = torch.stack(
                [mean_within(right, own & occupied) for own in one_hot.bool().split(1, dim=1)]
            ).mean()
        return {"total": cross_entropy + dice, "cross_entropy": cross_entropy, "dice": dice, "accuracy": accuracy}

    def pictures(self, batch: Batch) -> dict[str, Tensor]:
        if len(batch.images) < 2:
            return super().pictures(batch)
        classes, fused, _ = self._fused(batch.images)
        highest = self.options.classes - 1
        predicted = self.unet(fused).argmax(1, keepdim=True)
        return {"fused": fused, "proportion": classes[:, None] / highest, "predicted": predicted / highest}

    def _fused(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Classes (N, H, W) drawn for slices, and `fuse` by them."""
        classes = box_classes(len(images), (images.shape[-2], images.shape[-1]), self.options, images.device)
        return classes, *fuse(images, classes, self.options.classes)


def box_classes(
    count: int, size: tuple[int, int], options: VolumeFusionOptions, device: torch.device | str = "cpu"
) -> Tensor:
    """The class of every pixel, (count, H, W) of 0 to classes - 1: random boxes, each of one class, pasted in turn."""
    number = torch.randint(options.boxes[0], options.boxes[1] + 1, (count, 1, 1), device=device)
    classes = torch.zeros(count, *size, dtype=torch.long, device=device)
    for box in range(options.boxes[1]):
        rows, columns = (_span(count, pixels, options.side, device) for pixels in size)
        inside = rows[:, :, None] & columns[:, None, :] & (box < number)
        classes = torch.where(inside, torch.randint(options.classes, (count, 1, 1), device=device), classes)
    return classes


def _span(count: int, length: int, shares: tuple[float, float], device: torch.device | str) -> Tensor:
    """Random intervals within a length, each a share of it between two bounds: bool (count, length)."""
    shortest, longest = (max(round(share * length), 1) for share in shares)
    return random_intervals(torch.randint(shortest, longest + 1, (count, 1), device=device), length)


def fuse(images: Tensor, classes: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Each slice (N, 1, H, W) mixed with another of the batch in the proportions of its `classes`, and where either has tissue.

    Class k of `number` is k / (number - 1) of the slice itself and the rest of the other.

    Raises:
        ValueError: for fewer than two slices.
    """
    if len(images) < 2:
        raise ValueError("Volume Fusion needs at least 2 slices in a batch")
    others = images.roll(int(torch.randint(1, len(images), ())), dims=0)
    share = (classes / (number - 1))[:, None]
    return share * images + (1 - share) * others, (images != 0) | (others != 0)
