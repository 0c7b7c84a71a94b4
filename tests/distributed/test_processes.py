"""Two processes over gloo learn what one does on the same batches, whatever the method."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from several_processes import to_the_weights_precision, train
from torch import nn

from mcd.distributed import shares
from mcd.errors import McdError
from mcd.pretraining.registry import REGISTRY
from mcd.testing.cohort import make_tiny_cohort
from mcd.training.checkpoint import load_checkpoint
from mcd.training.history import MEASURED

CASES = [*(f"{algorithm}/double" for algorithm in REGISTRY), "dsgan/single", "simclr/single"]
TESTS = Path(__file__).parents[1]


def start(processes: int, folder: Path, *cases: str, launched: int = 1) -> subprocess.CompletedProcess[str]:
    """Train the cases by so many processes of `torchrun`, or by `launched` ones that a single process starts itself."""
    together = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    return subprocess.run(
        [
            sys.executable,
            *together,
            str(TESTS / "distributed/several_processes.py"),
            str(launched),
            str(folder),
            *cases,
        ],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every case trained by one process into `1`, and by two into `2`."""
    folder = tmp_path_factory.mktemp("processes")
    make_tiny_cohort(folder)
    for processes in (1, 2):
        run = start(processes, folder, *CASES)
        assert run.returncode == 0, run.stdout[:6000]
    return folder


def losses(folder: Path, processes: int, name: str, process: int = 0) -> list[dict[str, float]]:
    rows = json.loads((folder / str(processes) / f"{name}.{process}.json").read_text())
    return [{key: value for key, value in row.items() if key not in ("modality", *MEASURED)} for row in rows]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_learn_what_one_does(case: str, folder: Path) -> None:
    name = case.replace("/", "_")
    one, two = (load_checkpoint(folder / str(processes) / f"{name}.pt").weights for processes in (1, 2))
    double = case.endswith("double")
    for row, other in zip(losses(folder, 1, name), losses(folder, 2, name), strict=True):
        assert row == pytest.approx(other, rel=1e-6 if double else 2e-3)  # the loop adds losses up in single precision
    assert losses(folder, 2, name, process=0) == losses(folder, 2, name, process=1)
    for modality, state in one.items():
        for key, value in state.items():
            # a bias before a BatchNorm has no gradient but rounding, which Adam makes steps of in single precision
            if double or value.dim() != 1:
                torch.testing.assert_close(two[modality][key], value, rtol=0, atol=1e-7 if double else 2e-3, msg=key)


def test_a_job_starts_its_processes_itself(folder: Path, tmp_path: Path) -> None:
    """As the workflow does where a job was given several GPUs: to the same numbers as under `torchrun`."""
    make_tiny_cohort(tmp_path)
    run = start(1, tmp_path, "dsgan/double", launched=2)
    assert run.returncode == 0, run.stdout[:6000]
    assert losses(tmp_path, 2, "dsgan_double") == losses(folder, 2, "dsgan_double")


def test_a_mistake_in_a_started_process_is_told_in_one_line(tmp_path: Path) -> None:
    make_tiny_cohort(tmp_path)
    run = start(1, tmp_path, "nonesuch/single", launched=2)
    assert run.returncode == 1
    assert "McdError: algorithm 'nonesuch' is unknown" in run.stdout
    assert "ChildFailedError" not in run.stdout


def test_the_batch_matters_to_what_is_compared(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the statistics of the whole batch, weights differ by far more than the tolerance above."""
    name = "simclr_double"
    monkeypatch.setenv("WORLD_SIZE", "1")
    handle = nn.modules.module.register_module_forward_pre_hook(to_the_weights_precision)  # type: ignore[arg-type]
    monkeypatch.setattr(
        shares, "shared", lambda network, images: torch.cat([network(part) for part in images.split(7)])
    )
    monkeypatch.setattr("mcd.models.encoder.shared", shares.shared)
    copy = tmp_path / "copy"
    make_tiny_cohort(copy)
    try:
        apart = load_checkpoint(train(copy, "simclr/double")).weights["A"]
    finally:
        handle.remove()
    whole = load_checkpoint(folder / "1" / f"{name}.pt").weights["A"]
    key = "encoder.0.0.weight"
    assert (apart[key] - whole[key]).abs().max() > 1e-5


def test_a_batch_norm_s_gradient_is_torch_s() -> None:
    """One process that pretends to hold a share of 1: the formulas are those of `nn.BatchNorm2d`."""
    torch.manual_seed(0)
    ours, torchs = shares.BatchNorm2d(3).double(), nn.BatchNorm2d(3).double()
    features = torch.randn(4, 3, 5, 5, dtype=torch.double, requires_grad=True)
    twin = features.detach().clone().requires_grad_()
    mean, variance, count = shares.moments(features)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.distributed.all_reduce", lambda values: None)
        output = shares._Normalise.apply(features, mean, variance, count, ours.weight, ours.bias, ours.eps)  # type: ignore[no-untyped-call]
        weights = torch.randn_like(output)
        (output * weights).sum().backward()
    expected = torchs(twin)
    (expected * weights).sum().backward()
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(features.grad, twin.grad)
    torch.testing.assert_close(ours.weight.grad, torchs.weight.grad)
    torch.testing.assert_close(ours.bias.grad, torchs.bias.grad)


def test_more_processes_than_slices_in_a_batch_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_cohort(tmp_path)
    monkeypatch.setattr("mcd.training.loop.processes", lambda: 8)
    with pytest.raises(McdError, match="8 processes cannot share a batch of 7"):
        train(tmp_path, "simclr/single")
