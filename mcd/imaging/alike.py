"""Whether the patients of a cohort are alike, as far as their `info.json` says: in unit, voxels, masks and boxes.

One patient in another unit among good ones preprocesses without an error, and is wrong in what depends on the unit. Patients
are compared with one another, since most modalities have no unit of their own; only HU are known. Scanners differ, and
intensities of MR mean nothing across them, so what is reported is plainly another encoding than that of most others. New
patients are held against the training data by the same measures (`mcd.prediction.origin`). No torch, no image library.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcd.errors import some

SPACING_FACTOR = 1.5
"""Our choice: voxels half as large again as others along an axis, or as much smaller, are unlike them."""

UNIT_FACTOR = 50.0
"""Our choice: how many times the range of intensities is another unit. Bq/ml are 1,400 to 5,000 times an SUV (2 to 5 MBq
per kg, an hour's decay), HU some 1,000 times a CT from 0 to 1; patients and MR scanners differ ten times, hardly more."""

USUAL_SHARE = 2 / 3
"""Our choice: voxels have a usual size where so many patients have it; where they do not, nobody is unlike the others."""

# Our choices, of the lower bound in units of the range between the bounds: a body in HU has -0.15 (a head) to -0.8 (lungs), a
# z-score about -0.5; values that are never negative have 0 and more, but for what an interpolation overshoots.
_NEGATIVE, _NOT_NEGATIVE, _APART = -0.1, -0.02, 0.15
_FARTHEST = 3.0  # a shift by more ranges than this is no scanner's

Bounds = tuple[float, float]
"""Of one modality of one patient: `p_low` and `p_high` of its statistics, in the raw unit."""


@dataclass(frozen=True)
class Unlike:
    """What sets one patient, or several of a cohort (`patient` ""), apart from the others."""

    patient: str
    modality: str  # "" where it concerns all
    problem: str
    remedy: str

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.patient, self.modality) if part)
        return f"{where}: {self.problem}; {self.remedy}" if where else f"{self.problem}; {self.remedy}"


def unlike_others(infos: Mapping[str, Mapping[str, Any]]) -> list[Unlike]:
    """Compare the patients of a cohort: `infos` has each one's `info.json` (docs/reference/formats.md) under its id."""
    found = []
    for modality in dict.fromkeys(name for info in infos.values() for name in info["statistics"]):
        own = {patient: info for patient, info in infos.items() if modality in info["statistics"]}
        found += _units(modality, {patient: info["statistics"][modality] for patient, info in own.items()})
        spacings = {patient: anatomical_spacing(info["raw_grids"][modality]) for patient, info in own.items()}
        found += _spacings(modality, spacings)
    masked = {
        patient: any(numbers["region"] == "mask" for numbers in info["statistics"].values())
        for patient, info in infos.items()
    }
    boxed = {patient: bool(info.get("boxed", False)) for patient, info in infos.items()}
    found += _some_only("mask", masked, "their intensities are normalised over other regions")
    found += _some_only("box", boxed, "their crops lie elsewhere and hold other slices")
    return found


def absent_regions(regions: Mapping[str, Sequence[int]], held: Collection[int]) -> list[str]:
    """The regions none of whose codes is among those that a cohort's labels hold."""
    return [region for region, codes in regions.items() if not set(codes) & set(held)]


def empty_regions(infos: Mapping[str, Mapping[str, Any]], regions: Mapping[str, Sequence[int]]) -> list[Unlike]:
    """The regions that are in no label of a whole cohort: an empty prediction would be right for everyone, with a DSC of 1."""
    held = {int(code) for info in infos.values() for code in (info.get("label") or {}).get("ml", {})}
    return [empty_region(region, regions[region]) for region in absent_regions(regions, held)] if held else []


def empty_region(region: str, codes: Sequence[int]) -> Unlike:
    problem = f"region {region}: none of its codes ({', '.join(map(str, codes))}) is in any label"
    return Unlike("", "", problem, "correct `regions`")


def another_unit(one: Bounds, other: Bounds) -> str | None:
    """How the first of two patients' intensities differ, if they cannot be of one unit; None where they may be."""
    (low, high), (other_low, other_high) = one, other
    spread, other_spread = high - low, other_high - other_low
    if other_range(one, other):
        larger, times = spread > other_spread, max(spread / other_spread, other_spread / spread)
        return f"a range {_plain(times, 3)} times as {'large' if larger else 'small'}"
    lowest, other_lowest = low / spread, other_low / other_spread
    if lowest >= _NOT_NEGATIVE and other_lowest <= _NEGATIVE and lowest - other_lowest >= _APART:
        return "no negative values"
    if other_lowest >= _NOT_NEGATIVE and lowest <= _NEGATIVE and other_lowest - lowest >= _APART:
        return "negative values"
    shift = (low + high - other_low - other_high) / 2
    if abs(shift) > _FARTHEST * max(spread, other_spread):
        return f"values about {_plain(abs(shift), 3)} {'higher' if shift > 0 else 'lower'}"
    return None


