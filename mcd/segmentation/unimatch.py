"""UniMatch: what the network is sure of on a slice, it learns to say of two strong views of it and of spoilt features.

L. Yang, L. Qi, L. Feng, W. Zhang, Y. Shi: Revisiting Weak-to-Strong Consistency in Semi-Supervised Semantic Segmentation,
CVPR 2023; settings are those of the published code for slices (`more-scenarios/medical`). Of an unlabelled slice u, changed
weakly, that is as the table augments it, the network's own regions y' = p > 1/2 count where max(p, 1 - p) >= 0.95:

    L = 1/2 [ 1/2 (Dice + CE)(x, y)  +  1/4 Dice(s_1, y')  +  1/4 Dice(s_2, y')  +  1/2 Dice(f, y') ]

s_1, s_2: strong views of u, with other brightness, contrast and blur, in half of which a box (2 % to 40 % of the slice) is
cut out and filled from another slice's strong view, and y' and what is sure from that slice's alike (CutMix). f: the output
from the features of u of which half of the channels are dropped at every level. No gradient reaches y'; there is no teacher.

Not in the paper's tables. Adapted: sigmoids instead of a softmax, since our regions overlap, and sure is each region's own.
The slice that fills a box is another of the same batch, whose regions are at hand, where the code draws and predicts a
second batch. The code multiplies brightness, of images scaled to 0..1, by 0.5 to 1.5, which moves mid-grey by 0.25; here it
is moved by as large a share of the volume's range. Values beyond that range are not clipped, as a tumour in PET lies there.
Background stays 0. Dropout spoils the unlabelled slices' features alone: the code spoils all and discards the labelled ones'
output.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mcd.losses import at_least_single
from mcd.losses.segmentation import dice_and_cross_entropy, soft_dice
from mcd.segmentation.options import UniMatchOptions
from mcd.segmentation.semi_supervised import MixedSegmentation
from mcd.slices.batches import Batch
from mcd.slices.blur import gaussian_blur
from mcd.slices.boxes import random_intervals
from mcd.training.guards import Levels
from mcd.training.method import Losses


class UniMatch(MixedSegmentation):
    """The network alone. Logs each loss, and `sure`, the share of unlabelled pixels and regions that are learnt from."""

    options: UniMatchOptions
    partial_labels = True

    def players(self) -> dict[str, Sequence[nn.Parameter]]:
        return {"network": list(self.unet.parameters())}

    def losses(self, batch: Batch, player: str) -> Losses:
        images, targets, labelled = self.augmented(batch)
        logits, spoilt = self._with_spoilt_features(images, ~labelled)
        regions, sure = confident(logits[~labelled], self.options.confidence)
        others = (images[~labelled], batch.ranges[~labelled])
        strong = [self._strong_view(*others, regions, sure) for _ in range(2)]
        predicted = self.unet(torch.cat([view for view, _, _ in strong])).chunk(2)
        losses = {
            "supervised": 0.5 * dice_and_cross_entropy(logits[labelled], targets, self.known(batch)),
            "views": torch.stack(
                [
                    soft_dice(seen, taught, within=known)
                    for seen, (_, taught, known) in zip(predicted, strong, strict=True)
                ]
            ).mean(),
            "features": soft_dice(spoilt, regions, within=sure),
        }
        unlabelled = self.options.views * losses["views"] + self.options.features * losses["features"]
        return {"total": (losses["supervised"] + unlabelled) / 2, **losses, "sure": sure.float().mean()}

    def levels(self, batch_size: int) -> Levels:
        return Levels(falling=("supervised",))  # the others begin as the network becomes sure

    def _with_spoilt_features(self, images: Tensor, spoilt: Tensor) -> tuple[Tensor, Tensor]:
        """The logits of all images, and again of those in the mask `spoilt`, from features of which channels are dropped."""
        features = self.unet.encode(images)
        dropped = [F.dropout2d(level[spoilt], self.options.dropout) for level in features]
        stages = self.unet.decode([torch.cat(pair) for pair in zip(features, dropped, strict=True)])
        logits = at_least_single(self.unet.output(stages[-1]))
        return logits[: len(images)], logits[len(images) :]

    @torch.no_grad()
    def _strong_view(
        self, images: Tensor, ranges: Tensor, regions: Tensor, sure: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A strong view with a box of another slice's, and regions and certainty with the same box of that slice's."""
        view = change_strongly(images, ranges, self.options)
        box = cutmix_boxes(len(images), (images.shape[-2], images.shape[-1]), self.options, images.device)
        shift = int(torch.randint(1, len(images), ())) if len(images) > 1 else 0
        view, regions, sure = (torch.where(box, of.roll(shift, dims=0), of) for of in (view, regions, sure))
        return view, regions, sure


def confident(logits: Tensor, confidence: float) -> tuple[Tensor, Tensor]:
    """What is said of (N, R, H, W), 0 or 1, and whether its probability is at least `confidence`: bool. No gradient."""
    probabilities = torch.sigmoid(at_least_single(logits.detach()))
    return (probabilities > 0.5).to(probabilities), torch.maximum(probabilities, 1 - probabilities) >= confidence


def cutmix_boxes(
    count: int, size: tuple[int, int], options: UniMatchOptions, device: torch.device | str = "cpu"
) -> Tensor:
    """Masks (count, 1, H, W), True in a random box of a share `cutmix` of them."""
    height, width = size

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, device=device)

    area = uniform(*options.cutmix_area) * height * width
    ratio = uniform(*options.cutmix_aspect)
    sides = ((area * ratio).sqrt().clamp(max=height), (area / ratio).sqrt().clamp(max=width))
    rows, columns = (random_intervals(side.long(), pixels) for side, pixels in zip(sides, size, strict=True))
    chosen = (uniform(0, 1) < options.cutmix)[:, :, None]
    return (rows[:, :, None] & columns[:, None, :] & chosen)[:, None]


@torch.no_grad()
def change_strongly(images: Tensor, ranges: Tensor, options: UniMatchOptions) -> Tensor:
    """Images (N, 1, H, W) with random brightness, contrast and blur within the tissue; the background stays 0.

    Args:
        ranges: (N, 1), see `mcd.slices.batches.Batch`.
    """
    count, device = len(images), images.device

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, 1, 1, device=device)

    tissue = images != 0
    changed = images * (1 + uniform(-options.contrast, options.contrast))  # about 0, the mean of a volume's tissue
    changed = changed + ranges[:, :, None, None] * uniform(-options.brightness, options.brightness)
    changed = torch.where(uniform(0, 1) < options.jittered, changed, images)
    if options.blur > 0 and options.blurred > 0:
        blurred = gaussian_blur(changed, tissue, uniform(0.1, options.blur), options.blur)
        changed = torch.where(uniform(0, 1) < options.blurred, blurred, changed)
    return torch.where(tissue, changed, 0.0)
