"""Pictures are made, and show what they are given."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.image import imread

from mcd.imaging.preprocess import read_preprocessed
from mcd.prediction.masks import write_predictions
from mcd.reporting.figures.loss_curves import draw_curves
from mcd.reporting.figures.segmentations import Predicted, draw_segmentations
from mcd.testing.cohort import TinyCohort

REGIONS = {"WT": [1, 2], "TC": [1]}


def test_curves_are_drawn_from_the_losses(tmp_path: Path) -> None:
    losses = pd.DataFrame({"epoch": [1, 2, 1, 2], "total": [2.0, 1, 3, 2], "accuracy": [0, 0.5, 0, 0.5]})
    losses.assign(modality=["CT", "CT", "PET", "PET"]).to_csv(tmp_path / "losses.csv", index=False)
    draw_curves(tmp_path / "losses.csv", tmp_path / "losses.png")
    assert imread(tmp_path / "losses.png").std() > 0.05


def test_the_outline_of_a_prediction_is_where_the_prediction_is(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    """Two pictures with different predictions differ, with the same they do not."""
    label = read_preprocessed(tiny_cohort.folders["p4"]).label
    assert label is not None
    truth = np.stack([np.isin(label, codes) for codes in REGIONS.values()])

    def draw(name: str, mask: np.ndarray) -> np.ndarray:
        write_predictions([("p4", mask)], REGIONS, tmp_path / f"{name}.h5")
        runs = [Predicted("tiny", modality, REGIONS, tiny_cohort.shards, tmp_path / f"{name}.h5") for modality in "AB"]
        draw_segmentations(runs, "a title", tmp_path / f"{name}.png")
        return imread(tmp_path / f"{name}.png")

    right, again, shifted = draw("right", truth), draw("again", truth), draw("shifted", np.roll(truth, 6, axis=3))
    np.testing.assert_array_equal(right, again)
    assert right.shape == shifted.shape
    assert (right != shifted).any()
