"""Volumes from disk: NIfTI, NRRD and MetaImage files, and DICOM series folders.

What a file holds is decided by its first bytes, not by its name. A header that contradicts itself is refused, or read as other
programs read it and said so.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mcd.errors import McdError
from mcd.imaging import contents
from mcd.imaging.dicom import read_dicom_file, read_series
from mcd.imaging.dicom_label import dicom_object, read_dicom_label
from mcd.imaging.geometry import Grid
from mcd.imaging.nifti import header_of_pair, read_nifti
from mcd.imaging.nrrd_meta import read_nrrd_or_meta
from mcd.paths import file_and_channel

# ITK warns on stderr about every header oddity that it has already dealt with; what matters is checked here.
sitk.ProcessObject.SetGlobalWarningDisplay(False)

log = logging.getLogger(__name__)

Note = Callable[[str], None]
"""Takes a sentence about a file that was read although its header contradicts itself."""


def read_volume(path: str | Path, *, note: Note = log.warning, not_finite: str = "refuse") -> sitk.Image:
    """Return the 3D volume of a file, or of a folder that holds exactly one DICOM series.

    DICOM values are rescaled as the header says, slice by slice, and come as float32. PET stays in the header's unit (Bq/ml
    mostly, or SUV) and is not converted: SUV differs by one factor per patient, which the z-score takes out. `FILE[2]` is
    the third volume of a four-dimensional file; a fourth dimension of one volume is dropped. A file with one slice of a
    DICOM series stands for the series, of which other slices lie beside it.

    Args:
        note: told of what was read although its header contradicts itself, and how it was read.
        not_finite: `refuse` voxels that are NaN or infinite, or leave them to the caller, as NaN, who takes them as
            `outside` the image (the configuration's `preprocessing.not_finite`).

    Raises:
        McdError: for a missing, unreadable or damaged file, for anything but one three-dimensional volume of numbers, for a
            header from which the place of the voxels does not follow, and for DICOM slices that are missing, damaged or
            unlike the others.
    """
    path, channel = file_and_channel(path)
    if not path.exists():
        raise McdError(f"{path}: no such file or folder; correct the path")
    image = read_series(path) if path.is_dir() else _read_file(path, note, channel)
    while image.GetDimension() > 3 and image.GetSize()[-1] == 1:
        image = image[..., 0]
    if image.GetDimension() != 3 or image.GetSize()[2] < 2:
        raise McdError(
            f"{path}: one volume is needed, its size is {image.GetSize()}; give a file or a DICOM folder with one"
        )
    if image.GetNumberOfComponentsPerPixel() != 1 or "complex" in image.GetPixelIDTypeAsString():
        raise McdError(f"{path}: {image.GetPixelIDTypeAsString()} voxels; give a volume with one real number per voxel")
    _check_grid(image, path)
    return _with_finite_values(image, path, not_finite)


def read_label(
    path: str | Path, grid: Grid, names: Mapping[str, int] | None = None, *, note: Note = log.warning
) -> sitk.Image:
    """Return a label map: a volume, or a DICOM SEG or RTSTRUCT, itself or as the folder that holds it.

    Args:
        grid: of the image that it was drawn on; contours have no grid of their own.
        names: of a DICOM object's segments, as `read_dicom_label` takes them.

    Raises:
        McdError: like `read_volume`, and for segments that overlap.
    """
    path = Path(path)
    if found := dicom_object(path):
        return read_dicom_label(*found, grid, names)
    return read_volume(path, note=note)


def _read_file(path: Path, note: Note, channel: int | None) -> sitk.Image:
    kind = contents.held_by(path)
    if kind not in (contents.NIFTI, contents.PAIR, contents.NRRD, contents.META, contents.DICOM):
        if header := header_of_pair(path):
            return _read_file(header, note, channel)
        if kind == contents.ANALYZE:
            raise McdError(f"{path}: Analyze 7.5, which does not say which side is left; convert it to NIfTI")
        raise McdError(
            f"{path}: not a readable volume (it holds {kind}); give NIfTI, NRRD, MetaImage or a DICOM series"
        )
    if kind in (contents.NIFTI, contents.PAIR):
        return read_nifti(path, kind, note, channel)
    image = read_dicom_file(path) if kind == contents.DICOM else read_nrrd_or_meta(path, kind)
    if channel is None:
        return image
    if image.GetDimension() != 4 or channel >= image.GetSize()[3]:
        raise contents.no_channel(path, channel, image.GetSize()[3] if image.GetDimension() == 4 else 1)
    return image[..., channel]


def _check_grid(image: sitk.Image, path: Path) -> None:
    """Raise `McdError` for an invalid grid: numbers that are not finite, or axes that are not at right angles."""
    grid = Grid.of(image)
    axes = np.reshape(grid.direction, (3, 3))
    if not np.isfinite([*grid.spacing, *grid.origin, *grid.direction]).all() or min(grid.spacing) <= 0:
        raise McdError(f"{path}: its header has a spacing, origin or direction that is not a number; correct it")
    skew = np.abs(axes.T @ axes - np.eye(3)).max()
    if skew > 1e-3:
        raise McdError(f"{path}: its axes are not at right angles (by {skew:.3f}); resample it first")


def _with_finite_values(image: sitk.Image, path: Path, not_finite: str) -> sitk.Image:
    values = sitk.GetArrayViewFromImage(image)
    if not np.issubdtype(values.dtype, np.floating):
        return image
    finite = np.isfinite(values)
    if finite.all():
        return image
    if not_finite == "refuse":
        count = int((~finite).sum())
        raise McdError(
            f"{path}: {count} voxels are not finite numbers; replace them, or say that they lie outside the image "
            "(preprocessing: {not_finite: outside})"
        )
    return Grid.of(image).image(np.where(finite, values, np.nan))
