"""Scores that count voxels: Dice, sensitivity, positive predictive value, Boundary IoU.

Every function takes two boolean arrays of one shape, (z, y, x), truth first. If truth and prediction are both empty,
the prediction is right: DSC and Boundary IoU are 1 (the BraTS convention). A ratio whose denominator is 0 is undefined
and returned as NaN, which means leave out and count.
"""

import math

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

# Cheng et al. 2021 take 2 % of the image diagonal for natural images; the paper (Sec. V-C) names no width of its own.
BOUNDARY_WIDTH = 0.02


def dsc(truth: Mask, prediction: Mask) -> float:
    """Dice similarity coefficient 2TP / (2TP + FP + FN); the paper prints it with a misplaced 2."""
    size = _count(truth) + _count(prediction)
    return 2 * _both(truth, prediction) / size if size else 1.0


def sensitivity(truth: Mask, prediction: Mask) -> float:
    """TP / (TP + FN); NaN where the truth is empty."""
    return _ratio(_both(truth, prediction), _count(truth))


def ppv(truth: Mask, prediction: Mask) -> float:
    """Positive predictive value TP / (TP + FP); NaN where the prediction is empty."""
    return _ratio(_both(truth, prediction), _count(prediction))


def boundary_iou(truth: Mask, prediction: Mask, width: float = BOUNDARY_WIDTH) -> float:
    """Boundary IoU (Cheng et al. 2021), slice by slice, intersections and unions summed over the volume.

    The boundary of a mask is its part within `d` voxels of its edge, where `d` is `width` times the diagonal of
    a slice in voxels, rounded, at least 1. Beyond the border of a slice is background.
    """
    truth_boundary, prediction_boundary = (boundary(mask, width) for mask in (truth, prediction))
    union = _count(truth_boundary | prediction_boundary)
    return _both(truth_boundary, prediction_boundary) / union if union else 1.0


def boundary(mask: Mask, width: float = BOUNDARY_WIDTH) -> Mask:
    """The in-plane boundary of a mask (z, y, x): the mask minus the mask eroded `d` times."""
    rim = np.zeros_like(mask)
    d = max(1, round(width * math.hypot(*mask.shape[1:])))
    # Nothing outside the box can survive, so nothing is lost by cropping; slices without the mask have no boundary.
    _, rows, columns = extent(mask)
    held = np.flatnonzero(mask.any(axis=(1, 2)))
    inner = mask[held, rows, columns]
    rim[held, rows, columns] = inner & ~_eroded(inner, d)
    return rim


def extent(mask: Mask) -> tuple[slice, slice, slice]:
    """The box (z, y, x) around a mask; empty where the mask is."""
    plane: Mask = np.any(mask, axis=0)
    return _span(mask, (1, 2)), _span(plane, 1), _span(plane, 0)


def _span(mask: Mask, across: int | tuple[int, ...]) -> slice:
    """From the first to the last place that holds any, along the one axis that is not looked `across`."""
    found = np.flatnonzero(mask.any(axis=across))
    return slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, 0)


def _eroded(mask: Mask, d: int) -> Mask:
    """Each slice eroded d times by a 3x3 square; beyond its border is background.

    That is one minimum over a square of 2d + 1, which is separable, and along an axis over windows that double.
    """
    core = np.pad(mask, ((0, 0), (d, d), (d, d)))
    for axis in (1, 2):
        window = 1
        while window < 2 * d + 1:
            step = min(window, 2 * d + 1 - window)
            lower, upper = ((slice(None),) * axis + (part,) for part in (slice(-step), slice(step, None)))
            core = core[lower] & core[upper]
            window += step
    return core


def _count(mask: Mask) -> int:
    return int(np.count_nonzero(mask))


def _both(one: Mask, other: Mask) -> int:
    return _count(one & other)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
