"""The fine-tuning loss. The paper names none; Dice plus binary cross-entropy is our choice, the field's most common."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.losses import at_least_single


def soft_dice(logits: Tensor, targets: Tensor, smooth: float = 1.0, within: Tensor | None = None) -> Tensor:
    """1 - soft Dice of sigmoids, per region over the whole batch, then averaged over regions; 0 for one that is absent.

    Over the batch rather than per slice, because many slices contain only some of the regions, and nothing overlaps with a
    region that is not there. The same holds of a batch without it, as small ones of all slices often are: there the smoothing
    term would be all that is learnt from. It asks for no overlap but for an area well below `smooth` pixels in the whole batch,
    and the less a network outlines, the harder: one that still outlines little is driven to outline nothing at all.

    Args:
        logits, targets: (N, regions, H, W).
        smooth: added to numerator and denominator.
        within: bool, (N, regions, H, W) or what broadcasts to it: the only pixels that count; None for all.
    """
    return overlap_loss(torch.sigmoid(at_least_single(logits)), targets, smooth, within)


def overlap_loss(probabilities: Tensor, targets: Tensor, smooth: float = 1.0, within: Tensor | None = None) -> Tensor:
    """`soft_dice` of probabilities, such as those of classes of which each pixel has one."""
    if within is not None:
        probabilities, targets = probabilities * within, targets * within
    axes = (0, 2, 3)
    overlap = (probabilities * targets).sum(axes)
    area = targets.sum(axes)
    missed = 1 - (2 * overlap + smooth) / (probabilities.sum(axes) + area + smooth)
    return (missed * (area > 0)).mean()


def dice_and_cross_entropy(logits: Tensor, targets: Tensor, within: Tensor | None = None) -> Tensor:
    """Soft Dice plus mean binary cross-entropy of (N, regions, H, W); one sigmoid per region, since regions overlap.

    Args:
        within: as for `soft_dice`.
    """
    logits, targets = at_least_single(logits), at_least_single(targets)
    if within is None:
        return soft_dice(logits, targets) + F.binary_cross_entropy_with_logits(logits, targets)
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return soft_dice(logits, targets, within=within) + mean_within(cross_entropy, within)


def mean_within(values: Tensor, within: Tensor) -> Tensor:
    """The mean of `values` where the bool tensor `within`, which broadcasts to them, is True; 0 if it never is."""
    within = within.expand_as(values)
    return (values * within).sum() / within.sum().clamp_min(1)
