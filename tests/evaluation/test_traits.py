"""Scores by centre: those of its own patients, and of nobody else."""

import math
from pathlib import Path

import numpy as np
import pytest

from mcd.evaluation.metrics import METRIC_KEYS
from mcd.evaluation.score_rows import write_scores
from mcd.evaluation.scores import read_scores
from mcd.evaluation.traits import by_trait

RUN = {"cohort": "brats", "pair": "T1CE-T2", "modality": "T2", "method": "dsgan", "label_ratio": 0.05}


def test_scores_by_centre_are_means_over_its_own_patients(tmp_path: Path) -> None:
    rows = [
        {**RUN, "seed": seed, "subject": subject, "region": region, **dict.fromkeys(METRIC_KEYS, 0.5), "DSC": dsc}
        for subject, dsc in (("p1", 0.2), ("p2", 0.6), ("p3", 0.9), ("p4", 0.0))
        for region in ("WT", "TC")
        for seed in (0, 1)
    ]
    write_scores(rows, tmp_path / "scores.csv")
    centres = {"brats": {"p1": "north", "p2": "north", "p3": "south"}, "hecktor": {"p4": "south"}}
    table = by_trait(read_scores([tmp_path / "scores.csv"]), centres, "centre")
    found = table[table["metric"] == "DSC"].set_index("centre")
    assert found["value"].to_dict() == pytest.approx({"north": 0.4, "south": 0.9})
    assert found["patients"].to_dict() == {"north": 2, "south": 1}
    assert found["sd"]["north"] == pytest.approx(np.std([0.2, 0.6], ddof=1))
    assert math.isnan(found["sd"]["south"])
    scores = read_scores([tmp_path / "scores.csv"]).assign(person=["anna"] * 8 + ["p3"] * 4 + ["p4"] * 4)
    found = by_trait(scores, centres, "centre", ["DSC"]).set_index("centre")
    assert found["value"].to_dict() == pytest.approx({"north": 0.4, "south": 0.9})
    assert found["patients"].to_dict() == {"north": 1, "south": 1}  # two scans of one person