def other_range(one: Bounds, other: Bounds) -> bool:
    """Whether two ranges differ by more than one unit allows."""
    return not 1 / UNIT_FACTOR < (one[1] - one[0]) / (other[1] - other[0]) < UNIT_FACTOR


def other_voxels(spacing: Sequence[float], smallest: Sequence[float], largest: Sequence[float]) -> bool:
    """Whether voxels (`anatomical_spacing`) are unlike those between two bounds along any axis."""
    return bool(
        (np.asarray(spacing) > np.asarray(largest) * SPACING_FACTOR).any()
        or (np.asarray(spacing) < np.asarray(smallest) / SPACING_FACTOR).any()
    )


def anatomical_spacing(grid: Mapping[str, Any]) -> list[float]:
    """The spacing in mm of a grid (`mcd.imaging.geometry.Grid.to_json`) along (left-right, front-back, feet-head)."""
    turned = np.abs(np.reshape(grid["direction"], (3, 3)))  # one row per world axis, one column per voxel axis
    order = turned.argmax(axis=1)
    return [float(grid["spacing"][axis]) for axis in order]


def voxel_words(spacing: Sequence[float]) -> str:
    return " × ".join(f"{side:.3g}" for side in spacing) + " mm"


def _units(modality: str, statistics: Mapping[str, Mapping[str, Any]]) -> list[Unlike]:
    """Each patient whose unit cannot be that of most others, among those whose statistics are of the same kind of region."""
    found = []
    groups: dict[str, dict[str, Bounds]] = defaultdict(dict)
    for patient, numbers in statistics.items():
        bounds = numbers["p_low"], numbers["p_high"]
        if numbers["region"] == "body" and bounds[0] >= _NOT_NEGATIVE * (bounds[1] - bounds[0]):
            problem = f"intensities from {_words(bounds)} are not in HU, where fat is about -100 and air -1000"
            found.append(Unlike(patient, modality, problem, "convert it to HU, or choose another statistics_region"))
        else:
            groups[numbers["region"]][patient] = bounds
    for group in groups.values():
        for patient, own in group.items():
            others = {name: bounds for name, bounds in group.items() if name != patient}
            reasons = {name: reason for name, bounds in others.items() if (reason := another_unit(own, bounds))}
            if 2 * len(reasons) > len(others):
                name, reason = next(iter(reasons.items()))
                problem = (
                    f"intensities from {_words(own)} are in another unit than those of {len(reasons)} of the "
                    f"{len(others)} others: {reason} ({name}: {_words(others[name])})"
                )
                found.append(Unlike(patient, modality, problem, "convert it to the others' unit"))
    return found


def _spacings(modality: str, spacings: Mapping[str, Sequence[float]]) -> list[Unlike]:
    """Those patients whose voxels are unlike the usual ones, where there are usual ones."""
    if len(spacings) < 3:
        return []
    usual = np.median(list(spacings.values()), axis=0).tolist()
    unlike = [patient for patient, spacing in spacings.items() if other_voxels(spacing, usual, usual)]
    if not unlike or len(spacings) - len(unlike) < USUAL_SHARE * len(spacings):
        return []
    first, *more = unlike
    problem = f"voxels of {voxel_words(spacings[first])} are unlike the others', usually {voxel_words(usual)}"
    if more:
        problem += f"; so are those of {len(more)} more ({some(more)})"
    return [Unlike(first, modality, problem, "check the spacing in the header; if it is right, ignore this")]


def _some_only(what: str, has: Mapping[str, bool], effect: str) -> list[Unlike]:
    without = [patient for patient, there in has.items() if not there]
    if not without or len(without) == len(has):
        return []
    problem = (
        f"{len(without)} of {len(has)} patients have no {what} ({some(without)}), and the others have one: {effect}"
    )
    return [Unlike("", "", problem, f"give all patients a {what}, or none")]


def _words(bounds: Bounds) -> str:
    return f"{_plain(bounds[0], 4)} to {_plain(bounds[1], 4)}"


def _plain(value: float, digits: int) -> str:
    """So many significant digits, and no exponent: 31000, not 3.1e+04."""
    return np.format_float_positional(value, precision=digits, fractional=False, trim="-")
