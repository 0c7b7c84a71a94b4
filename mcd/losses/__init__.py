"""Losses: functions from tensors to a scalar, computed in single precision or better whatever the networks' precision."""

import torch
from torch import Tensor


def at_least_single(values: Tensor) -> Tensor:
    """Half-precision tensors as float32, others unchanged: exponentials and long sums need the digits."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
