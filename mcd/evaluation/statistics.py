"""Tests of whether two methods differ, and intervals for few patients: over patients, never over slices."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm, t, wilcoxon


def expanded_tail(tail: float, n: int) -> float:
    """The tail to cut from bootstrap means of `n` patients, so that a percentile interval has the coverage of `tail`.

    The percentile interval of few patients is too narrow, as a normal interval is compared with Student's. Hesterberg,
    The American Statistician 69(4), 2015: norm.cdf(-sqrt(n / (n - 1)) * t), t being Student's quantile.
    """
    return float(norm.cdf(-np.sqrt(n / (n - 1)) * t.isf(tail, n - 1)))


def wilcoxon_holm(reference: pd.Series, others: Mapping[Hashable, pd.Series]) -> pd.DataFrame:
    """Paired two-sided Wilcoxon signed-rank test of each of `others` against `reference`, Holm's correction over all.

    Each series has one value per patient, indexed by patient; patients without a value on either side are left out.
    Returns, indexed like `others`: `patients` (pairs tested), `difference` (mean of other minus reference), `p`, `p_holm`.
    If all differences are 0, p is 1; without a pair it is NaN and does not count as a test.
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
