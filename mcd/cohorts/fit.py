"""Whether a patient's modalities fit: how much more they say of one another as they lie than 20 mm apart."""

from collections.abc import Mapping, Sequence

import numpy as np

from mcd.cohorts.findings import Finding
from mcd.imaging.preprocess import Preprocessed
from mcd.pair import Pair
from mcd.subject import Subject

# Our choices. Two modalities share more information as they lie than 20 mm apart: 1.34 to 10 times as much in six real and
# eight simulated patients; shifted by 20 or 40 mm in-plane, upside down, or with another patient's second modality mostly less
# than 1.25 times. A brain has so much more (3.4 at least) that another patient's shows beside the cohort only: it has at
# most 0.35 of the patients' median, and the right one 0.57 at least. docs/how_to/own_scans.md has the numbers.
LEAST_GAIN = 1.25
LEAST_SHARE_OF_MEDIAN = 0.4
_ENOUGH_FOR_A_MEDIAN = 4  # patients
_APART_MM = 20.0
_COARSE_MM = 4.0  # finer detail than this says little about where a body lies
_BINS = 32
_FEWEST_VOXELS = 4 * _BINS**2  # fewer leave the joint histogram empty, and any two images seem to share something


def gain(pre: Preprocessed, first: str, second: str) -> float:
    """Return how many times the mutual information of two modalities as they lie is that of the two 20 mm apart.

    The mean over both directions of every axis that is long enough; within either one's region. NaN where there is too
    little to tell.
    """
    sides = pre.grid.spacing[::-1]
    steps = [max(1, round(_COARSE_MM / side)) for side in sides]
    coarse = tuple(slice(None, None, step) for step in steps)
    one, other = ((pre.volumes[name][coarse], pre.regions[name][coarse]) for name in (first, second))
    apart = [round(_APART_MM / (side * step)) for side, step in zip(sides, steps, strict=True)]
    shifts = [
        tuple(sign * voxels if axis == along else 0 for axis in range(3))
        for along, voxels in enumerate(apart)
        if 0 < voxels < one[0].shape[along] // 2
        for sign in (1, -1)
    ]
    here = _mutual_information(one, other, (0, 0, 0))
    displaced = [_mutual_information(one, other, shift) for shift in shifts]
    return here / float(np.mean(displaced)) if displaced and np.mean(displaced) > 0 else float("nan")


def _mutual_information(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray], shift: tuple[int, ...]
) -> float:
    """The mutual information in nats of two (volume, region), the second moved by `shift` voxels; NaN for too few."""
    ahead = tuple(slice(max(0, voxels), min(0, voxels) or None) for voxels in shift)
    behind = tuple(slice(max(0, -voxels), min(0, -voxels) or None) for voxels in shift)
    inside = one[1][ahead] | other[1][behind]
    if inside.sum() < _FEWEST_VOXELS:
        return float("nan")
    joint = np.histogram2d(one[0][ahead][inside], other[0][behind][inside], bins=_BINS)[0]
    joint /= joint.sum()
    return _entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1)) - _entropy(joint)


def _entropy(shares: np.ndarray) -> float:
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def misfits(gains: Mapping[Pair, Sequence[tuple[Subject, float]]]) -> list[Finding]:
    """Return a warning for each patient whose modalities share suspiciously little. `gains`: pair -> (patient, `gain`)."""
    found = []
    for pair, values in gains.items():
        usual = float(np.median([value for _, value in values])) if len(values) >= _ENOUGH_FOR_A_MEDIAN else 0.0
        first, second = pair.modalities
        for subject, value in values:
            if value < max(LEAST_GAIN, LEAST_SHARE_OF_MEDIAN * usual):
                beside = f", {usual:.1f} in the cohort's median" if usual else ""
                problem = f"fits {first} hardly better than 20 mm away ({value:.2f} times the information{beside})"
                remedy = "look at both in a viewer: not registered, flipped, or another patient's?"
                found.append(Finding("warning", subject.id, str(subject.images[second]), problem, remedy))
    return found
