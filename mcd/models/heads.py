"""Heads that view-based pre-training puts on an encoder's pooled feature and discards afterwards."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def projection_head(*widths: int, batch_norm: bool = True) -> nn.Sequential:
    """A perceptron (N, widths[0]) -> (N, widths[-1]): Linear, BatchNorm, ReLU per hidden layer, and a linear output.

    Args:
        batch_norm: in the hidden layers. The output has none: the losses that use it depend on its direction only.
    """
    layers: list[nn.Module] = []
    for before, after in pairwise(widths[:-1]):
        layers += [nn.Linear(before, after, bias=not batch_norm)]
        layers += [nn.BatchNorm1d(after)] if batch_norm else []
        layers += [nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))


class Prototypes(nn.Module):
    """Unit vectors with which embeddings are compared: (..., N, width) of length 1 -> (..., N, count) cosines.

    Without a bias, so that a score is a cosine. `renormalise` before each step keeps the vectors at length 1.
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(F.normalize(torch.randn(count, width), dim=1))

    @torch.no_grad()
    def renormalise(self) -> None:
        self.weight.copy_(F.normalize(self.weight, dim=1))

    def forward(self, embeddings: Tensor, frozen: bool = False) -> Tensor:
        """The cosines; if `frozen`, no gradient reaches the prototypes."""
        weight = self.weight.detach() if frozen else self.weight
        return embeddings @ weight.T
