"""Scores from predictions: without torch, and with one line where predictions and shards do not fit."""

import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mcd.errors import McdError
from mcd.evaluation.metrics import score_subject
from mcd.evaluation.scores import read_scores
from mcd.imaging.preprocess import read_preprocessed
from mcd.prediction.masks import read_predictions, write_predictions
from mcd.prediction.score import score_predictions
from mcd.slices.splits import Origin, read_split, write_split
from mcd.testing.cohort import TinyCohort

REGIONS = {"WT": [1, 2], "TC": [1]}
RUN = {"cohort": "tiny", "pair": "single", "modality": "A", "method": "m", "label_ratio": 0.5, "seed": 0}


def truth(cohort: TinyCohort, subject: str) -> np.ndarray:
    label = read_preprocessed(cohort.folders[subject]).label
    assert label is not None
    return np.stack([np.isin(label, codes) for codes in REGIONS.values()])


def score(cohort: TinyCohort, predictions: Path, threads: int = 1) -> list[dict[str, Any]]:
    return score_predictions(
        predictions=predictions,
        shards=cohort.shards,
        split=cohort.split,
        scores=predictions.with_name("scores.csv"),
        columns=RUN,
        threads=threads,
    )


def test_the_truth_as_prediction_is_perfect_and_each_subject_has_its_own(
    tiny_cohort: TinyCohort, tmp_path: Path
) -> None:
    masks = {"p5": np.zeros_like(truth(tiny_cohort, "p5")), "p4": truth(tiny_cohort, "p4")}
    write_predictions(masks.items(), REGIONS, tmp_path / "p.h5")
    rows = score(tiny_cohort, tmp_path / "p.h5")
    assert [(row["subject"], row["region"], row["DSC"]) for row in rows] == [
        ("p4", "WT", 1.0),
        ("p4", "TC", 1.0),
        ("p5", "WT", 0.0),
        ("p5", "TC", 0.0),
    ]
    scores = read_scores([tmp_path / "scores.csv"])
    assert scores["DSC"].tolist() == [1, 1, 0, 0]
    assert scores["PPV"].isna().tolist() == [False, False, True, True]
    assert (scores["method"] == "m").all()


def test_subjects_that_are_scored_at_once_keep_their_order_and_numbers(
    tiny_cohort: TinyCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = read_split(tiny_cohort.split)
    write_split(replace(split, train=tiny_cohort.subjects[:1], test=tiny_cohort.subjects[1:]), tmp_path / "split.json")
    cohort = replace(tiny_cohort, split=tmp_path / "split.json")
    rng = np.random.default_rng(0)
    masks = {name: rng.random(truth(cohort, name).shape) < 0.3 for name in cohort.subjects[1:]}
    write_predictions(masks.items(), REGIONS, tmp_path / "p.h5")
    alone = score(cohort, tmp_path / "p.h5")
    written = (tmp_path / "scores.csv").read_bytes()
    turns, done = count(), [Event() for _ in range(len(masks) + 1)]
    done[-1].set()

    def last_first(*volumes: Any) -> list[dict[str, Any]]:
        turn = next(turns)
        assert done[turn + 1].wait(timeout=60), "not all are scored at once"
        done[turn].set()
        return score_subject(*volumes)

    monkeypatch.setattr("mcd.prediction.score.score_subject", last_first)
    assert score(cohort, tmp_path / "p.h5", threads=len(masks)) == alone
    assert (tmp_path / "scores.csv").read_bytes() == written


def test_whose_scan_it_is_stands_in_every_row(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    split = read_split(tiny_cohort.split)
    origin = Origin("tiny", 0.2, dict.fromkeys(tiny_cohort.subjects), (), {"p4": "anna", "p0": "bert"})
    write_split(replace(split, drawn_from=origin), tmp_path / "split.json")
    cohort = replace(tiny_cohort, split=tmp_path / "split.json")
    write_predictions([(name, truth(tiny_cohort, name)) for name in ("p4", "p5")], REGIONS, tmp_path / "p.h5")
    assert {(row["subject"], row["person"]) for row in score(cohort, tmp_path / "p.h5")} == {
        ("p4", "anna"),
        ("p5", "p5"),
    }
    (tmp_path / "scores.csv").rename(tmp_path / "named.csv")
    assert read_scores([tmp_path / "named.csv"])["person"].tolist() == ["anna", "anna", "p5", "p5"]
    assert "person" not in score(tiny_cohort, tmp_path / "p.h5")[0]
    assert "person" not in read_scores([tmp_path / "scores.csv"])
    other = pd.read_csv(tmp_path / "scores.csv").assign(method="other").drop(columns="digest")
    other.to_csv(tmp_path / "scores.csv", index=False)
    both = read_scores([tmp_path / "named.csv", tmp_path / "scores.csv"])
    assert both["person"].tolist() == ["anna", "anna", "p5", "p5", "p4", "p4", "p5", "p5"]


def test_predictions_that_do_not_fit_the_shards_are_one_line(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    path = tmp_path / "p.h5"
    remedy = "delete it to regenerate it$"
    write_predictions([("p4", truth(tiny_cohort, "p4"))], REGIONS, path)
    with pytest.raises(McdError, match=rf"p\.h5: holds no prediction for p5; {remedy}"):
        score(tiny_cohort, path)
    write_predictions([(name, truth(tiny_cohort, name)[:, :-1]) for name in ("p4", "p5")], REGIONS, path)
    with pytest.raises(McdError, match=rf"p\.h5: p4 is \(7, 32, 32\), its slices are \(8, 32, 32\); {remedy}"):
        score(tiny_cohort, path)
    assert not (tmp_path / "scores.csv").exists()


def test_a_file_that_is_no_predictions_is_one_line(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    with pytest.raises(McdError, match=r"none\.h5: no such predictions"):
        read_predictions(tmp_path / "none.h5", "p4")
    with pytest.raises(McdError, match=r"0\.h5: is mcd-shard/2, and mcd-predictions/3 is needed; delete it to"):
        read_predictions(tiny_cohort.shards[0], "p4")
    path = tmp_path / "p.h5"
    noise = np.random.default_rng(0).random((2, 8, 32, 32)) > 0.5
    write_predictions([("p4", noise)], REGIONS, path)
    content = bytearray(path.read_bytes())
    middle = len(content) - 500
    content[middle : middle + 20] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(McdError, match=r"p\.h5: damaged \(.*\); delete it to regenerate it$"):
        read_predictions(path, "p4")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(McdError, match=r"text\.h5: not a readable HDF5 file"):
        read_predictions(tmp_path / "text.h5", "p4")


def test_scoring_loads_neither_torch_nor_pandas() -> None:
    """A table has hundreds of scoring jobs, each over in a second."""
    code = "import sys, mcd.prediction.score; sys.exit(any(name in sys.modules for name in ('torch', 'pandas')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
