"""The picture of a patient: everything that it promises is on it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from mcd.imaging.geometry import Grid
from mcd.imaging.preprocess import Preprocessed, write_preprocessed
from mcd.imaging.qc import COLOURS, draw_qc


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


def test_preprocessing_loads_neither_matplotlib_nor_torch_nor_scipy() -> None:
    code = (
        "import sys, mcd.imaging.preprocess, mcd.cohorts.index; "
        "print([name for name in ('matplotlib', 'torch', 'scipy', 'pandas', 'nibabel') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
    code = "import sys, mcd.imaging.qc; print('matplotlib.pyplot' in sys.modules, 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False False"
