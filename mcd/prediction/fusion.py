"""One segmentation from several networks' (beyond the paper): the mean probability, or STAPLE. No torch.

STAPLE is Warfield, Zou and Wells, "Simultaneous truth and performance level estimation (STAPLE)", IEEE TMI 23(7), 2004, for
binary masks. It is implemented here because training machines have no image library; `tests/prediction/test_fusion.py`
compares it with SimpleITK's filter, whose initialisation, prior and stopping rule it follows.
"""

from collections.abc import Sequence

import numpy as np

from mcd.errors import McdError

FUSIONS = ("mean", "staple")
THRESHOLD = 0.5
"""A voxel with this probability or more is in the region."""

_TOLERANCE, _MOST_ITERATIONS = 1e-7, 10_000  # of a sensitivity or specificity


def fuse(probabilities: Sequence[np.ndarray], how: str = "mean") -> np.ndarray:
    """Fuse the networks' probabilities, each (regions, z, y, x) in 0..1, region by region; the same shape, float32.

    Args:
        how: `mean` of the probabilities, or `staple` over the thresholded masks, whose result is the probability that a
            voxel is truly in the region. A single network's probabilities are returned unchanged.

    Raises:
        McdError: for another `how`.
    """
    if how not in FUSIONS:
        raise McdError(f"fusion {how!r} is unknown; use one of {', '.join(FUSIONS)}")
    if len(probabilities) == 1:
        return probabilities[0]
    if how == "mean":
        return np.stack(probabilities).mean(axis=0)
    masks = np.stack(probabilities) >= THRESHOLD
    return np.stack([staple(masks[:, region]) for region in range(masks.shape[1])]).astype(np.float32)


def staple(masks: np.ndarray) -> np.ndarray:
    """The probability (z, y, x) that a voxel is truly in the region, from (raters, z, y, x) boolean masks.

    Every rater has a sensitivity and a specificity, which expectation maximisation estimates together with the truth; the
    prior is the share of the voxels that a rater marks, on average. Voxels with the same votes have the same probability,
    so the iteration runs over the patterns of votes, of which there are few.

    Raises:
        McdError: for more than eight raters.
    """
    if len(masks) > 8:
        raise McdError(f"STAPLE over {len(masks)} masks: at most eight are supported; fuse by their mean")
    packed = np.packbits(masks.astype(bool), axis=0, bitorder="little")[0]
    raters = len(masks)
    counts = np.bincount(packed.ravel(), minlength=2**raters)
    patterns = (np.arange(2**raters)[:, None] >> np.arange(raters) & 1).astype(bool)  # (patterns, raters)
    truth = patterns.mean(axis=1)
    prior = float(truth @ counts / counts.sum())
    if prior in (0.0, 1.0):  # everybody agrees everywhere
        return np.full(packed.shape, prior)
    before = np.full(2 * raters, -1.0)
    for _ in range(_MOST_ITERATIONS):
        inside, outside = truth * counts, (1 - truth) * counts
        sensitivity = inside @ patterns / inside.sum()
        specificity = outside @ ~patterns / outside.sum()
        likely_in = prior * np.where(patterns, sensitivity, 1 - sensitivity).prod(axis=1)
        likely_out = (1 - prior) * np.where(patterns, 1 - specificity, specificity).prod(axis=1)
        total = likely_in + likely_out
        truth = np.divide(likely_in, total, out=np.zeros_like(total), where=total > 0)
        now = np.concatenate([sensitivity, specificity])
        if np.abs(now - before).max() <= _TOLERANCE:
            break
        before = now
    return truth[packed]
