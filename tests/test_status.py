"""What a run is doing, told from what its jobs leave: running and done ones, trainings with time left and warnings."""

import os
from pathlib import Path

import pytest

from mcd.cli import main
from mcd.locks import alone, hold
from mcd.records import Record
from mcd.status import RUNNING, made_since
from mcd.training.history import write_history

STATE = "work/.resume/work/tiny/A-B/pretraining/multi_condos/seed0/checkpoint"


def training(folder: Path, epochs: int, modality: str = "") -> None:
    """Losses as `Live` writes them: two of `epochs` epochs of 90 seconds are done."""
    row = {"epochs": epochs, "modality": modality, "seconds": 90.0, "mcd_version": "1+aa", "contrastive": 0.5}
    row |= {"generator_total": 2.0, "weights_moved": 0.1}
    losses = folder / f"{STATE}.losses.csv"
    losses.parent.mkdir(parents=True, exist_ok=True)
    write_history([{**row, "epoch": 1}, {**row, "epoch": 2, "warning": "it went wrong; mend it"}], losses)


def told(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["status", str(folder)]) == 0
    return capsys.readouterr().out.splitlines()


def test_jobs_and_trainings_of_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        Record.begin("preprocess_subject", {}, [], f"logs/preprocess_subject/p{number}.log").end([])
    training(tmp_path, 200)
    with alone("logs/pretrain_pair/tiny.log.lock"), alone(f"{STATE}.lock"):
        lines = told(tmp_path, capsys)
    assert lines[0] == "1 job running"
    assert lines[1].startswith("  pretrain_pair/tiny: process ")
    assert lines[2] == (
        "training work/tiny/A-B/pretraining/multi_condos/seed0/checkpoint: epoch 2/200, 4 h 57 min left"
    )
    assert lines[3] == "  generator_total 2.0000, contrastive 0.5000"
    assert lines[4] == "  warning: epoch 2: it went wrong; mend it"
    assert lines[5:] == ["done: 2 preprocess_subject"]


def test_between_two_jobs_the_workflow_is_said_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").mkdir()
    held = hold(tmp_path / RUNNING)
    assert held is not None
    assert hold(tmp_path / RUNNING) is None  # another one's
    (line,) = told(tmp_path, capsys)
    assert line.startswith("no job is running at the moment, but the workflow is: process ")
    with alone(tmp_path / "logs/pretrain_pair/tiny.log.lock"):
        assert told(tmp_path, capsys)[0] == "1 job running"
    held.close()
    assert told(tmp_path, capsys) == ["nothing is running"]


def test_what_a_run_made_is_named_pages_first(tmp_path: Path) -> None:
    """What is older is not; a folder is, by its page or by how many of its files are new."""
    names = ["table2.csv", "index.html", "qc/index.html", "qc/a/p0.png", "qc/p1.png", "old.html", "patients/.stamp"]
    names += [f"predictions/run/p{number}.nii.gz" for number in range(3)] + ["curves/run/x.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (100, 100))
    for name in ("old.html", "predictions/run/p1.nii.gz"):
        os.utime(tmp_path / name, (99, 99))
    found = ["index.html", "qc/index.html", "table2.csv", "curves/run (1 file)", "predictions/run (2 files)"]
    assert made_since(tmp_path, 100) == [str(tmp_path / name) for name in found]
    assert made_since(tmp_path, 101) == []


def test_a_killed_training_is_said_to_be_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").mkdir()
    training(tmp_path, 10, modality="A")
    lines = told(tmp_path, capsys)
    assert lines[0] == "nothing is running"
    assert lines[1].endswith(": A, epoch 2/10, stopped: the next run goes on with it")


def test_another_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(tmp_path)]) == 1
    assert "no folder of a run" in capsys.readouterr().err
