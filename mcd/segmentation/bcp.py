"""BCP: labelled tissue is pasted into unlabelled slices and the other way round, and a teacher names the unlabelled part.

Y. Bai, D. Chen, Q. Li, W. Shen, Y. Wang: Bidirectional Copy-Paste for Semi-Supervised Medical Image Segmentation, CVPR 2023;
settings are those of the published code for slices (`ACDC_BCP_train.py`). A rectangle of 2/3 of the height and width, the
same for a batch, is exchanged between a labelled slice x with target y and an unlabelled slice u:

    u with the rectangle of x:  L_u = l(y, inside) + w l(y', outside)          y' = teacher(u) > 1/2,   w = 1/2
    x with the rectangle of u:  L_x = l(y, outside) + w l(y', inside)          l = 1/2 (Dice + CE) within that part
    L = L_u + L_x;    teacher <- a teacher + (1 - a) student after every step, a = 0.99

The first quarter of the training pastes labelled slices into each other, without a teacher, which begins as the student that
this gave (10 000 and 30 000 iterations by the code's options; as it runs, it gives 30 000 to each). The student predicts.

Not in the paper's tables. Adapted: sigmoids instead of a softmax, since our regions overlap. Every labelled slice is pasted
both ways, so that a step sees each of its pixels once, as in the other methods; the code pastes half of a batch one way and
half the other. The teacher's regions are taken as they are: the code keeps the largest connected part of each, as a heart's
chambers have one, but a tumour may have several in a slice. Slices of different patients are pasted as they lie; background
stays 0.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mcd.losses import at_least_single
from mcd.losses.segmentation import dice_and_cross_entropy
from mcd.models.unet import UNet
from mcd.segmentation.options import BCPOptions
from mcd.segmentation.semi_supervised import MixedSegmentation
from mcd.slices.batches import Batch
from mcd.slices.options import Augmentation
from mcd.training.ema import follower, update_ema
from mcd.training.guards import Levels
from mcd.training.method import Losses


class BCP(MixedSegmentation):
    """A student (`unet`) and its teacher.

    Logs `labelled` and `unlabelled`, the losses on the labels and on the teacher's regions.

    Attributes:
        labelled_alone: whether this epoch pastes labelled slices alone.
    """

    options: BCPOptions
    partial_labels = True

    def __init__(self, unet: UNet, augmentation: Augmentation, options: BCPOptions) -> None:
        super().__init__(unet, augmentation, options)
        self.teacher = follower(unet)
        self.labelled_alone = False

    def players(self) -> dict[str, Sequence[nn.Parameter]]:
        return {"student": list(self.unet.parameters())}

    def before_epoch(self, epoch: int, epochs: int) -> None:
        self.labelled_alone = epoch < min(round(self.options.labelled_alone * epochs), epochs - 1)

    def losses(self, batch: Batch, player: str) -> Losses:
        images, targets, labelled = self.augmented(batch)
        own, known = images[labelled], self.known(batch)
        inside = rectangle((images.shape[-2], images.shape[-1]), self.options.side, images.device)
        if self.labelled_alone:
            logits = self.unet(torch.where(inside, own.roll(1, dims=0), own))
            others = known.roll(1, dims=0) if known is not None else None
            alone = _part(logits, targets, ~inside, known) + _part(logits, targets.roll(1, dims=0), inside, others)
            return {"total": alone, "labelled": alone, "unlabelled": torch.zeros_like(alone)}
        others = images[~labelled]
        partners = torch.arange(len(own), device=images.device) % len(others)
        others, taught = others[partners], self._teacher_regions(others)[partners]
        mixed = torch.cat([torch.where(inside, own, others), torch.where(inside, others, own)])
        into_others, into_own = self.unet(mixed).chunk(2)
        labelled_loss = _part(into_others, targets, inside, known) + _part(into_own, targets, ~inside, known)
        unlabelled_loss = _part(into_others, taught, ~inside) + _part(into_own, taught, inside)
        return {
            "total": labelled_loss + self.options.unlabelled * unlabelled_loss,
            "labelled": labelled_loss,
            "unlabelled": unlabelled_loss,
        }

    def levels(self, batch_size: int) -> Levels:
        return Levels(falling=("labelled",))  # the total gets its second part after a while

    @torch.no_grad()
    def _teacher_regions(self, images: Tensor) -> Tensor:
        return (self.teacher(images) > 0).to(torch.float32)

    def after_step(self, step: int, steps: int) -> None:
        update_ema(self.teacher, self.unet, 0.0 if self.labelled_alone else self.options.decay)


def rectangle(size: tuple[int, int], side: float, device: torch.device | str = "cpu") -> Tensor:
    """A mask (1, 1, H, W), True in a rectangle of a share `side` of height and width, placed at random within them."""
    rows, columns = (_interval(pixels, side, device) for pixels in size)
    return (rows[:, None] & columns)[None, None]


def _interval(length: int, share: float, device: torch.device | str) -> Tensor:
    extent = int(share * length)
    start = torch.randint(length - extent + 1, (), device=device)
    at = torch.arange(length, device=device)
    return (at >= start) & (at < start + extent)


def _part(logits: Tensor, targets: Tensor, within: Tensor, known: Tensor | None = None) -> Tensor:
    """Half of Dice plus cross-entropy within a mask, of the regions that are known (None: of all)."""
    within = within if known is None else within & known
    return 0.5 * dice_and_cross_entropy(at_least_single(logits), targets, within)
