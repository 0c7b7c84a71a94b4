"""Random intervals, of which boxes in slices are made, for methods that mix slices."""

import torch
from torch import Tensor


def random_intervals(extents: Tensor, length: int) -> Tensor:
    """Intervals of `extents` pixels (N, 1) at random places within a length, bool (N, length). Numbers are the device's."""
    start = (torch.rand(extents.shape, device=extents.device) * (length - extents + 1)).long()
    at = torch.arange(length, device=extents.device)
    return (at >= start) & (at < start + extents)
