"""Fig. 2: both modalities, truth and every method."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from mcd.imaging.preprocess import read_preprocessed
from mcd.prediction.masks import write_predictions
from mcd.reporting.figures import segmentations
from mcd.reporting.figures.segmentations import Predicted, draw_comparison, greys, painted, typical_patients
from mcd.testing.cohort import TinyCohort

REGIONS = {"WT": [1, 2], "TC": [1]}


@pytest.fixture
def runs(tiny_cohort: TinyCohort, tmp_path: Path) -> list[Predicted]:
    """Two methods in two modalities: one predicts the truth, one shifts it."""
    found = []
    for method, step in (("Right", 0), ("Shifted", 5)):
        for modality in "AB":
            masks = {}
            for subject, folder in tiny_cohort.folders.items():
                label = read_preprocessed(folder).label
                assert label is not None
                truth = np.stack([np.isin(label, codes) for codes in REGIONS.values()])
                masks[subject] = np.roll(truth, step, axis=3)
            path = tmp_path / f"{method}{modality}.h5"
            write_predictions(masks.items(), REGIONS, path)
            found.append(Predicted("tiny", modality, REGIONS, tiny_cohort.shards, path, method, "A-B", "Tiny"))
    return found


def test_a_row_a_modality_and_each_panel_shows_its_mask(
    runs: list[Predicted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Figure] = []
    monkeypatch.setattr(segmentations, "save", lambda figure, path, images=False: kept.append(figure))
    draw_comparison(runs, "Tiny: simulated", tmp_path / "fig2.png")
    panels = kept[0].axes
    assert len(panels) == 4 * 4  # two patients in two modalities; image, truth and two methods
    assert [panel.get_title() for panel in panels[:4]] == ["Image", "Truth", "Right", "Shifted"]
    for row in range(4):
        truth, right, shifted = (np.asarray(panel.images[0].get_array()) for panel in panels[4 * row + 1 : 4 * row + 4])
        np.testing.assert_array_equal(truth, right)
        np.testing.assert_array_equal(shifted, np.roll(truth, 5, axis=1))
        assert set(np.unique(truth)) == {0, 0.75, 1}


@pytest.mark.parametrize("look", ["greys", "outlines"])
def test_the_same_predictions_give_the_same_bytes(runs: list[Predicted], tmp_path: Path, look: str) -> None:
    for name in ("a", "b"):
        draw_comparison(runs, "a title", tmp_path / f"{name}.png", look)  # type: ignore[arg-type]
    for kind in ("png", "pdf"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    assert imread(tmp_path / "a.png").std() > 0.05


def test_a_method_that_a_modality_cannot_have_leaves_its_panels_empty(
    runs: list[Predicted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(segmentations, "save", lambda figure, path, images=False: drawn.append(figure))
    draw_comparison(runs, "a title", tmp_path / "fig2.png")
    draw_comparison(runs[:-1], "a title", tmp_path / "fig2.png")
    whole, without = ([len(panel.images) for panel in figure.axes] for figure in drawn)
    lost = [before - after for before, after in zip(whole, without, strict=True)]
    assert sum(lost) == 2  # the two patients in this modality
    assert [panel.texts[0].get_text() for panel, less in zip(drawn[1].axes, lost, strict=True) if less] == ["–", "–"]


def test_the_patients_are_those_nearest_to_the_median(runs: list[Predicted], tiny_cohort: TinyCohort) -> None:
    sizes = {name: np.count_nonzero(read_preprocessed(folder).label) for name, folder in tiny_cohort.folders.items()}  # type: ignore[arg-type]
    distance = {name: abs(size - np.median(list(sizes.values()))) for name, size in sizes.items()}
    chosen = typical_patients(runs[0], 2)
    assert chosen == sorted(chosen)
    assert max(distance[name] for name in chosen) <= min(distance[name] for name in set(sizes) - set(chosen))


def test_greys_are_the_paper_s_and_smaller_regions_lie_on_larger_ones() -> None:
    brats = {"ET": [4], "WT": [1, 2, 4], "TC": [1, 4]}
    assert greys(brats) == {"WT": 0.75, "TC": 1.0, "ET": 0.45}
    assert greys({"GTVt": [1]}) == {"GTVt": 1.0}
    assert len(set(greys({str(n): list(range(n)) for n in range(1, 9)}).values())) == 8
    masks = {name: np.isin([[0, 1, 2, 4]], codes) for name, codes in brats.items()}
    np.testing.assert_array_equal(painted(brats, masks), [[0, 1.0, 0.75, 0.45]])
