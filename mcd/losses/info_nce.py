"""InfoNCE with negatives drawn at random (van den Oord et al., arXiv 1807.03748, Eq. 4)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.losses import at_least_single


def info_nce(predictions: Tensor, candidates: Tensor, positives: Tensor, negatives: int) -> tuple[Tensor, Tensor]:
    """Mean of -log exp(p z+) / (exp(p z+) + sum over its negatives of exp(p z-)), and how often z+ has the highest score.

    Each prediction gets its own negatives, drawn evenly and with repetition from all candidates but its positive. With
    candidates that are all alike the loss is ln(1 + negatives).

    Args:
        predictions: (P, D).
        candidates: (M, D), at least two.
        positives: (P,) position of each prediction's positive among the candidates.
        negatives: number of negatives.

    Returns:
        The loss, and the accuracy without a gradient; ties count as wrong. Both 0 where there is nothing to predict.

    Raises:
        ValueError: for fewer than two candidates.
    """
    count = len(candidates)
    if count < 2:
        raise ValueError("InfoNCE needs at least 2 candidates")
    steps = torch.randint(1, count, (len(predictions), negatives), device=predictions.device)
    chosen = torch.cat([positives[:, None], (positives[:, None] + steps) % count], dim=1)
    with torch.autocast(predictions.device.type, enabled=False):
        # all scores, then a choice, is one product; gathering the candidates themselves would take D times the memory
        scores = (at_least_single(predictions) @ at_least_single(candidates).T).gather(1, chosen)
        loss = F.cross_entropy(scores, torch.zeros_like(positives), reduction="sum")
        right = (scores[:, 0] > scores[:, 1:].amax(1)).sum()
    return loss / max(len(predictions), 1), right / max(len(predictions), 1)
