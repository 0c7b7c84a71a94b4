"""The fine-tuning loss. The paper names none; Dice plus binary cross-entropy is our choice, the field's most common."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.losses import at_least_single


def soft_dice(logits: Tensor, targets: Tensor, smooth: float = 1.0, within: Tensor | None = None) -> Tensor:
    """1 - soft Dice of sigmoids, computed per region over the whole batch, then averaged over regions.

    Over the batch rather than per slice, because many slices contain only some of the regions and a slice without one would
    contribute nothing but the smoothing term.

    Args:
        logits, targets: (N, regions, H, W).
        smooth: added to numerator and denominator, so that a region absent from a batch costs little and never divides by 0.
        within: bool, (N, regions, H, W) or what broadcasts to it: the only pixels that count; None for all.
    """
    return overlap_loss(torch.sigmoid(at_least_single(logits)), targets, smooth, within)


def overlap_loss(probabilities: Tensor, targets: Tensor, smooth: float = 1.0, within: Tensor | None = None) -> Tensor:
    """`soft_dice` of probabilities, such as those of classes of which each pixel has one."""
    if within is not None:
        probabilities, targets = probabilities * within, targets * within
    axes = (0, 2, 3)
    overlap = (probabilities * targets).sum(axes)
    total = probabilities.sum(axes) + targets.sum(axes)
    return 1 - ((2 * overlap + smooth) / (total + smooth)).mean()


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
