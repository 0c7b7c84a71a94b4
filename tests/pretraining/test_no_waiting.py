"""Steps that never wait for the device: nothing on the host depends on what it computes."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mcd.losses import selected
from mcd.losses.signed_distance import signed_distance_maps
from mcd.pretraining.cpc import CPC
from mcd.pretraining.gl import GL
from mcd.pretraining.options import CPCOptions, GLOptions, SwAVOptions
from mcd.pretraining.swav import SwAV
from mcd.slices.batches import Batch
from mcd.training.method import Method


class NoMasks(TorchDispatchMode):
    """Refuses to select by a mask, which has to be counted before the result can be allocated."""

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        if "index" in str(function):
            indices = [each for each in arguments[1] if each is not None] if len(arguments) > 1 else []
            assert not any(isinstance(index, torch.Tensor) and index.dtype == torch.bool for index in indices)
        assert function is not torch.ops.aten.nonzero.default
        return function(*arguments, **(keywords or {}))


class Counted(TorchDispatchMode):
    operations = 0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        self.operations += 1
        return function(*arguments, **(keywords or {}))


def gl(epoch: int) -> Method:
    method = GL(GLOptions(), 4, ["A"], (32, 32))
    method.before_epoch(epoch, 10)
    return method


def swav(epoch: int) -> Method:
    method = SwAV(SwAVOptions(prototypes=12, queue=8), 4, ["A"], (32, 32))
    method.before_epoch(epoch, 10)
    return method


@pytest.mark.parametrize("epoch", [0, 9])
@pytest.mark.parametrize("make", [gl, swav])
def test_a_step_needs_nothing_from_the_device(
    make: Callable[[int], Method], epoch: int, bodies: Callable[..., Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device `meta` has no values, so that whatever needs one on the host raises."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # knows no such device
    method, batch = make(epoch).to("meta"), bodies(size=(32, 32))
    there = replace(
        batch, **{name: getattr(batch, name).to("meta") for name in ("images", "subjects", "heights", "ranges")}
    )
    for _ in range(2):  # the second time SwAV's queue is full
        method.losses(there, "network")["total"].backward()


def test_cpc_selects_by_no_mask(bodies: Callable[..., Batch]) -> None:
    method = CPC(CPCOptions(), 4, ["A"], (64, 64))
    with NoMasks():  # type: ignore[no-untyped-call]
        method.losses(bodies(), "network")["total"].backward()


def test_selecting_and_distance_maps_need_nothing_from_the_device() -> None:
    values, mask = torch.randn(4, 5, 2), torch.rand(4, 5) < 0.5
    count = int(mask.sum())
    assert torch.equal(selected(values, mask, count), values[mask])
    assert selected(values.to("meta"), mask.to("meta"), count).shape == (count, 2)
    assert signed_distance_maps(torch.empty(2, 3, 20, 20, device="meta")).shape == (2, 3, 20, 20)
    with pytest.raises((NotImplementedError, RuntimeError)):  # what nothing above may do
        values.to("meta")[mask.to("meta")]


def test_distance_maps_take_few_operations() -> None:
    counted = Counted()  # type: ignore[no-untyped-call]
    with counted:
        signed_distance_maps(torch.zeros(1, 1, 160, 160))
    assert counted.operations < 160  # row by row they are 838
