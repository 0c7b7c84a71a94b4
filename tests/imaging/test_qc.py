"""The picture of a patient: everything that it promises is on it."""

import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from mcd.imaging.geometry import Grid
from mcd.imaging.preprocess import Preprocessed, write_preprocessed
from mcd.imaging.qc import COLOURS, contrasts, draw_qc


@pytest.fixture
def patient() -> Preprocessed:
    grid = Grid((40, 30, 20), (1.0, 1.0, 3.0), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    z, y, x = np.mgrid[:20, :30, :40]
    region = (x - 20) ** 2 + (y - 15) ** 2 < 200
    volume = np.where(region, np.sin(x + y + z), 0).astype(np.float32)
    label = np.zeros(grid.shape, np.uint8)
    label[8:12, 10:18, 12:20], label[8:12, 10:18, 24:30] = 1, 4
    info = {
        "subject": "PAT_7",
        "statistics": {name: {"region": "nonzero", "mean": 1.0, "sd": 2.0} for name in ("CT", "PET")},
        "label": {"ml": {"1": 0.768, "4": 0.576}, "lost": 0.1},
        "modalities": ["CT", "PET"],
        "grid": grid.to_json(),
        "warnings": ["10.0% of the label's voxels lie outside the crop"],
    }
    return Preprocessed({"CT": volume, "PET": -volume}, label, {"CT": region, "PET": region}, grid, info)


def pixels_of(picture: np.ndarray, colour: str) -> int:
    return int((np.abs(picture[..., :3] - to_rgb(colour)).max(axis=-1) < 0.08).sum())


def test_every_code_has_its_outline_in_its_colour(patient: Preprocessed, tmp_path: Path) -> None:
    draw_qc(patient, tmp_path / "qc.png")
    picture = matplotlib.image.imread(tmp_path / "qc.png")
    assert pixels_of(picture, COLOURS[0]) > 100
    assert pixels_of(picture, COLOURS[3]) > 100
    assert pixels_of(picture, COLOURS[1]) < 20
    unlabelled = replace(patient, label=None, info={**patient.info, "label": None, "warnings": []})
    draw_qc(unlabelled, tmp_path / "none.png")
    picture = matplotlib.image.imread(tmp_path / "none.png")
    assert pixels_of(picture, COLOURS[0]) < 20


@pytest.mark.parametrize(("inside", "rim"), [(1, 4), (4, 1)])
@pytest.mark.parametrize("width", [1, 3], ids=["thin", "thick"])
def test_a_part_inside_another_keeps_its_colour(
    patient: Preprocessed, inside: int, rim: int, width: int, tmp_path: Path
) -> None:
    z, y, x = np.mgrid[:20, :30, :40]
    distance = np.sqrt(9 * (z - 10) ** 2 + (y - 15) ** 2 + (x - 20) ** 2)
    label = np.where(distance < 6, inside, np.where(distance < 6 + width, rim, 0)).astype(np.uint8)
    draw_qc(replace(patient, label=label), tmp_path / "qc.png")
    picture = matplotlib.image.imread(tmp_path / "qc.png")
    assert all(pixels_of(picture, COLOURS[code - 1]) > 700 for code in (inside, rim))


def test_a_folder_draws_as_what_was_written_in_it(patient: Preprocessed, tmp_path: Path) -> None:
    write_preprocessed(patient, tmp_path / "PAT_7")
    draw_qc(patient, tmp_path / "a.png")
    draw_qc(tmp_path / "PAT_7", tmp_path / "b.png")
    a, b = (matplotlib.image.imread(tmp_path / name) for name in ("a.png", "b.png"))
    assert a.shape == b.shape
    assert np.abs(a - b).mean() < 0.01  # a sine may be exactly 0 inside the region


def test_an_empty_label_draws_too(patient: Preprocessed, tmp_path: Path) -> None:
    empty = replace(
        patient, label=np.zeros_like(patient.label), info={**patient.info, "label": {"ml": {}, "lost": 0.0}}
    )
    draw_qc(empty, tmp_path / "qc.png")
    assert pixels_of(matplotlib.image.imread(tmp_path / "qc.png"), COLOURS[0]) < 20


def test_one_row_a_modality_in_physical_proportion(patient: Preprocessed, tmp_path: Path) -> None:
    draw_qc(patient, tmp_path / "two.png")
    one = replace(patient, volumes={"CT": patient.volumes["CT"]})
    draw_qc(one, tmp_path / "one.png")
    two, one_picture = (matplotlib.image.imread(tmp_path / name) for name in ("two.png", "one.png"))
    assert two.shape[0] - one_picture.shape[0] == pytest.approx(3.1 * 110, abs=2)


def test_each_panel_is_the_slice_with_the_most_label_in_proportion(
    patient: Preprocessed, sheets: list[Figure], tmp_path: Path
) -> None:
    assert patient.label is not None
    patient.label[9, 13:16, 15:18] = 4  # still label, and a little more of it in a slice of its own
    patient.label[9, 18, 16] = 1
    draw_qc(patient, tmp_path / "qc.png")
    (figure,) = sheets
    marked = patient.label > 0
    counts = [[int(marked.take(place, axis=axis).sum()) for place in range(marked.shape[axis])] for axis in range(3)]
    cuts = [count.index(max(count)) for count in counts]
    assert cuts == [9, 10, 16]
    panels = iter(figure.axes)
    for modality in ("CT", "PET"):
        volume, region = patient.volumes[modality], patient.regions[modality]
        for column, (axis, cut, aspect) in enumerate(zip((0, 1, 2), cuts, (1, 3, 3), strict=True)):
            panel = next(panels)
            (image,) = panel.images
            inside = region.take(cut, axis=axis)
            np.testing.assert_array_equal(
                image.get_array(), np.where(inside, volume.take(cut, axis=axis), volume[region].min())
            )
            assert image.get_clim() == (volume[region].min(), volume[region].max())
            assert panel.get_aspect() == aspect
            assert image.origin == ("upper" if axis == 0 else "lower")
            assert (panel.get_title() == "") == (modality == "PET")
            assert modality == "PET" or panel.get_title().endswith(f", {'zyx'[axis]} = {cut}")
            assert panel.get_ylabel() == ("" if column else f"{modality}\nnonzero: 1 ± 2")
    assert not list(panels)
    unlabelled = replace(patient, label=None, info={**patient.info, "label": None})
    draw_qc(unlabelled, tmp_path / "none.png")
    titles = [panel.get_title().rpartition(" ")[2] for panel in sheets[1].axes[:3]]
    content = [np.flatnonzero(patient.regions["CT"].any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    assert titles == [str(span[len(span) // 2]) for span in content]


def test_the_sheet_says_what_it_shows_and_nothing_covers_anything_else(
    patient: Preprocessed, sheets: list[Figure], tmp_path: Path
) -> None:
    draw_qc(patient, tmp_path / "qc.png")
    (figure,) = sheets
    said = [text.get_text() for text in figure.texts]
    assert said == ["PAT_7", "40 × 30 × 20 voxels of 1 × 1 × 3 mm, label 1.3 ml", *patient.info["warnings"]]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "label 1: 0.8 ml",
        "label 4: 0.6 ml",
        "region of the statistics",
    ]
    assert legend.get_window_extent().y1 < min(panel.get_window_extent().y0 for panel in figure.axes)
    parts = [*figure.texts, legend, *figure.axes]
    boxes = [part.get_window_extent() for part in parts]
    for box in boxes:
        assert figure.bbox.padded(1).contains(box.x0, box.y0)
        assert figure.bbox.padded(1).contains(box.x1, box.y1)
    for one, other in combinations(boxes, 2):
        shared = Bbox.intersection(one, other)
        assert shared is None or shared.width < 1 or shared.height < 1


def test_preprocessing_loads_neither_matplotlib_nor_torch_nor_scipy() -> None:
    code = (
        "import sys, mcd.imaging.preprocess, mcd.cohorts.index; "
        "print([name for name in ('matplotlib', 'torch', 'scipy', 'pandas', 'nibabel') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
    code = "import sys, mcd.imaging.qc; print('matplotlib.pyplot' in sys.modules, 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False False"


def test_the_legend_names_the_regions_of_a_code(patient: Preprocessed, sheets: list[Figure], tmp_path: Path) -> None:
    draw_qc(patient, tmp_path / "qc.png", {"WT": [1, 2, 4], "ET": [4]})
    (legend,) = sheets[0].legends
    assert [text.get_text() for text in legend.get_texts()][:2] == [
        "WT (label 1): 0.8 ml",
        "WT, ET (label 4): 0.6 ml",
    ]


def test_cohorts_that_are_seen_together_need_not_share_a_colour(patient: Preprocessed, tmp_path: Path) -> None:
    draw_qc(patient, tmp_path / "qc.png", first=1)
    picture = matplotlib.image.imread(tmp_path / "qc.png")
    assert pixels_of(picture, COLOURS[0]) < 20
    assert pixels_of(picture, COLOURS[1]) > 100
    assert pixels_of(picture, COLOURS[4]) > 100


def test_contrast_is_the_labels_mean_less_that_of_the_rest_of_the_region(patient: Preprocessed) -> None:
    assert patient.label is not None
    inside = patient.label > 0
    volume = np.where(inside, 3.0, np.where(patient.regions["CT"], 1.0, 0.0)).astype(np.float32)
    volume[0] = np.where(patient.regions["CT"][0] & ~inside[0], 5.0, 0.0)
    rest = volume[patient.regions["CT"] & ~inside]
    found = contrasts(replace(patient, volumes={"CT": volume, "PET": -volume}))
    assert found == {"CT": pytest.approx(3 - rest.mean()), "PET": pytest.approx(rest.mean() - 3)}
    assert contrasts(replace(patient, label=None)) == {}
