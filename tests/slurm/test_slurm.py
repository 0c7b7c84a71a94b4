"""The workflow on a Slurm of its own, whose jobs and node fail. Slow, so not among the other tests: `make test-slurm`."""

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, missing, output, wait_until

pytestmark = pytest.mark.slurm

ROOT = Path(__file__).parents[2]
TRAININGS = {"pretrain_pair": 1, "finetune_pair": 2}
"""Jobs of the miniature that train."""
QUICK = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10"]


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Snakemake, as a user starts it beside the Snakefile, whose output goes to `folder`.log."""
    line = [sys.executable, "-m", "snakemake", "results/table2.csv", *arguments]
    line += ["--configfile", "tests/slurm/miniature.yaml", "--directory", str(folder)]
    with open(f"{folder}.log", "wb") as log:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *line], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
        )


def finish(process: subprocess.Popen[bytes], folder: Path) -> None:
    code = process.wait(1500)
    assert code == 0, Path(f"{folder}.log").read_text()[-5000:]


def table(folder: Path) -> bytes:
    return (folder / "results/table2.csv").read_bytes() + (folder / "results/table2_long.csv").read_bytes()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    reason = missing()
    if reason:
        pytest.skip(reason)
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield cluster.start()
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def local(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made on this machine, without Slurm."""
    folder = tmp_path_factory.mktemp("local")
    finish(start(folder, "--cores", "2"), folder)
    return folder


@pytest.fixture(scope="module")
def remote(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by Slurm, with the profile beside the default one."""
    folder = tmp_path_factory.mktemp("slurm")
    finish(start(folder, "--profile", "profiles/slurm", *QUICK), folder)
    return folder


def test_slurm_makes_the_table_that_this_machine_makes(local: Path, remote: Path) -> None:
    assert table(remote) == table(local)


def test_every_training_asked_for_a_gpu_and_nothing_else_did(cluster: Cluster, remote: Path) -> None:
    jobs = cluster.jobs()
    assert {job["state"] for job in jobs} == {"COMPLETED"}
    asked = Counter((job["rule"], job["asked"]) for job in jobs)
    assert {rule: asked.pop((rule, "gres:gpu:1"), 0) for rule in TRAININGS} == TRAININGS
    assert {gpus for _, gpus in asked} == {"N/A"}


def training(folder: Path, cluster: Cluster, rule: str) -> bool:
    """Whether a job of the rule is past its start: its script has opened the log."""
    return bool(cluster.running(rule)) and any((folder / f"logs/brats/{rule}").rglob("*.log"))


def test_a_killed_job_and_a_lost_node_change_nothing(cluster: Cluster, remote: Path, tmp_path: Path) -> None:
    """The run goes on by itself: Snakemake sends a cancelled job again, Slurm one whose node it lost."""
    folder = Path(shutil.copytree(remote, tmp_path / "run", symlinks=True))
    for made in ("results", "work/brats/T1CE-T2", "logs/brats"):
        shutil.rmtree(folder / made)
    before = {job["id"] for job in cluster.jobs()}
    process = start(folder, "--workflow-profile", "profiles/slurm", *QUICK)
    try:
        wait_until(lambda: training(folder, cluster, "pretrain_pair"), "a running pre-training", 600)
        output("scancel", *cluster.running("pretrain_pair"))
        wait_until(lambda: training(folder, cluster, "finetune_pair"), "a running fine-tuning", 600)
        cluster.kill_node()
        cluster.start_node()
        finish(process, folder)
    finally:
        process.kill()
    jobs = [job for job in cluster.jobs() if job["id"] not in before]
    assert sorted(job["state"] for job in jobs if job["rule"] == "pretrain_pair") == ["CANCELLED", "COMPLETED"]
    tuned = [(job["state"], job["restarts"]) for job in jobs if job["rule"] == "finetune_pair"]
    assert len(tuned) == 2
    assert {state for state, _ in tuned} == {"COMPLETED"}
    assert "1" in {restarts for _, restarts in tuned}
    assert table(folder) == table(remote)
