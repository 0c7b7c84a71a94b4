"""Every tensor of a method is on the device that it trains on, as far as that can be seen without a GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch.utils.backend_registration as registration

from mcd.pretraining import registry as pretraining
from mcd.segmentation import registry as segmentation

TESTS = Path(__file__).parents[1]


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
