"""Predictions on the raw image's grid. Separate from predicting, which needs no image library."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mcd.imaging.geometry import Grid, to_raw_grid
from mcd.imaging.registration import transform_of
from mcd.imaging.write_volume import write_volume
from mcd.prediction.masks import predicted_subjects, read_predictions, region_codes
from mcd.slices.shards import Shards


def write_on_raw_grid(codes: np.ndarray, info: Mapping[str, Any], modality: str, path: str | Path) -> None:
    """Write a label volume (z, y, x) as NIfTI on the grid of the subject's raw image, so that a viewer overlays the two.

    Args:
        codes: on the preprocessed grid.
        info: the subject's info.json, with its grids and the modality's registration.
        modality: the one whose raw image gives the grid.
    """
    grid, raw = Grid.from_json(info["grid"]), Grid.from_json(info["raw_grids"][modality])
    image = to_raw_grid(codes, grid, raw, transform_of(info, modality))
    write_volume(image, path)


def export_predictions(
    predictions: str | Path,
    shards: Sequence[str | Path],
    modality: str,
    regions: Mapping[str, Sequence[int]],
    folder: str | Path,
) -> list[Path]:
    """Write every prediction of a run as `<folder>/<subject>.nii.gz` on the raw image's grid; return the files."""
    written = []
    with Shards(shards) as opened:
        for subject in predicted_subjects(predictions):
            codes = region_codes(regions, read_predictions(predictions, subject))
            written.append(Path(folder) / f"{subject}.nii.gz")
            write_on_raw_grid(codes, opened.subject(subject).info, modality, written[-1])
    return written
