"""A network that follows another as its exponential moving average: BYOL's target, the mean teacher."""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def follower(source: Network) -> Network:
    """A copy of `source` to be moved by `update_ema` alone: no gradient ever reaches it."""
    return copy.deepcopy(source).requires_grad_(False)


@torch.no_grad()
def update_ema(target: nn.Module, source: nn.Module, decay: float) -> None:
    """target <- decay * target + (1 - decay) * source, for every parameter.

    BatchNorm buffers are left alone. A follower is run in train mode, on batches of its own, and so keeps running statistics
    of what it sees itself; the widely used implementations of BYOL and of the mean teacher do the same. Averaging the
    source's statistics in would mix those of other inputs under other weights.

    Args:
        decay: 1 leaves the target as it is, 0 makes its parameters the source's.
    """
    followers: list[Tensor] = list(target.parameters())
    leaders: list[Tensor] = list(source.parameters())
    torch._foreach_lerp_(followers, leaders, 1 - decay)  # all of them in one kernel
