"""Where voxels lie in the world: the grid of a volume, and the way from arrays to images and back.

World coordinates are LPS in mm, as in DICOM and SimpleITK. A `Grid` is in (x, y, z); an array is in (z, y, x).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

# Our choice: headers of one lattice differ by the rounding of single precision, of text and of quaternions, which stays below
# a hundredth of a voxel; no registration or drawing means so little.
_SAME_LATTICE = 0.01


@dataclass(frozen=True)
class Grid:
    """Size in voxels, spacing and origin (first voxel's centre) in mm, direction cosines row by row; all x, y, z."""

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]

    @classmethod
    def of(cls, image: sitk.Image) -> "Grid":
        """Return the grid of an image."""
        return cls(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Grid":
        """Return the grid that `to_json` described."""
        return cls(
            tuple(int(voxels) for voxels in content["size"]),
            *(tuple(float(value) for value in content[key]) for key in ("spacing", "origin", "direction")),
        )

    def to_json(self) -> dict[str, list[float]]:
        """Return lists of numbers, which `from_json` turns back into the very same grid."""
        return {key: list(value) for key, value in asdict(self).items()}

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape (z, y, x) of an array on this grid."""
        return self.size[::-1]

    @property
    def voxel_ml(self) -> float:
        """The volume of a voxel in millilitres."""
        return float(np.prod(self.spacing)) / 1000

    @property
    def corners(self) -> np.ndarray:
        """The indices (8, 3) in (x, y, z) of the outermost voxels."""
        return corners(self.size)

    @property
    def _axes(self) -> np.ndarray:
        """The (3, 3) matrix from voxel steps to mm: one column per axis."""
        return np.reshape(self.direction, (3, 3)) * np.asarray(self.spacing)

    def world(self, index: np.ndarray) -> np.ndarray:
        """Return the world points (N, 3) in mm of continuous voxel indices (N, 3) in (x, y, z)."""
        return np.asarray(index, dtype=float) @ self._axes.T + np.asarray(self.origin)

    def index(self, world: np.ndarray) -> np.ndarray:
        """Return the continuous voxel indices (N, 3) in (x, y, z) of world points (N, 3) in mm."""
        return (np.asarray(world, dtype=float) - np.asarray(self.origin)) @ np.linalg.inv(self._axes).T

    def contains(self, index: np.ndarray) -> np.ndarray:
        """Return (N,) booleans: which continuous indices (N, 3) lie in a voxel of this grid."""
        return np.all((index >= -0.5) & (index < np.asarray(self.size) - 0.5), axis=-1)

    def start_on(self, other: "Grid") -> tuple[int, int, int] | None:
        """Return the voxel of `other` on which the first one of this grid lies; None unless all of its voxels lie on voxels.

        They may lie beyond the last voxels of `other`.
        """
        index = other.index(self.world(self.corners))
        start = np.rint(index[0]).astype(int)
        if np.abs(index - self.corners - start).max() > _SAME_LATTICE:
            return None
        x, y, z = start.tolist()
        return x, y, z

    def respaced(self, spacing: tuple[float, ...]) -> "Grid":
        """Return the grid over the same field of view, edge to edge and to half a voxel, with another spacing in mm."""
        old, new = np.asarray(self.spacing), np.asarray(spacing, dtype=float)
        size = np.maximum(1, np.round(np.asarray(self.size) * old / new)).astype(int)
        first = self.world(((new / old - 1) / 2)[None])[0]  # the lower edges of the two first voxels coincide
        return Grid(tuple(size.tolist()), tuple(new.tolist()), tuple(first.tolist()), self.direction)

    def cropped(self, start: tuple[float, ...], size: tuple[int, ...]) -> "Grid":
        """Return the part that begins at voxel `start` (x, y, z) and has `size` voxels; it may reach outside."""
        origin = self.world(np.asarray([start]))[0]
        return Grid(tuple(size), self.spacing, tuple(origin.tolist()), self.direction)

    def empty_image(self, pixel_type: int = sitk.sitkUInt8) -> sitk.Image:
        """Return an image of zeros on this grid."""
        return self._place(sitk.Image(list(self.size), pixel_type))

    def image(self, array: np.ndarray) -> sitk.Image:
        """Return an array (z, y, x) as an image on this grid; booleans become uint8."""
        if array.shape != self.shape:
            raise ValueError(f"an array of shape {array.shape} does not lie on a grid of shape {self.shape}")
        return self._place(sitk.GetImageFromArray(array.astype(np.uint8) if array.dtype == bool else array))

    def _place(self, image: sitk.Image) -> sitk.Image:
        image.SetSpacing(self.spacing)
        image.SetOrigin(self.origin)
        image.SetDirection(self.direction)
        return image


def corners(size: Sequence[int]) -> np.ndarray:
    """Return the indices (8, 3) of the outermost voxels of a box of `size` (x, y, z), the first voxel's first."""
    return np.asarray([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (np.asarray(size) - 1)


def array_of(image: sitk.Image) -> np.ndarray:
    """Return a copy of an image's voxels as an array (z, y, x)."""
    return sitk.GetArrayFromImage(image)


def resample(
    image: sitk.Image,
    grid: Grid,
    transform: sitk.Transform | None = None,
    interpolation: int = sitk.sitkNearestNeighbor,
    outside: float = 0.0,
) -> sitk.Image:
    """Return `image` on `grid`, with the value `outside` beyond its field of view; float32 where that is NaN.

    `transform` leads from the world of the grid to the world of the image (None: they are the same).
    """
    return sitk.Resample(
        image,
        grid.size,
        transform if transform is not None else sitk.Transform(),
        interpolation,
        grid.origin,
        grid.spacing,
        grid.direction,
        outside,
        sitk.sitkFloat32 if np.isnan(outside) else image.GetPixelID(),
    )


def nearest(image: sitk.Image, grid: Grid, transform: sitk.Transform | None = None, outside: float = 0.0) -> np.ndarray:
    """Return what `resample` does by nearest neighbour, as an array (z, y, x): a part of `image` where the grids agree."""
    start = grid.start_on(Grid.of(image)) if transform is None else None
    if start is None:
        return array_of(resample(image, grid, transform, outside=outside))
    values = sitk.GetArrayViewFromImage(image)
    found = np.full(grid.shape, outside, np.float32 if np.isnan(outside) else values.dtype)
    there, here = [], []
    for first, size, whole in zip(start[::-1], grid.shape, values.shape, strict=True):
        low, high = max(first, 0), max(min(first + size, whole), 0)
        there.append(slice(low, high))
        here.append(slice(low - first, max(high, low) - first))
    found[tuple(here)] = values[tuple(there)]
    return found


def to_raw_grid(array: np.ndarray, grid: Grid, raw: Grid, transform: sitk.Transform | None = None) -> sitk.Image:
    """Return a prediction on the cropped common grid as an image on a raw volume's grid; 0 outside the crop.

    `array` (z, y, x) lies on `grid`. `transform` is the one by which the raw volume was brought onto `grid` (from the world
    of the grid to that of the volume) and is taken back. Whole numbers and booleans are labels: nearest neighbour, uint8.
    Floating point numbers are probabilities: linear, float32.
    """
    labels = not np.issubdtype(array.dtype, np.floating)
    image = grid.image(array.astype(np.uint8 if labels else np.float32))
    back = transform.GetInverse() if transform is not None else None
    return resample(image, raw, back, sitk.sitkNearestNeighbor if labels else sitk.sitkLinear)
