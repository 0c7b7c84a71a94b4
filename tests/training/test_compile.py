"""Blocks that are compiled: when, and to the same training."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from mcd.errors import McdError
from mcd.slices.batches import Batch, SliceSet
from mcd.slices.shards import Shards
from mcd.testing.cohort import TinyCohort
from mcd.testing.interruption import killed_in
from mcd.training import loop
from mcd.training.device import compiling
from mcd.training.history import MEASURED, History
from mcd.training.loop import train
from mcd.training.method import Losses, Method
from mcd.training.schedule import LONG, Compute, Schedule

SCHEDULE = Schedule(epochs=2, batch_size=4, steps_per_epoch=3, learning_rate=1e-2)
CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


class Opponents(Method):
    """Two players around a block with batch normalisation; the second reads what the first one's pass put out."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.block = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True))
        self.judge = nn.Linear(3, 1)

    def players(self) -> dict[str, Sequence[nn.Parameter]]:
        return {"block": list(self.block.parameters()), "judge": list(self.judge.parameters())}

    def losses(self, batch: Batch, player: str) -> Losses:
        if player == "block":
            self.feature = self.block(batch.images)
            return {"total": (self.feature - 1).square().mean()}
        return {"total": self.judge(self.feature.detach().mean((2, 3))).square().mean()}


@pytest.fixture
def slices(tiny_cohort: TinyCohort) -> SliceSet:
    return SliceSet(Shards(tiny_cohort.shards), ["p0", "p1", "p2"], ["A", "B"])


def run(slices: SliceSet, compute: Compute, resume: Path | None = None) -> tuple[Opponents, History]:
    method = Opponents()
    return method, train(method, slices, SCHEDULE, compute, seed=1, resume=resume, save_every=0)


def test_auto_compiles_long_trainings_of_one_process_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    auto = Compute(compile="auto")
    assert compiling(auto, GPU, LONG) is True
    assert compiling(auto, GPU, LONG - 1) is False
    assert compiling(auto, CPU, LONG) is False
    assert compiling(Compute(), GPU, LONG) is False
    assert compiling(Compute(compile=True), CPU, 1) is True
    assert compiling(Compute(compile="graphs"), GPU, 1) == "graphs"
    monkeypatch.setattr("mcd.training.device.processes", lambda: 2)
    assert compiling(auto, GPU, LONG) is False
    for asked in (True, "graphs"):
        with pytest.raises(McdError, match="for one process"):
            compiling(Compute(compile=asked), GPU, LONG)


def test_graphs_without_a_gpu_are_refused(slices: SliceSet) -> None:
    with pytest.raises(McdError, match="compile: graphs needs a GPU, and the training is on cpu; set it to auto"):
        run(slices, Compute(device="cpu", compile="graphs"))


@pytest.mark.parametrize(("text", "means"), [("true", True), ("false", False), ("auto", "auto"), ("graphs", "graphs")])
def test_the_key_is_read_as_text_too(text: str, means: object) -> None:
    """Snakemake's `--config` passes it so."""
    assert Compute.read({"compile": text}, "compute").compile is means or means == text


def test_a_misspelt_way_to_compile_is_one_line() -> None:
    with pytest.raises(McdError, match=r"^compute: compile: .*'auto' or 'graphs'.*\(given: 'grafs'\)$"):
        Compute.read({"compile": "grafs"}, "compute")


@pytest.mark.skipif(not shutil.which("g++"), reason="torch compiles for a CPU with g++")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch's compiler uses what torch deprecates
@pytest.mark.parametrize("how", [True, "graphs"])
def test_a_compiled_training_learns_the_same(
    how: object, slices: SliceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to rounding, and killed in between to the same digits. Without a GPU, torch compiles for graphs and makes none."""
    plain, expected = run(slices, Compute(device="cpu"))
    monkeypatch.setattr(loop, "compiling", lambda *_: how)
    begun: list[None] = []
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: begun.append(None))
    whole, history = run(slices, Compute(device="cpu"))
    assert whole.block._compiled_call_impl is not None
    assert len(begun) == (SCHEDULE.epochs * 3 if how == "graphs" else 0)  # once per batch, not per player
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(whole.state_dict()[key], value, rtol=1e-4, atol=1e-5, msg=key)
    for one, other in zip(expected, history, strict=True):
        assert other["block_total"] == pytest.approx(one["block_total"], rel=1e-4)

    resume = tmp_path / "resume.pt"
    with killed_in(1, Opponents):
        run(slices, Compute(device="cpu"), resume)
    again, continued = run(slices, Compute(device="cpu"), resume)
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[key], value, rtol=0, atol=0, msg=key)
    assert [{k: v for k, v in row.items() if k not in MEASURED} for row in continued] == [
        {k: v for k, v in row.items() if k not in MEASURED} for row in history
    ]


def test_a_state_is_taken_up_only_by_a_training_that_compiles_alike(
    slices: SliceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    resume = tmp_path / "resume.pt"
    run(slices, Compute(device="cpu"), resume)
    monkeypatch.setattr(loop, "compiling", lambda *_: True)
    monkeypatch.setattr(loop, "_compile_blocks", lambda *_, **__: None)
    run(slices, Compute(device="cpu"), resume)
    assert "it was of another compute.compile" in caplog.text
