"""InfoNCE with negatives drawn at random (van den Oord et al., arXiv 1807.03748, Eq. 4)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.losses import at_least_single


def info_nce(predictions: Tensor, candidates: Tensor, positives: Tensor, negatives: int) -> tuple[Tensor, Tensor]:
    """Mean of -log exp(p z+) / (exp(p z+) + sum over its negatives of exp(p z-)), and how often z+ has the highest score.

    Each prediction gets its own negatives, drawn uniformly with replacement from all candidates but its positive. With
    identical candidates the loss is ln(1 + negatives).

    Args:
        predictions: (P, D).
        candidates: (M, D), at least two.
        positives: (P,) position of each prediction's positive among the candidates.
        negatives: number of negatives.

    Returns:
        The loss, and the accuracy without a gradient; ties count as wrong. Both are 0 if there is nothing to predict.

    Raises:
        ValueError: for fewer than two candidates.
    """
    count = len(candidates)
    if count < 2:
        raise ValueError("InfoNCE needs at least 2 candidates")
    own = positives[:, None]
    steps = torch.randint(1, count, (len(predictions), negatives), device=predictions.device)
    with torch.autocast(predictions.device.type, enabled=False):
        # All scores, each counted as often as it was drawn: selecting the drawn ones would take more memory, and on a GPU its
        # gradient would be summed in a different order each time.
        scores = at_least_single(predictions) @ at_least_single(candidates).T
        drawn = torch.zeros_like(scores).scatter_add_(1, (own + steps) % count, torch.ones_like(steps).to(scores))
        loss = F.cross_entropy(scores + drawn.scatter(1, own, 1.0).log(), positives, reduction="sum")
        best_other = scores.detach().masked_fill(drawn == 0, -torch.inf).amax(1)
        right = (scores.detach().gather(1, own)[:, 0] > best_other).sum()
    return loss / max(len(predictions), 1), right / max(len(predictions), 1)
