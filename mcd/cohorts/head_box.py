"""The box of a head-and-neck patient who was published without one, found in the PET.

As HECKTOR's organisers made theirs until 2021 (github.com/voreille/hecktor, `src/data/bounding_box.py`): the brain is the
largest hot part of the upper third; the box of 144 mm a side reaches 30 mm above the brain's lowest point, and its middle
lies 30 mm in front of the brain's. Their threshold is an SUV of 3; ours is a share of the maximum, since a PET may come in
Bq/ml.
"""

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from mcd.errors import McdError
from mcd.imaging.geometry import Grid, array_of, resample
from mcd.imaging.io import read_volume
from mcd.subject import Subject

SIDE = 144.0  # mm; paper Sec. V
_ABOVE = _AHEAD = 30.0  # mm; the organisers'
_COARSE_MM = 4.0  # about the PET's own voxels
_SMOOTHING_MM = 10.0  # our choice; the organisers' is 3 voxels
_HOT = 0.4  # of the maximum of the upper third; our choice, near an SUV of 3 beside a brain of 7 or 8
_SMALLEST_BRAIN_ML = 100.0  # our choice: what less is, is a tumour or a tonsil


def head_box(subject: Subject) -> tuple[float, ...] | None:
    """Return (x1, x2, y1, y2, z1, z2) in mm, LPS; None where the PET shows no brain.

    Raises:
        McdError: where the PET cannot be read.
    """
    if "PET" not in subject.images:
        raise McdError(f"{subject.id}: no PET, so no box can be found; give one in the column box")
    image = sitk.DICOMOrient(read_volume(subject.images["PET"], note=lambda _: None, not_finite="outside"), "LPS")
    grid = Grid.of(image).respaced((_COARSE_MM,) * 3)
    values = np.nan_to_num(array_of(resample(image, grid, interpolation=sitk.sitkLinear)).astype(np.float32))
    values = ndimage.gaussian_filter(values, _SMOOTHING_MM / _COARSE_MM)
    upper = np.zeros(values.shape, bool)
    upper[2 * len(values) // 3 :] = True
    parts, count = ndimage.label(values > _HOT * values[upper].max())
    if not count:
        return None
    sizes = np.bincount(parts[upper], minlength=count + 1)
    sizes[0] = 0
    brain = np.argwhere(parts == int(np.argmax(sizes)))
    if len(brain) * _COARSE_MM**3 / 1000 < _SMALLEST_BRAIN_ML:
        return None
    ends = grid.world(np.stack([brain.min(axis=0), brain.max(axis=0)])[:, ::-1].astype(float))
    low, high = ends.min(axis=0), ends.max(axis=0)
    middle = (low + high) / 2
    corner = np.array([middle[0] - SIDE / 2, middle[1] - _AHEAD - SIDE / 2, low[2] + _ABOVE - SIDE])
    first, last = _field_of_view(grid)
    corner = np.minimum(np.maximum(corner, first), np.maximum(last - SIDE, first))  # inside, where there is room
    return tuple(np.round(np.stack([corner, corner + SIDE], axis=1), 1).ravel().tolist())


def _field_of_view(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    corners = grid.world(grid.corners)
    return corners.min(axis=0), corners.max(axis=0)
