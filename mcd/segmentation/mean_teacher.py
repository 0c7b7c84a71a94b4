"""MT: the mean teacher (Tarvainen and Valpola, NeurIPS 2017), as used in 2D segmentation (Luo et al., the code SSL4MIS).

A student learns from the labelled slices and, on the unlabelled ones, to predict what a teacher predicts from a noisy copy.
The teacher is the moving average of the student:

    L = 1/2 (Dice + CE) on labelled slices + w(t) mean (student(u) - teacher(u + noise))^2 on unlabelled slices u
    teacher <- a teacher + (1 - a) student after every step, a = min(1 - 1 / step, decay)

Settings are SSL4MIS' (train_mean_teacher_2D.py). As there, the consistency is over the unlabelled half alone (the original
takes the whole batch), the teacher runs in train mode with batch statistics of its own, and the **student** predicts.
Adapted: sigmoids instead of a softmax, since our regions overlap. The U-Net of Table I has no dropout, so the noise
is the only difference between what the two see. Its strength is published for images scaled to 0..1, so here it is a share of
the volume's range. It is added to tissue only, as our background is exactly 0.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mcd.losses import at_least_single
from mcd.losses.segmentation import dice_and_cross_entropy
from mcd.models.unet import UNet
from mcd.segmentation.options import MeanTeacherOptions
from mcd.segmentation.semi_supervised import SemiSupervised
from mcd.slices.batches import Batch
from mcd.slices.options import Augmentation
from mcd.training.ema import follower, update_ema
from mcd.training.guards import Levels
from mcd.training.method import Losses


class MeanTeacher(SemiSupervised):
    """A student (`unet`) and its teacher, the moving average of its weights."""

    options: MeanTeacherOptions
    partial_labels = True

    def __init__(self, unet: UNet, augmentation: Augmentation, options: MeanTeacherOptions) -> None:
        super().__init__(unet, augmentation, options)
        self.teacher = follower(unet)

    def players(self) -> dict[str, Sequence[nn.Parameter]]:
        return {"student": list(self.unet.parameters())}

    def losses(self, batch: Batch, player: str) -> Losses:
        images, targets, labelled = self.augmented(batch)
        logits = self.unet(images)
        supervised = 0.5 * dice_and_cross_entropy(logits[labelled], targets, self.known(batch))
        taught = self._teacher_predictions(images[~labelled], batch.ranges[~labelled])
        consistency = F.mse_loss(torch.sigmoid(at_least_single(logits[~labelled])), taught)
        weight = torch.where(self.progress < self.options.start, 0.0, self.options.consistency * self.ramp())
        return {
            "total": supervised + weight * consistency,
            "supervised": supervised,
            "consistency": consistency,
            "consistency_weight": weight,
        }

    def levels(self, batch_size: int) -> Levels:
        return Levels(falling=("supervised",))  # the total holds a weight that ramps up

    @torch.no_grad()
    def _teacher_predictions(self, images: Tensor, ranges: Tensor) -> Tensor:
        bound = self.options.noise_bound
        noise = (torch.randn_like(images) * self.options.noise).clamp(-bound, bound) * ranges[:, :, None, None]
        return torch.sigmoid(at_least_single(self.teacher(images + noise * (images != 0))))

    def after_step(self, step: int, steps: int) -> None:
        super().after_step(step, steps)
        update_ema(self.teacher, self.unet, min(1 - 1 / step, self.options.decay))  # a plain mean at first
