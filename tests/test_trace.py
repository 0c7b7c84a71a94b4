"""From a result back to the raw files, on records of made-up jobs; of a real run in tests/workflow/test_miniature.py."""

import hashlib
import os
from pathlib import Path

import pytest

from mcd.cli import main
from mcd.errors import McdError
from mcd.records import Record
from mcd.trace import trace
from mcd.version import code_version


def job(rule: str, inputs: list[str], outputs: list[str], *, digest_inputs: bool = False, **params: object) -> None:
    """Make files, as a rule would, in the folder of a run, which is the working directory."""
    log = f"logs/{rule}/{outputs[0].replace('/', '_')}.log"
    record = Record.begin(rule, params, inputs, log, digest_inputs=digest_inputs)
    for path in outputs:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(f"{rule} {path}")
    record.end(outputs)


SPEC = {"methods": {"multi_condos": "Multi-ConDoS", "scratch": "Fully Supervised"}, "cohort_labels": {"lung": "Lungs"}}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two rows, of one patient."""
    monkeypatch.chdir(tmp_path)
    raw = tmp_path / "elsewhere/ct.nii.gz"
    raw.parent.mkdir()
    raw.write_bytes(b"voxels")
    job(
        "preprocess_subject",
        [str(raw)],
        ["work/lung/subjects/p1/info.json"],
        digest_inputs=True,
        options={"size": [32, 32]},
    )
    runs = [
        f"work/lung/single/{method}/CT/labels{per_cent}/seed0"
        for method, per_cent in (("multi_condos", 5), ("scratch", 10))
    ]
    for folder in runs:
        job("finetune", ["work/lung/subjects/p1/info.json"], [f"{folder}/predictions.h5", f"{folder}/model.pt"])
        job("score", [f"{folder}/predictions.h5"], [f"{folder}/scores.csv"])
    job("aggregate_table", [f"{folder}/scores.csv" for folder in runs], ["results/table2.csv"], spec=SPEC)
    Path("results/table2.csv").write_text("label_ratio,method\n0.05,Multi-ConDoS\n0.1,Fully Supervised\n")
    return tmp_path


def lines(run: Path, *row: str) -> str:
    return "\n".join(trace(run / "results/table2.csv", row))


def test_the_chain_has_every_link_with_code_and_settings(run: Path) -> None:
    text = lines(run)
    order = [
        "results/table2.csv",
        "scores.csv",
        "predictions.h5",
        "model.pt",
        "work/lung/subjects/p1",
        "elsewhere/ct.nii.gz",
    ]
    positions = [text.index(link) for link in order]
    assert positions == sorted(positions)
    assert f"sha256 {hashlib.sha256(b'voxels').hexdigest()}, as it was read" in text
    assert text.count(code_version()) == 6
    assert 'options: {"size": [32, 32]}' in text


@pytest.mark.parametrize(
    "row",
    [("Multi-ConDoS",), ("multi_condos", "CT"), ("0.05",), ("5%", "Lungs"), ("1",)],
    ids=lambda row: " ".join(row),
)
def test_a_row_is_named_by_what_the_table_shows_or_by_its_number(run: Path, row: tuple[str, ...]) -> None:
    text = lines(run, *row)
    assert "multi_condos/CT/labels5/seed0/scores.csv" in text
    assert "scratch/CT" not in text
    assert "elsewhere/ct.nii.gz" in text


def test_a_row_that_is_not_there_is_one_line(run: Path) -> None:
    for row, words in ((("PET",), "is made from nothing called PET"), (("3",), "has no row 3; it has 2")):
        with pytest.raises(McdError, match=words):
            lines(run, *row)


def test_what_changed_since_is_said(run: Path) -> None:
    assert "CHANGED" not in lines(run, "2").partition("scores.csv")[2]
    (run / "elsewhere/ct.nii.gz").write_bytes(b"others")
    scores = run / "work/lung/single/scratch/CT/labels10/seed0/scores.csv"
    scores.write_text("edited")
    text = lines(run, "2")
    (raw,) = [line for line in text.splitlines() if "elsewhere" in line and "sha256" in line]
    assert f"CHANGED SINCE IT WAS READ (sha256 {hashlib.sha256(b'voxels').hexdigest()})" in raw
    assert "CHANGED SINCE IT WAS WRITTEN" in next(line for line in text.splitlines() if "/scores.csv  sha256" in line)
    scores.unlink()
    assert "scores.csv  MISSING" in lines(run, "2")


def test_what_was_made_again_after_it_was_used_is_said(run: Path) -> None:
    job("finetune", [], ["work/lung/single/scratch/CT/labels10/seed0/predictions.h5"])
    assert "MADE AGAIN SINCE score READ IT" in lines(run)


def test_a_file_of_nobody_that_is_newer_than_its_use_is_said(run: Path) -> None:
    (run / "split.json").write_text("{}")
    job("make", ["split.json"], ["results/other.csv"])
    assert "split.json  sha256" in "\n".join(trace(run / "results/other.csv"))
    later = (run / "split.json").stat().st_mtime + 100
    os.utime(run / "split.json", (later, later))
    assert "CHANGED SINCE make READ IT" in "\n".join(trace(run / "results/other.csv"))


def test_what_cannot_be_traced_is_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "results/mine.csv").write_text("")
    for path, words in (
        (run / "results/mine.csv", "no record in"),
        (run / "results/none.csv", "no such file"),
        (Path(__file__), "in no folder of a run"),
    ):
        assert main(["trace", str(path)]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"error: {path}: ")
        assert words in error
        assert error.count("\n") == 1
