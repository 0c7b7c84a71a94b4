"""The triplet loss on the unit sphere (Schroff et al., CVPR 2015), with semi-hard negatives."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.losses import at_least_single


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Squared Euclidean distance, 0 to 4, between the directions of a (..., D) and b (..., D), broadcast: (...)."""
    return 2 - 2 * F.cosine_similarity(at_least_single(a), at_least_single(b), dim=-1)


def triplet_loss(to_positive: Tensor, to_negative: Tensor, margin: float) -> Tensor:
    """Mean over the triplets of max(0, d(anchor, positive) - d(anchor, negative) + margin).

    Args:
        to_positive, to_negative: distances of each anchor, of one shape.
        margin: by how much a negative has to be farther away than the positive to cost nothing.
    """
    return F.relu(to_positive - to_negative + margin).mean()


def semi_hard(to_positive: Tensor, distances: Tensor, allowed: Tensor) -> Tensor:
    """For each anchor the nearest allowed candidate that is farther than its positive; else the farthest allowed.

    The nearest of all would be the hardest, and makes a network collapse early in training (Schroff et al., Sec. 3.2).

    Args:
        to_positive: (N,) distance of each anchor to its positive.
        distances: (N, M) of each anchor to each candidate.
        allowed: (N, M) bool; at least one per row.

    Returns:
        (N,) positions among the candidates.
    """
    farther = allowed & (distances > to_positive[:, None])
    nearest = torch.where(farther, distances, math.inf).argmin(1)
    farthest = torch.where(allowed, distances, -math.inf).argmax(1)
    return torch.where(farther.any(1), nearest, farthest)
