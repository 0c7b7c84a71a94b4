"""The fine-tuning loss. The paper names none; Dice plus binary cross-entropy is our choice, the field's most common."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.losses import at_least_single


def soft_dice(logits: Tensor, targets: Tensor, smooth: float = 1.0) -> Tensor:
    """1 - soft Dice, computed per region over the whole batch, then averaged over regions.

    Over the batch rather than per slice, because many slices contain only some of the regions and a slice without one would
    contribute nothing but the smoothing term.

    Args:
        logits, targets: (N, regions, H, W).
        smooth: added to numerator and denominator, so that a region absent from a batch costs little and never divides by 0.
    """
    probabilities = torch.sigmoid(at_least_single(logits))
    axes = (0, 2, 3)
    overlap = (probabilities * targets).sum(axes)
    total = probabilities.sum(axes) + targets.sum(axes)
    return 1 - ((2 * overlap + smooth) / (total + smooth)).mean()


def dice_and_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Soft Dice plus mean binary cross-entropy of (N, regions, H, W); one sigmoid per region, since regions overlap."""
    return soft_dice(logits, targets) + F.binary_cross_entropy_with_logits(
        at_least_single(logits), at_least_single(targets)
    )
