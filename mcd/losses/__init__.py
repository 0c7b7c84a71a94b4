"""Losses: each a function from tensors to a scalar, computed in single precision or better whatever the networks run in."""

import torch
from torch import Tensor


def at_least_single(values: Tensor) -> Tensor:
    """Half-precision tensors as float32, others as they are: exponentials and long sums need the digits."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
