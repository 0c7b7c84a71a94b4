"""Uncertainty of means: resampling of patients, never of slices."""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray


def bootstrap_interval(
    values: ArrayLike, seed: int, level: float = 0.95, resamples: int = 10_000
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values` (one per patient; NaN is left out).

    The same values and seed give the same interval on every machine. Fewer than two values have none: (NaN, NaN).
    """
    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    if len(known) < 2:
        return np.nan, np.nan
    means = known[_draws(len(known), seed, resamples)].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_means(values: ArrayLike, seed: int, resamples: int = 10_000) -> NDArray[np.float64]:
    """Means of `values` (patients, columns) over patients drawn with replacement: (resamples, columns).

    All columns share the draws, so differences of columns are paired. NaN is left out of a mean; a draw of nothing but NaN
    has the mean NaN.
    """
    values = np.asarray(values, dtype=float)
    n = len(values)
    rows = np.arange(resamples)[:, None] * n
    times = np.bincount((rows + _draws(n, seed, resamples)).ravel(), minlength=resamples * n).reshape(resamples, n)
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return (times @ np.where(known, values, 0)) / (times @ known)


@lru_cache(maxsize=4)  # all cells of a table have the same number of patients
def _draws(n: int, seed: int, resamples: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(n, size=(resamples, n))
