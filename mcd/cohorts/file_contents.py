"""What a look into one file tells: an image or a label map, its codes, and how much room its content takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mcd.errors import McdError
from mcd.imaging import BODY_HU
from mcd.imaging.dicom_label import codes_in, dicom_object
from mcd.imaging.geometry import array_of
from mcd.imaging.io import read_volume

_FEW_VALUES = 16  # a volume with no more than this many whole numbers is a label map
_LARGEST_CODE = 255
_LEAST_ALIKE = (
    0.7  # our choice: share of labelled voxels like their neighbour; anatomical maps have 0.9, 8-bit images 0.1
)


@dataclass(frozen=True)
class Look:
    """What one file shows: few whole numbers or an image, its spacing and what it takes to hold its content."""

    discrete: bool
    lowest: float
    zeros: float  # share of the voxels
    spacing: tuple[float, float, float]  # mm between voxels, along left-right, front-back and feet-head
    extent: tuple[float, float]  # (x, y) mm of the content


def look_into(files: Mapping[str, Path]) -> Look | None:
    """Look into the first of several patients' `files` that can be read; None where none of three can."""
    for name in sorted(files)[:3]:
        try:
            image = sitk.DICOMOrient(read_volume(files[name]), "LPS")
        except McdError:
            continue  # `mcd check-cohort` reports it
        values = array_of(image)
        content = values > BODY_HU if values.min() < BODY_HU else values != 0
        spans = [
            np.flatnonzero(content.any(axis=(0, 3 - axis)))[[0, -1]] if content.any() else (0, 0) for axis in (2, 1)
        ]
        spacing = image.GetSpacing()
        extent = tuple(float(span[1] - span[0] + 1) * side for span, side in zip(spans, spacing[:2], strict=True))
        discrete = codes_of(files[name]) is not None
        return Look(discrete, float(values.min()), float((values == 0).mean()), spacing, (extent[0], extent[1]))
    return None


def codes_of(path: Path) -> set[int] | None:
    """The codes above 0 of a label map; None for an image, and for what cannot be read."""
    try:
        if found := dicom_object(path):
            return set(codes_in(found[1]))
        volume = array_of(read_volume(path, note=lambda _: None))
        values = np.unique(volume)
    except McdError:
        return None
    if values.min() < -1e-3 or values.max() > _LARGEST_CODE or np.abs(values - np.rint(values)).max() > 1e-3:
        return None
    if len(values) > _FEW_VALUES and not _in_pieces(volume):
        return None
    return {int(code) for code in np.rint(values) if code > 0.5}


def _in_pieces(volume: np.ndarray) -> bool:
    """Whether a volume (z, y, x) is made of pieces of one value, as a map of many codes is."""
    inside = volume[..., 1:] > 0
    return bool(inside.any()) and float((np.diff(volume, axis=-1) == 0)[inside].mean()) >= _LEAST_ALIKE
