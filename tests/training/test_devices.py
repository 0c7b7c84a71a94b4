"""Every tensor of a method is on the device that it trains on, as far as that can be seen without a GPU."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.utils.backend_registration as registration

from mcd.pretraining import registry as pretraining
from mcd.segmentation import registry as segmentation
from mcd.training.cards import VISIBLE
from mcd.training.device import torch_device
from mcd.training.schedule import Compute

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("cuda", "visible", "said"),
    [
        (
            None,
            None,
            "trains on the CPU, although there are 2 NVIDIA GPUs: torch .* was built without CUDA; install a build",
        ),
        (
            "12.6",
            "GPU-b",
            "although there is an NVIDIA GPU: torch .* was built for CUDA 12.6, which their driver does not",
        ),
        (None, "", None),  # hidden on purpose
    ],
)
def test_a_gpu_that_torch_cannot_use_is_told_with_the_remedy(
    cuda: str | None,
    visible: str | None,
    said: str | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("mcd.training.cards.installed_cards", lambda: ("GPU-a", "GPU-b"))
    monkeypatch.setattr("mcd.training.device.installed_cards", lambda: ("GPU-a", "GPU-b"))
    monkeypatch.delenv(VISIBLE, raising=False)
    if visible is not None:
        monkeypatch.setenv(VISIBLE, visible)
    assert torch_device(Compute(device="auto")).type == "cpu"
    assert bool(caplog.messages) == bool(said)
    assert re.search(said or "", "".join(caplog.messages))
    caplog.clear()
    torch_device(Compute(device="cpu"))
    assert caplog.messages == []


def test_without_a_gpu_nothing_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a scheduler has named."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("mcd.training.device.installed_cards", tuple)
    monkeypatch.setenv(VISIBLE, "0")
    assert torch_device(Compute(device="auto")).type == "cpu"
    assert caplog.messages == []


@pytest.mark.skipif(
    not hasattr(registration, "_setup_privateuseone_for_python_backend"), reason="this torch has no devices in Python"
)
def test_no_method_leaves_a_tensor_on_the_host() -> None:
    path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    run = subprocess.run(
        [sys.executable, str(TESTS / "one_step.py")],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    said = json.loads(run.stdout)
    forgotten = said.pop("forgetful")
    assert forgotten == "RuntimeError: aten.mul.Tensor: a tensor [(4,)] is on the host, and others are on the device"
    assert said == dict.fromkeys([*pretraining.REGISTRY, *segmentation.REGISTRY], "")
