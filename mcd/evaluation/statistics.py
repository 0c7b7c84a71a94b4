"""How sure a mean is, and whether two methods differ: over patients, never over slices."""

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, t, wilcoxon


def bootstrap_interval(
    values: ArrayLike, seed: int, level: float = 0.95, resamples: int = 10_000
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values` (one a patient; NaN is left out).

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

    All columns share the draws, so differences of columns are paired. NaN is left out of a mean; where a draw has nothing
    else the mean is NaN.
    """
    values = np.asarray(values, dtype=float)
    n = len(values)
    rows = np.arange(resamples)[:, None] * n
    times = np.bincount((rows + _draws(n, seed, resamples)).ravel(), minlength=resamples * n).reshape(resamples, n)
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return (times @ np.where(known, values, 0)) / (times @ known)


def expanded_tail(tail: float, n: int) -> float:
    """The tail to cut from bootstrap means of `n` patients, so that a percentile interval covers what `tail` promises.

    The percentile interval of few patients is too narrow, as a normal interval would be in place of Student's. Hesterberg,
    The American Statistician 69(4), 2015: norm.cdf(-sqrt(n / (n - 1)) * t), t being Student's quantile.
    """
    return float(norm.cdf(-np.sqrt(n / (n - 1)) * t.isf(tail, n - 1)))


@lru_cache(maxsize=4)  # every cell of a table resamples as many patients
def _draws(n: int, seed: int, resamples: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(n, size=(resamples, n))


def wilcoxon_holm(reference: pd.Series, others: Mapping[Hashable, pd.Series]) -> pd.DataFrame:
    """Paired two-sided Wilcoxon signed-rank test of each of `others` against `reference`, Holm's correction over all.

    Each series holds one value a patient, indexed by patient; patients that lack a value on either side are left out.
    Returns, indexed like `others`: `patients` (pairs tested), `difference` (mean of other minus reference), `p`, `p_holm`.
    With no difference at all p is 1; with no pair it is NaN and does not count as a test.
    """
    rows = []
    for other in others.values():
        difference = (other - reference).dropna()
        if difference.empty:
            p = np.nan
        elif (difference == 0).all():
            p = 1.0  # scipy has no rank left to sum
        else:
            p = float(wilcoxon(difference).pvalue)
        rows.append((len(difference), difference.mean(), p))
    tests = pd.DataFrame(
        rows, columns=["patients", "difference", "p"], index=pd.Index(list(others), tupleize_cols=False)
    )
    tests["p_holm"] = holm(tests["p"].to_numpy())
    return tests


def holm(p: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's step-down adjusted p values, in the order given; NaN stays NaN and is not counted."""
    p = np.asarray(p, dtype=float)
    adjusted = np.full_like(p, np.nan)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # argsort puts NaN last
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * factors))
    return adjusted
