"""A device that only says that it is another one: its tensors have values, in the host's memory, and do not mix with others.

As on a GPU, an operation on tensors of both devices is an error; copies are not, nor numbers of no dimension, nor the indices
of a selection. It finds, without a GPU, tensors that a method forgets to put on its device.

torch's own fake tensors of a GPU do less: they need a build for CUDA, their backward pass needs a GPU nevertheless, and eleven
of our 21 methods ask for values, which they do not have (tried with torch 2.14.1 for CUDA 13.0).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

NAME = "pretend"

_COPIES = {torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default}
_SELECTIONS = {
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._index_put_impl_.default,
}


class _Module(_DummyBackendModule):
    """What torch asks of a device's module."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]

    def device_count(self) -> int:
        return 1

    def manual_seed_all(self, seed: int) -> None:
        pass


def set_up() -> torch.device:
    """Register the device, once in a process; return it."""
    if torch._C._get_privateuse1_backend_name() != NAME:
        _setup_privateuseone_for_python_backend(NAME, _Module())
    return torch.device(NAME, 0)


class There(Tensor):
    """A tensor of the device; `raw` has its values."""

    raw: Tensor

    @staticmethod
    def __new__(cls, raw: Tensor) -> "There":
        made = Tensor._make_wrapper_subclass(
            cls,
            raw.size(),
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            device=torch.device(NAME, 0),
        )
        made.raw = raw
        return made

    def tolist(self) -> Any:
        return self.raw.tolist()  # torch refuses it for classes of others

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        return _run(func, args, kwargs or {})


class PretendDevice(TorchDispatchMode):
    """Within this context, tensors can be made on the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Compute on the host what is asked of the device, and see that nothing of the host is among it."""
    tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
    there = [value for value in tensors if isinstance(value, There)]
    if there and func not in _COPIES:
        own = [*tensors] if func not in _SELECTIONS else [args[0], *([args[2]] if len(args) > 2 else [])]
        here = [value for value in own if not isinstance(value, There) and value.dim()]
        if here or (func in _SELECTIONS and not isinstance(args[0], There)):
            shapes = [tuple(value.shape) for value in here]
            raise RuntimeError(f"{func}: a tensor {shapes} is on the host, and others are on the device")
    device = kwargs.get("device")
    asked = None if device is None else torch.device(device).type
    raw_args, raw_kwargs = tree_map(
        lambda value: value.raw if isinstance(value, There) else value, (args, dict(kwargs))
    )
    if asked == NAME:
        raw_kwargs["device"] = torch.device("cpu")
    out = func(*raw_args, **raw_kwargs)
    if asked != NAME and (not there or asked == "cpu"):
        return out
    if func in _COPIES and asked is None and not isinstance(args[0], There):
        return args[0]  # what was copied to the host
    out = tree_map(lambda value: There(value) if isinstance(value, Tensor) else value, out)
    return return_and_correct_aliasing(func, args, dict(kwargs), out) if there else out
