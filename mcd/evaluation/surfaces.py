"""Scores that measure how far two surfaces are apart, in millimetres."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from mcd.evaluation.overlap import Mask, extent


def hausdorff95(truth: Mask, prediction: Mask, spacing_zyx: Sequence[float]) -> float:
    """Symmetric 95 % Hausdorff distance in mm: the larger of the two directed 95th percentiles.

    The surface of a mask (z, y, x) is its voxels that have a face neighbour outside it (or outside the volume), and a
    distance runs between voxel centres: MONAI's definition. DeepMind's `surface-distance` puts the surface between the
    voxels and weights each element by its area, so that the two differ by about a voxel.

    Both masks empty: 0. Only one of them: the diagonal of the volume, edge to edge, as in BraTS.
    """
    surfaces = [_surface(mask, spacing_zyx) for mask in (truth, prediction)]
    sizes = [len(surface) for surface in surfaces]
    if not any(sizes):
        return 0.0
    if not all(sizes):
        return math.hypot(*(extent * step for extent, step in zip(truth.shape, spacing_zyx, strict=True)))
    one, other = surfaces
    return float(max(np.percentile(_distances(one, other), 95), np.percentile(_distances(other, one), 95)))


def _surface(mask: Mask, spacing_zyx: Sequence[float]) -> NDArray[np.float64]:
    """Centres (n, 3) in mm of a mask's surface voxels."""
    box = extent(mask)
    padded = np.pad(mask[box], 1)
    # As one line, in which neighbours are a fixed step apart: what a step reaches across an edge is padding.
    line = padded.ravel()
    within = line.copy()
    for step in np.cumprod([1, *padded.shape[:0:-1]]):
        within[step:] &= line[:-step]
        within[:-step] &= line[step:]
    surface = np.unravel_index(np.flatnonzero(line & ~within), padded.shape)
    corner = [side.start - 1 for side in box]
    return (np.stack(surface, axis=1) + corner) * np.asarray(spacing_zyx, dtype=float)


def _distances(points: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance from each point to its nearest target.

    A k-d tree of the surface voxels, not a distance transform of the volume: predictions learned from few labels have specks
    everywhere, so that cropping gains nothing, and a transform then takes eight times as long.
    """
    return KDTree(targets, leafsize=32, balanced_tree=False).query(points)[0]
