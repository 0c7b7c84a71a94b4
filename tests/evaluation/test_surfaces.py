"""HD95: worked values, units, empty masks."""

import math

import numpy as np
import pytest

from mcd.evaluation.surfaces import hausdorff95


def voxel(*where: int, shape: tuple[int, ...] = (5, 6, 7)) -> np.ndarray:
    volume = np.zeros(shape, dtype=bool)
    volume[where] = True
    return volume


def test_two_single_voxels_are_as_far_apart_as_their_centres() -> None:
    assert hausdorff95(voxel(0, 0, 0), voxel(2, 3, 4), (3.0, 1.0, 0.5)) == pytest.approx(math.hypot(6, 3, 2))


def test_spacing_is_z_y_x() -> None:
    assert hausdorff95(voxel(0, 0, 0), voxel(1, 0, 0), (3.0, 1.0, 0.5)) == pytest.approx(3.0)
    assert hausdorff95(voxel(0, 0, 0), voxel(0, 0, 1), (3.0, 1.0, 0.5)) == pytest.approx(0.5)


def test_equal_masks_are_at_no_distance() -> None:
    volume = np.random.default_rng(0).random((5, 6, 7)) < 0.4
    assert hausdorff95(volume, volume, (2.0, 1.0, 1.0)) == 0


def test_symmetric_takes_the_worse_direction() -> None:
    small, large = np.zeros((2, 1, 1, 101), dtype=bool)
    small[..., :10] = True
    large[...] = True  # every voxel of so thin a mask is surface
    far = np.percentile(np.maximum(0, np.arange(101) - 9), 95)
    assert hausdorff95(small, large, (1, 1, 1)) == hausdorff95(large, small, (1, 1, 1)) == pytest.approx(far)


def test_one_stray_voxel_in_many_does_not_count() -> None:
    truth = np.zeros((20, 40, 40), dtype=bool)
    truth[5:15, 10:20, 10:20] = True
    prediction = truth.copy()
    prediction[0, 39, 39] = True
    assert hausdorff95(truth, prediction, (1, 1, 1)) == 0


def test_empty_masks() -> None:
    empty, some = np.zeros((155, 240, 240), dtype=bool), voxel(3, 3, 3, shape=(155, 240, 240))
    assert hausdorff95(empty, empty, (1, 1, 1)) == 0
    assert hausdorff95(empty, some, (1, 1, 1)) == hausdorff95(some, empty, (1, 1, 1))
    assert hausdorff95(some, empty, (1, 1, 1)) == pytest.approx(373.1287, abs=1e-4)  # what BraTS counts for a miss
    assert hausdorff95(some, empty, (2, 0.5, 0.5)) == pytest.approx(math.hypot(310, 120, 120))


def test_a_full_volume_has_its_surface_at_the_border() -> None:
    full = np.ones((4, 5, 6), dtype=bool)
    core = np.zeros_like(full)
    core[1:-1, 1:-1, 1:-1] = True
    assert hausdorff95(full, core, (1, 1, 1)) >= 1
