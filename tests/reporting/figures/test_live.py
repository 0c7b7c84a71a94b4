"""A training's losses while it runs: written now and then, drawn when it takes long, gone when it is done."""

import csv
from pathlib import Path

import pytest

from mcd.csv_files import read_csv
from mcd.reporting.figures import live
from mcd.reporting.figures.live import Live


def test_losses_are_written_now_and_then_and_drawn_when_it_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("mcd.reporting.figures.live.time.monotonic", lambda: now)
    shown = Live(tmp_path / "run" / "model.pt", 40)
    history = [{"epoch": 1, "total": 2.0}]
    shown(history, dict)
    assert not shown.losses.exists(), "a short training writes nothing"
    now += live.EVERY
    shown(history, dict)
    (row,) = csv.DictReader(read_csv(shown.losses))
    assert (row["epochs"], row["epoch"], row["total"]) == ("40", "1", "2.0")
    assert not shown.curves.exists()
    history.append({"epoch": 2, "total": 1.0})
    now += live.EVERY / 2
    shown(history, dict)
    assert len(list(csv.DictReader(read_csv(shown.losses)))) == 1
    now = 100.0 + live.DRAWN_AFTER
    shown(history, dict)
    assert len(list(csv.DictReader(read_csv(shown.losses)))) == 2
    assert shown.curves.read_bytes().startswith(b"\x89PNG")
    shown.end()
    assert list(tmp_path.rglob("*.*")) == []
    shown.end()
