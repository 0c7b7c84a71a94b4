"""The trainings of one machine spread over its GPUs. Pretend ones: torch finds none and takes the CPU."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from small_patients import make_scans, write_configuration
from snakemake_run import snakemake

pytestmark = pytest.mark.workflow

LISTED = "".join(f"GPU {number}: NVIDIA H200 (UUID: GPU-{number})\\n" for number in range(3))


def test_trainings_take_the_gpus_that_are_free(tmp_path: Path) -> None:
    program = tmp_path / "bin/nvidia-smi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nprintf '{LISTED}'\n")
    program.chmod(0o755)
    scans = make_scans(tmp_path)
    settings: dict[str, Any] = {
        "methods": ["multi_condos"],
        "label_ratios": [0.25],
        "seeds": [0, 1, 2],
        "compute": {"device": "auto"},
    }
    config = write_configuration(tmp_path, scans, 7, **settings)
    env = {"PATH": f"{program.parent}:{os.environ['PATH']}", "TMPDIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": "0,2"}
    run = snakemake("--cores", "3", "pretrain", folder=tmp_path, config=config, env=env)
    assert run.returncode == 0, run.stdout[-3000:]
    (log,) = tmp_path.glob(".snakemake/log/*.log")
    assert 'Provided resources: gpu=Resource("gpu", 2)' in log.read_text()
    logs = [path.read_text() for path in sorted(tmp_path.glob("logs/*/pretrain_pair/**/*.log"))]
    taken = [re.findall("takes GPU (.*) of 2", log) for log in logs]
    assert len(logs) == 3
    assert {card for cards in taken for card in cards} == {"0", "2"}

    env.pop("CUDA_VISIBLE_DEVICES")
    planned = snakemake("--cores", "3", "finetune", "-n", folder=tmp_path, config=config, env=env)
    assert len(re.findall(r"resources: .*\bgpu=1\b", planned.stdout)) == 3, planned.stdout[-3000:]
