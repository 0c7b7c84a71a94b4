"""Which modalities to pair: the grouping adviser (paper Sec. V-C).

The paper's rule: pair so as to "maximize the differences between the paired modalities"; it gives no measure. Ours is
1 - normalised mutual information, over the voxels where all modalities have content: how little a voxel of one image tells
about the same voxel of the other. It is 0 if one image is the other with its grey values changed monotonically
(brighter, or inverted, which a network learns at once and a viewer's window can do), and 1 if they have nothing in
common. Correlation would rate T2 and FLAIR as different for their fluid alone, and structural similarity would rate an
inverted image as more different than noise.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mcd.errors import McdError
from mcd.evaluation.statistics import mean_interval

Pairing = tuple[tuple[str, str], ...]

BINS = 32
"""Largest number of grey levels per image."""

VOXELS_PER_CELL = 50
"""Of the joint histogram, on average, so that chance adds less than 0.01 nat of mutual information."""


def difference(one: ArrayLike, other: ArrayLike) -> float:
    """1 - normalised mutual information of two images' values at the same voxels, 0 (same) to 1 (unrelated).

    All grey levels have the same number of voxels. The information is normalised by the mean of both entropies, which makes it
    symmetric. Raises `ValueError` if the images have different numbers of values, or too few.
    """
    x, y = np.ravel(one), np.ravel(other)
    if x.size != y.size or x.size < 4 * VOXELS_PER_CELL:
        raise ValueError(f"{x.size} and {y.size} values: equal numbers are needed, at least {4 * VOXELS_PER_CELL}")
    bins = min(BINS, int(np.sqrt(x.size / VOXELS_PER_CELL)))
    cells = np.bincount(bins * _levels(x, bins) + _levels(y, bins), minlength=bins**2)
    joint = cells.reshape(bins, bins) / x.size
    of_x, of_y = _entropy(joint.sum(axis=1)), _entropy(joint.sum(axis=0))
    if of_x + of_y == 0:
        raise ValueError("both images are constant")
    return float(np.clip(1 - 2 * (of_x + of_y - _entropy(joint)) / (of_x + of_y), 0, 1))


def _levels(values: NDArray[np.floating], bins: int) -> NDArray[np.int64]:
    return np.searchsorted(np.quantile(values, np.arange(1, bins) / bins), values, side="right")


def _entropy(share: NDArray[np.float64]) -> float:
    known = share[share > 0]
    return float(-(known * np.log(known)).sum())


def pairings(modalities: Sequence[str]) -> Iterator[Pairing]:
    """Every way to put modalities in pairs, each once; of an odd number any one may stay alone."""
    if len(modalities) < 2:
        yield ()
        return
    first, *others = modalities
    if len(modalities) % 2:
        yield from pairings(others)
    for partner in others:
        for rest in pairings([name for name in others if name != partner]):
            yield ((first, partner), *rest)


def rank_pairings(patients: Iterable[tuple[str, Mapping[str, NDArray[np.floating]]]]) -> pd.DataFrame:
    """Rank all pairings of some patients' modalities, the most different first.

    Args:
        patients: (id, modality -> volume, 0 where the modality has no content); the same modalities for all.

    Returns:
        One row per pairing: `rank`, `pairing` ("A-B, C-D"), `alone` (the modality without a partner, or ""), `difference` (mean
        over patients of the mean over its pairs), `ci_low` and `ci_high` (its 95 % interval) and `sd` over patients
        (NaN for one), `first_in` (patients in whom no pairing is more different), `patients`, and for each pair of modalities
        "A-B" its own mean, where the pairing has it.

    Raises:
        McdError: no patient; fewer than two modalities; a patient whose modalities differ from the others', or overlap too
            little to be compared.
    """
    names: list[str] = []
    rows = []
    for patient, volumes in patients:
        names = names or list(volumes)
        if set(volumes) != set(names):
            raise McdError(f"{patient}: has {', '.join(volumes)}, the previous patients have {', '.join(names)}")
        region = np.logical_and.reduce([volume != 0 for volume in volumes.values()])
        try:
            rows.append([difference(volumes[one][region], volumes[two][region]) for one, two in combinations(names, 2)])
        except ValueError as error:
            raise McdError(f"{patient}: the modalities cannot be compared where all have content: {error}") from None
    if not rows:
        raise McdError("grouping: there are no patients")
    if len(names) < 2:
        raise McdError(f"grouping: at least two modalities are needed, and there is only {', '.join(names)}")
    values = pd.DataFrame(rows, columns=list(combinations(names, 2)))
    ways = list(pairings(names))
    by_way = pd.DataFrame({place: values[list(way)].mean(axis=1) for place, way in enumerate(ways)})
    intervals = [mean_interval(by_way[place]) for place in by_way]
    first = by_way.ge(by_way.max(axis=1), axis=0).sum()
    table = pd.DataFrame(
        {
            "pairing": [", ".join(map("-".join, way)) for way in ways],
            "alone": ["".join(set(names).difference(*way)) for way in ways],
            "difference": by_way.mean(),
            "ci_low": [low for low, _ in intervals],
            "ci_high": [high for _, high in intervals],
            "sd": by_way.std(),
            "first_in": first,
            "patients": len(rows),
        }
    )
    for pair in values:
        table["-".join(pair)] = [values[pair].mean() if pair in way else np.nan for way in ways]
    table = table.sort_values("difference", ascending=False, kind="stable", ignore_index=True)
    table.insert(0, "rank", table["difference"].rank(method="min", ascending=False).astype(int))
    return table


def explain(table: pd.DataFrame) -> str:
    """One sentence on the ranking of `rank_pairings`."""
    best = table.iloc[0]
    pairs = best["pairing"].split(", ")
    told = " and ".join(f"{100 * (1 - best[name]):.0f} % in {name}" for name in pairs)
    words = f"{best['pairing']} look most different: at a voxel, one image tells {told} of what the other shows"
    words += f"; {best['alone']} stays alone" if best["alone"] else ""
    if len(table) == 1:
        return f"{words}. There is no other pairing."
    second = table.iloc[1]
    return (
        f"{words}. The pairing is first in {best['first_in']} of {best['patients']} patients, and "
        f"{best['difference'] - second['difference']:.3f} ahead of {second['pairing']}."
    )
