"""Overlap scores: worked values, empty masks, and Boundary IoU against its definition spelt out."""

import itertools
import math

import numpy as np
import pytest

from mcd.evaluation.overlap import boundary, boundary_iou, dsc, ppv, sensitivity


def mask(shape: tuple[int, ...], *voxels: tuple[int, ...]) -> np.ndarray:
    volume = np.zeros(shape, dtype=bool)
    for voxel in voxels:
        volume[voxel] = True
    return volume


def naive_boundary(volume: np.ndarray, d: int) -> np.ndarray:
    """A voxel is boundary if, in its slice, a voxel within d rows and columns is background or beyond the border."""
    found = np.zeros_like(volume)
    height, width = volume.shape[1:]
    for z, y, x in np.argwhere(volume):
        for dy, dx in itertools.product(range(-d, d + 1), repeat=2):
            inside = 0 <= y + dy < height and 0 <= x + dx < width
            if not inside or not volume[z, y + dy, x + dx]:
                found[z, y, x] = True
    return found


def test_overlap_by_hand() -> None:
    truth = mask((1, 2, 4), (0, 0, 0), (0, 0, 1), (0, 0, 2))
    prediction = mask((1, 2, 4), (0, 0, 2), (0, 1, 3))
    # TP 1, FN 2, FP 1
    assert dsc(truth, prediction) == pytest.approx(2 * 1 / (2 * 1 + 1 + 2))
    assert sensitivity(truth, prediction) == pytest.approx(1 / 3)
    assert ppv(truth, prediction) == pytest.approx(1 / 2)


def test_dsc_is_symmetric_and_not_the_printed_formula() -> None:
    truth = mask((1, 1, 6), (0, 0, 0), (0, 0, 1))
    prediction = mask((1, 1, 6), (0, 0, 1), (0, 0, 2), (0, 0, 3), (0, 0, 4))
    assert dsc(truth, prediction) == dsc(prediction, truth) == pytest.approx(2 / 6)
    assert dsc(truth, prediction) != pytest.approx(2 * 1 / (1 + 2 * 3 + 1))


def test_both_empty_is_right_and_ratios_are_undefined() -> None:
    empty = mask((2, 3, 3))
    assert dsc(empty, empty) == 1
    assert boundary_iou(empty, empty) == 1
    assert math.isnan(sensitivity(empty, empty))
    assert math.isnan(ppv(empty, empty))


def test_only_truth_or_only_prediction() -> None:
    empty, some = mask((2, 3, 3)), mask((2, 3, 3), (1, 1, 1))
    assert dsc(empty, some) == dsc(some, empty) == 0
    assert boundary_iou(empty, some) == boundary_iou(some, empty) == 0
    assert math.isnan(sensitivity(empty, some))
    assert ppv(empty, some) == 0
    assert sensitivity(some, empty) == 0
    assert math.isnan(ppv(some, empty))


@pytest.mark.parametrize(("shape", "d"), [((3, 12, 12), 1), ((3, 40, 60), 1), ((2, 60, 80), 2), ((1, 110, 130), 3)])
def test_boundary_width_is_two_percent_of_the_slice_diagonal(shape: tuple[int, ...], d: int) -> None:
    assert max(1, round(0.02 * math.hypot(*shape[1:]))) == d
    volume = np.ones(shape, dtype=bool)
    rim = boundary(volume)
    assert not rim[:, d:-d, d:-d].any()
    assert rim.sum() == volume.sum() - shape[0] * (shape[1] - 2 * d) * (shape[2] - 2 * d)


@pytest.mark.parametrize("seed", range(6))
def test_boundary_iou_against_its_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape, width = (4, 22, 31), [0.02, 0.05, 0.09][seed % 3]
    d = max(1, round(width * math.hypot(*shape[1:])))
    truth, prediction = rng.random((2, *shape)) < 0.1
    for box in (np.s_[1:3, 2:17, 0:24], np.s_[2:4, 5:22, 6:31]):  # compact blobs that touch the border, with holes
        (truth if box[0].start == 1 else prediction)[box] = rng.random(truth[box].shape) < 0.995
    a, b = naive_boundary(truth, d), naive_boundary(prediction, d)
    np.testing.assert_array_equal(boundary(truth, width), a)
    assert boundary_iou(truth, prediction, width) == pytest.approx((a & b).sum() / (a | b).sum())


def test_boundary_iou_sees_edges_where_dice_does_not() -> None:
    truth, prediction = np.zeros((2, 1, 60, 60), dtype=bool)
    truth[0, 5:55, 5:55] = True
    prediction[0, 7:53, 7:53] = True
    assert dsc(truth, prediction) > 0.9
    assert boundary_iou(truth, prediction) == 0


def test_the_masks_are_left_alone() -> None:
    truth = np.random.default_rng(0).random((3, 9, 9)) < 0.5
    before = truth.copy()
    boundary_iou(truth, truth)
    np.testing.assert_array_equal(truth, before)
