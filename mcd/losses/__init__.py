"""Losses: functions from tensors to a scalar, computed in single precision or better whatever the networks' precision."""

import torch
from torch import Tensor


def at_least_single(values: Tensor) -> Tensor:
    """Half-precision tensors as float32, others unchanged: exponentials and long sums need the digits."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def selected(values: Tensor, mask: Tensor, count: int) -> Tensor:
    """`values[mask]`, without waiting until the device has counted the mask.

    Args:
        values: (..., D) of any trailing shape D.
        mask: (...) bool.
        count: how often it is true, which the caller knows.

    Returns:
        (count, D), in the order of the mask.
    """
    return values[torch.nonzero_static(mask, size=count).unbind(1)]
