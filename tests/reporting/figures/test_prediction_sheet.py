"""The page on a new patient: outlines in their colours, and everything that is said in the text of its PDF."""

from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from mcd.imaging.preprocess import Preprocessed
from mcd.reporting.figures.prediction_sheet import SLICES, draw_prediction, spread
from mcd.reporting.figures.style import REGIONS, VERMILLION
from mcd.testing.cohort import tiny_subject


@pytest.fixture
def prepared() -> Preprocessed:
    return tiny_subject(0)


def coloured(path: Path, colour: str) -> int:
    picture = matplotlib.image.imread(path)
    return int((np.abs(picture[..., :3] - to_rgb(colour)).max(axis=-1) < 0.05).sum())


def draw(prepared: Preprocessed, masks: dict[str, np.ndarray], path: Path, warnings: list[str]) -> None:
    draw_prediction(prepared, masks, dict.fromkeys(masks, 1.25), "case", ["a model"], warnings, path)


def test_outlines_and_warnings_have_their_colours(prepared: Preprocessed, tmp_path: Path) -> None:
    assert prepared.label is not None
    masks = {"WT": prepared.label > 0, "TC": prepared.label == 1}
    draw(prepared, masks, tmp_path / "a.png", ["voxels of 9 mm"])
    for colour in (*REGIONS[:2], VERMILLION):
        assert coloured(tmp_path / "a.png", colour) > 100
    assert (tmp_path / "a.pdf").stat().st_size > 1000
    draw(prepared, {name: np.zeros_like(mask) for name, mask in masks.items()}, tmp_path / "b.png", [])
    assert coloured(tmp_path / "b.png", VERMILLION) == 0
    assert coloured(tmp_path / "b.png", REGIONS[0]) < coloured(tmp_path / "a.png", REGIONS[0])  # its legend alone


def test_a_page_grows_with_modalities_not_with_slices(prepared: Preprocessed, tmp_path: Path) -> None:
    assert prepared.label is not None
    masks = {"WT": prepared.label > 0}
    draw(prepared, masks, tmp_path / "two.png", [])
    one = replace(prepared, volumes={"A": prepared.volumes["A"]})
    draw(one, masks, tmp_path / "one.png", [])
    two, single = (matplotlib.image.imread(tmp_path / name).shape for name in ("two.png", "one.png"))
    assert two[1] == single[1]
    assert two[0] > 1.3 * single[0]
    assert spread(np.arange(100)) == [round(99 * step / (SLICES - 1)) for step in range(SLICES)]
    assert spread(np.array([3, 7])) == [3, 7]
