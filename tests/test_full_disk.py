"""A writer that finds no room says so in one line and leaves nothing, at whatever byte the room ends."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from matplotlib.figure import Figure
from small_disks import small_disk

from mcd.csv_files import write_csv
from mcd.errors import McdError
from mcd.files import write_json, write_text
from mcd.imaging.preprocess import write_preprocessed
from mcd.imaging.write_volume import write_volume
from mcd.prediction.masks import write_predictions
from mcd.reporting.figures.style import save
from mcd.slices.write_shards import write_subjects
from mcd.testing.cohort import tiny_subject
from mcd.training.checkpoint import Checkpoint, save_checkpoint, save_resume

RNG = np.random.default_rng(0)
VOLUME = sitk.GetImageFromArray(RNG.normal(size=(12, 40, 40)).astype(np.float32))
SUBJECTS = [(f"p{number}", tiny_subject(number, size=(48, 48))) for number in range(2)]
WEIGHTS = {"network": {f"w{number}": torch.randn(60, 60) for number in range(6)}}


def draw(path: Path) -> None:
    figure = Figure()
    figure.subplots().imshow(RNG.random((100, 100)))
    save(figure, path)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "volume.nii.gz": lambda path: write_volume(VOLUME, path),
    "volume.nii": lambda path: write_volume(VOLUME, path),
    "volume.mha": lambda path: write_volume(VOLUME, path),
    "volume.nrrd": lambda path: write_volume(VOLUME, path),
    "patient": lambda path: write_preprocessed(SUBJECTS[0][1], path),
    "shard.h5": lambda path: write_subjects(path, SUBJECTS),
    "predictions.h5": lambda path: write_predictions(
        [("p0", RNG.random((2, 8, 48, 48)))], {"WT": [1], "TC": [2]}, path, keep_probabilities=True
    ),
    "model.pt": lambda path: save_checkpoint(Checkpoint("segmentation", {}, WEIGHTS), path),
    "state": lambda path: save_resume({"identity": "", **WEIGHTS["network"]}, path),
    "scores.csv": lambda path: write_csv([["a", "b"], *([number, 1 / 3] for number in range(3000))], path),
    "table.json": lambda path: write_json(path, {str(number): number for number in range(5000)}, sealed=True),
    "page.html": lambda path: write_text(path, "x" * 80_000),
    "figure.png": draw,
}


def size_of(path: Path) -> int:
    """Of a file, or of the largest of a folder."""
    return max(file.stat().st_size for file in ([path] if path.is_file() else path.iterdir()))


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("kind", ["limit", "disk"])
@pytest.mark.parametrize("name", WRITERS)
def test_no_room_is_one_line_and_no_litter(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, kind: str, part: float
) -> None:
    WRITERS[name](tmp_path / "whole" / name)
    room = max(int(part * size_of(tmp_path / "whole" / name)), 1)
    folder = tmp_path / "small"
    folder.mkdir()
    with largest_file(room) if kind == "limit" else small_disk(folder, room):
        if kind == "disk":  # a file system has whole pages: the file ends in its last one
            room = os.statvfs(folder).f_bavail * os.statvfs(folder).f_bsize
            if room >= size_of(tmp_path / "whole" / name):
                pytest.skip("no smaller disk can be had")
        with pytest.raises(McdError, match=f"{name}.*: no space left in .*small.*; .* run it again$") as error:
            WRITERS[name](folder / name)
        assert "\n" not in str(error.value)
        assert not [path for path in folder.rglob("*") if path.is_file()]
    assert "Traceback" not in capfd.readouterr().err


def test_a_folder_that_refuses_is_named(tmp_path: Path) -> None:
    with small_disk(tmp_path, 65536, "ro"), pytest.raises(McdError, match=r"a\.json: .* is read-only; use another"):
        write_json(tmp_path / "a.json", {})
    (tmp_path / "file").write_text("")
    with pytest.raises(McdError, match=r"a\.json: .*file is not a folder; use another one"):
        write_json(tmp_path / "file" / "a.json", {})
