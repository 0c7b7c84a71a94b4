"""Signs that a pre-training learns, and that one of views has not collapsed. For the log; never minimised."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.losses import at_least_single
from mcd.losses.segmentation import mean_within


@torch.no_grad()
def retrieval_accuracy(queries: Tensor, keys: Tensor) -> Tensor:
    """Share of `queries` (N, D) whose nearest key among `keys` (N, D), by cosine, is their own partner; chance is 1 / N."""
    similarity = F.normalize(at_least_single(queries), dim=1) @ F.normalize(at_least_single(keys), dim=1).T
    return (similarity.argmax(1) == torch.arange(len(queries), device=queries.device)).float().mean()


@torch.no_grad()
def nearest_other(embeddings: Tensor) -> Tensor:
    """For each of `embeddings` (N, D), the position (N,) of its nearest other by cosine."""
    z = F.normalize(at_least_single(embeddings), dim=1)
    return (z @ z.T).fill_diagonal_(-torch.inf).argmax(1)


@torch.no_grad()
def embedding_sd(embeddings: Tensor) -> Tensor:
    """Spread of `embeddings` (N, D) over the sphere: about 1 if they use all directions equally, 0 if they have collapsed.

    The standard deviation over the batch of each coordinate at length 1, times the square root of D, averaged.
    """
    z = F.normalize(at_least_single(embeddings), dim=1)
    return z.std(0, correction=0).mean() * z.shape[1] ** 0.5


@torch.no_grad()
def explained(predicted: Tensor, images: Tensor, within: Tensor) -> Tensor:
    """Share of the variance of `images` (N, C, H, W) within a bool mask that `predicted` explains: 1 if it is right everywhere,
    0 if it is no better than their mean over the batch, below 0 if it is worse."""
    predicted, images = at_least_single(predicted), at_least_single(images)
    variance = mean_within((images - mean_within(images, within)).square(), within)
    return 1 - mean_within((predicted - images).square(), within) / variance.clamp_min(1e-6)
