"""The scores against MONAI and surface-distance, which define them independently."""

import math

import numpy as np
import pytest
import surface_distance
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance, get_confusion_matrix
from monai.metrics.confusion_matrix import compute_confusion_matrix_metric
from scipy import ndimage

from mcd.evaluation.metrics import score_subject

SPACINGS = [(1.0, 1.0, 1.0), (3.0, 1.0, 1.0), (2.5, 0.7, 0.9)]


def pair(kind, seed):
    """Two masks (z, y, x): noise, single voxels, smooth blobs, or a blob against the whole volume."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(8, 24, size=3))
    if kind == "noise":
        return rng.random(shape) < 0.2, rng.random(shape) < 0.1
    if kind == "voxels":
        masks = np.zeros((2, *shape), dtype=bool)
        for mask in masks:
            mask[tuple(rng.integers(shape))] = True
        return masks
    field = ndimage.gaussian_filter(rng.normal(size=(2, *shape)), (0, 2, 2, 2))
    blob, other = field > np.quantile(field, 0.85)
    return (blob, np.ones(shape, dtype=bool)) if kind == "full" else (blob, other | blob & (field[0] > field[0].mean()))


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("kind", ["noise", "voxels", "blobs", "full"])
@pytest.mark.parametrize("seed", range(3))
def test_against_monai(kind, seed, spacing):
    truth, prediction = pair(kind, seed)
    row = score_subject({"r": truth}, {"r": prediction}, spacing)[0]
    y, y_pred = (torch.from_numpy(np.ascontiguousarray(mask))[None, None].float() for mask in (truth, prediction))
    assert row["DSC"] == pytest.approx(compute_dice(y_pred, y).item(), abs=1e-6)
    confusion = get_confusion_matrix(y_pred, y, include_background=True)
    for key, name in (("Sen", "sensitivity"), ("PPV", "precision")):
        assert row[key] == pytest.approx(compute_confusion_matrix_metric(name, confusion).item(), abs=1e-6)
    expected = compute_hausdorff_distance(y_pred, y, include_background=True, percentile=95, spacing=spacing).item()
    assert row["HD95"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(5))
def test_hd95_near_surface_distance(seed, spacing):
    """surface-distance has its surface elements between the voxels and weighs them by area: a voxel's diagonal apart."""
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in (20, 36, 36)], indexing="ij"), -1) * spacing
    rng = np.random.default_rng(seed)
    centre = np.array([10, 18, 18]) * spacing
    truth = np.linalg.norm(grid - centre, axis=-1) < 6
    prediction = np.linalg.norm((grid - centre - rng.uniform(-3, 3, 3)) / rng.uniform(0.7, 1.4, 3), axis=-1) < 6
    ours = score_subject({"r": truth}, {"r": prediction}, spacing)[0]["HD95"]
    theirs = surface_distance.compute_robust_hausdorff(
        surface_distance.compute_surface_distances(truth, prediction, spacing), 95
    )
    assert ours > 0
    assert abs(ours - theirs) <= math.hypot(*spacing)


def test_hd95_equals_surface_distance_where_the_definitions_agree():
    """A shift along an axis moves every surface element of a box by as much, whatever its area."""
    truth, prediction = np.zeros((2, 12, 30, 30), dtype=bool)
    truth[2:6, 8:20, 8:20] = prediction[7:11, 8:20, 8:20] = True  # 5 slices of 3 mm
    theirs = surface_distance.compute_robust_hausdorff(
        surface_distance.compute_surface_distances(truth, prediction, (3, 1, 1)), 95
    )
    assert score_subject({"r": truth}, {"r": prediction}, (3, 1, 1))[0]["HD95"] == pytest.approx(theirs)
