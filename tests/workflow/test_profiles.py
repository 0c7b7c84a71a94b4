"""Snakemake takes every key of every profile, and a job really goes through the generic cluster's submit command."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_patients import make_scans, write_configuration
from snakemake_run import ROOT
from workflow_rules import rules

pytestmark = pytest.mark.workflow

PROFILES = sorted(path.parent.name for path in (ROOT / "profiles").glob("*/config.yaml"))

QUEUE = """#!/usr/bin/env bash
echo "$@" >> "$(dirname "$0")/submitted"
bash "${@: -1}" > /dev/null 2>&1 &
echo $!
"""


@pytest.mark.parametrize("name", PROFILES)
def test_snakemake_takes_every_key(name: str) -> None:
    """Parsed as Snakemake parses it, in a process of its own; an unknown key ends it."""
    profile = yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text())
    executor = profile.get("executor")
    if executor:
        pytest.importorskip(f"snakemake_executor_plugin_{executor.replace('-', '_')}")
    code = (
        "import sys; from snakemake.cli import parse_args\n"
        "_, arguments = parse_args(['--profile', sys.argv[1], '--workflow-profile', 'none', '-s', sys.argv[2]])\n"
        "print(arguments.executor, arguments.keep_going, arguments.scheduler)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, f"{ROOT}/profiles/{name}", f"{ROOT}/Snakefile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-500:]
    assert run.stdout.split()[-3:] == [str(executor), "True", "greedy"]


def test_lsf_asks_for_a_gpu_for_every_rule_that_does() -> None:
    trains = {rule.name for rule in rules() if "gpu" in rule.resources}
    assert {"pretrain_pair", "finetune_pair"} <= trains
    lines = yaml.safe_load((ROOT / "profiles/lsf/config.yaml").read_text())["set-resources"]
    assert {line.split(":")[0] for line in lines} == trains


def submitted(tmp_path: Path, *arguments: str, folder: Path, config: Path, **environment: str) -> list[str]:
    """What a run hands to a `qsub` that starts each job on this machine, a line a job."""
    pytest.importorskip("snakemake_executor_plugin_cluster_generic")
    queue = tmp_path / "bin/qsub"
    queue.parent.mkdir()
    queue.write_text(QUEUE)
    queue.chmod(0o755)
    run = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", *arguments),
            *("--workflow-profile", f"{ROOT}/profiles/cluster-generic", "--configfile", str(config)),
            *("-s", f"{ROOT}/Snakefile", "--directory", str(folder)),
        ],
        env={**os.environ, "PATH": f"{queue.parent}{os.pathsep}{os.environ['PATH']}", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:]
    return (queue.parent / "submitted").read_text().splitlines()


def test_jobs_go_through_the_generic_clusters_submit_command(tmp_path: Path) -> None:
    target, folder = "data/hecktor/hecktor2020_bounding_boxes.csv", tmp_path / "run"
    (job,) = submitted(tmp_path, target, folder=folder, config=ROOT / "configs/smoke.yaml")
    assert (folder / target).exists()
    assert "-pe smp 1 -l h_vmem=1000M -l h_rt=10:00 -l gpu=0 " in job
    assert job.strip().endswith(".sh")


def test_a_training_that_goes_to_a_cluster_asks_for_a_gpu(tmp_path: Path) -> None:
    """With `device: auto`, from a machine that has none itself, as login nodes are."""
    settings: dict[str, Any] = {"methods": ["multi_condos"], "label_ratios": [0.25], "compute": {"device": "auto"}}
    config = write_configuration(tmp_path, make_scans(tmp_path), 7, **settings)
    jobs = submitted(tmp_path, "pretrain", folder=tmp_path, config=Path(config), CUDA_VISIBLE_DEVICES="")
    (training,) = [job for job in jobs if "-l h_rt=2880:00" in job]
    assert "-l h_vmem=32000M -l h_rt=2880:00 -l gpu=1 " in training
    assert all("-l gpu=0 " in job for job in jobs if job != training)
