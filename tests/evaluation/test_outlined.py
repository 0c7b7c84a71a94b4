"""Networks that outline nearly nothing or everything are told from poor ones, by masks that are scored as any."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mcd.evaluation.metrics import score_subject
from mcd.evaluation.outlined import one_sided

SHAPE = (8, 40, 40)


def tumour(side: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[2:6, 10 : 10 + side, 10 : 10 + side] = True
    return mask


def scored(outlined: Any, truths: list[np.ndarray], **run: Any) -> pd.DataFrame:
    """Scores of a network that outlines `outlined(truth)`, one row per patient."""
    names = {
        "cohort": "c",
        "pair": "A-B",
        "modality": "A",
        "method": "m",
        "label_ratio": 0.1,
        "seed": 0,
        "draw": 0,
        "fold": 0,
    } | run
    rows = [
        {**names, "subject": str(number), **row}
        for number, truth in enumerate(truths)
        for row in score_subject({"T": truth}, {"T": outlined(truth)}, (1.0, 1.0, 1.0))
    ]
    return pd.DataFrame(rows)


def stray(truth: np.ndarray) -> np.ndarray:
    mask = np.zeros_like(truth)
    mask[0, 0, :3] = True
    return mask


SMALL = [tumour(side) for side in (6, 8, 10)]
LARGE = [tumour(side) for side in (26, 28, 30)]


@pytest.mark.parametrize(
    ("outlined", "truths", "words"),
    [
        (np.zeros_like, SMALL, "outlines nothing in any of 3 test patients"),
        (stray, SMALL, "finds nothing: sensitivity below 0.01 in each of 3 test patients"),
        (np.zeros_like, SMALL[:1], "outlines nothing in the only test patient"),
        (np.ones_like, SMALL, "outlines nearly everything: 50 times as much as there is (median of 3 test patients)"),
        (np.ones_like, LARGE, "outlines nearly everything: 4.08 times as much as there is"),
        (lambda truth: np.roll(truth, 5, axis=2), SMALL, None),  # poor, and no more
        (lambda truth: np.ones_like(truth) if truth.sum() == 144 else truth, SMALL, None),  # one patient of three
        (lambda truth: truth & (truth.sum() == 144), SMALL, None),  # finds one of three
        (np.zeros_like, [np.zeros(SHAPE, bool)], None),  # rightly
    ],
)
def test_a_network_of_no_use_is_told(outlined: Any, truths: list[np.ndarray], words: str | None) -> None:
    found = list(one_sided(scored(outlined, truths)))
    assert len(found) == (words is not None)
    assert all(str(words) in sentence for _, sentence in found)


def test_each_training_is_judged_for_itself_and_regions_that_fare_alike_are_named_together() -> None:
    well, nothing = (scored(outlined, SMALL, seed=seed) for seed, outlined in ((0, np.copy), (1, np.zeros_like)))
    other = nothing.assign(region="U")
    found = list(one_sided(pd.concat([well, nothing, other, well.assign(seed=1, region="V")])))
    assert [(run["seed"], sentence) for run, sentence in found] == [
        (1, "T, U: the network outlines nothing in any of 3 test patients")
    ]
