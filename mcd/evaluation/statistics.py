"""How sure a mean over trainings and patients is, and Holm's correction. Explained in docs/explanation/statistics.md.

Every training scores every patient, as in a radiological study in which several readers read all cases, and both are samples:
of the trainings that could have been run, and of the patients that could have come. The variance of a mean is that of such
studies (Dorfman, Berbaum and Metz, Investigative Radiology 27(9), 1992; in the form of Hillis, Statistics in Medicine 26(3),
2007, where a "reader" is a training and a "case" a patient):

    V = V_trainings + max(V_patients - V_both, 0)

with V_trainings the variance of the T trainings' means, divided by T; V_patients that of the n patients' means, divided by n;
V_both the variance of what is left of a value without either, divided by T n, which is a part of the first two and counts once.
An interval's half-width is Cochran's (Biometrics 20(1), 1964): sqrt(V) times the mean of Student's quantiles of T - 1 and n - 1
degrees of freedom, weighted by what each adds to V. It holds what it promises for as few as two trainings, where resampling
them (the pigeonhole bootstrap: Owen, Annals of Applied Statistics 1(2), 2007) or Satterthwaite's degrees of freedom do not:
benchmarks/uncertainty.py measures all three.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.stats import t

Floats = NDArray[np.float64]

LEVEL = 0.95
"""Of every interval."""


@dataclass(frozen=True)
class Means:
    """K means, and what each kind of unit adds to their variances.

    Attributes:
        value: (K,)
        trainings, patients: (K,), over how many a mean is; 0 where there is no such mean.
        variances: (parts, K), which add up to the variance of the mean; NaN where neither trainings nor patients are several.
        freedom: (parts, K), their degrees of freedom.
    """

    value: Floats
    trainings: NDArray[np.int64]
    patients: NDArray[np.int64]
    variances: Floats
    freedom: Floats

    def half_width(self, tail: ArrayLike = (1 - LEVEL) / 2) -> Floats:
        """(K,) from the mean to an end of the interval that leaves out `tail` on each side; NaN where there is no interval."""
        whole = self.variances.sum(axis=0)
        with np.errstate(invalid="ignore"):  # 0 / 0: all values agree
            width = (self.variances * t.isf(tail, self.freedom)).sum(axis=0) / np.sqrt(whole)
        return np.where(whole == 0, 0.0, width)

    def interval(self, tail: ArrayLike = (1 - LEVEL) / 2) -> tuple[Floats, Floats]:
        """(K,) lower and (K,) upper ends."""
        width = self.half_width(tail)
        return self.value - width, self.value + width

    def p(self) -> Floats:
        """(K,) two-sided p values of means of 0: where the interval has 0 as its end. NaN where there is no interval."""
        return np.array([self._p(place) for place in range(len(self.value))])

    def _p(self, place: int) -> float:
        found, parts, freedom = abs(self.value[place]), self.variances[:, place], self.freedom[:, place]
        whole = parts.sum()
        if np.isnan(whole) or np.isnan(found):
            return np.nan
        if whole == 0:
            return float(found == 0)
        least = 1e-12

        def beyond(tail: float) -> float:
            return float((parts * t.isf(tail, freedom)).sum() / np.sqrt(whole) - found)

        return 2 * (least if beyond(least) < 0 else brentq(beyond, least, 0.5, xtol=least, rtol=1e-10))


@dataclass(frozen=True)
class Effects:
    """How far each unit moves K means: what `Means` of any weighted sums of them need. `effects` computes it.

    Attributes:
        value: (K,) means.
        trainings: (T, K), patients: (P, K), both: (T, P, K). Each is a unit's deviation, divided by the number of such units;
            0 for units without a value.
        counts: (2, K), the number of trainings and of patients with a value.
    """

    value: Floats
    trainings: Floats
    patients: Floats
    both: Floats
    counts: NDArray[np.int64]

    def means(self, weights: ArrayLike | None = None) -> Means:
        """The means of sums of the K values, weighted by (K, G) `weights`; without weights, of each by itself."""

        def summed(values: Floats) -> Floats:
            return values if weights is None else values @ np.asarray(weights, dtype=float)

        counts = self.counts
        if weights is not None:
            counts = _fewest(counts[:, :, None] * (np.asarray(weights) != 0), axis=1)
        of_trainings, of_patients = counts > 1
        with np.errstate(divide="ignore", invalid="ignore"):
            again = counts / (counts - 1)  # from the mean square of n deviations to an unbiased variance
            trainings = (summed(self.trainings) ** 2).sum(axis=0) * again[0]
            patients = (summed(self.patients) ** 2).sum(axis=0) * again[1]
            both = (summed(self.both) ** 2).sum(axis=(0, 1)) * again[0] * again[1]
        variances = np.array(
            [
                np.where(of_trainings, trainings, 0.0),
                np.where(of_patients, np.where(of_trainings, np.maximum(patients - both, 0), patients), 0.0),
            ]
        )
        variances[:, (counts == 1).all(axis=0)] = np.nan
        return Means(summed(self.value), counts[0], counts[1], variances, np.maximum(counts - 1.0, 1.0))


def effects(values: ArrayLike) -> Effects:
    """What K means over trainings and patients are made of.

    Args:
        values: (T, P, K) trainings, patients, and whatever has a mean. A NaN is left out: the mean is over patients of each
            one's mean over trainings.
    """
    values = np.asarray(values, dtype=float)
    known = ~np.isnan(values)
    of_patient, of_training = _mean(values, axis=0), _mean(values, axis=1)
    mean = _mean(of_patient, axis=0)
    patients, trainings = known.any(axis=0), known.any(axis=1)
    counts = np.array([trainings.sum(axis=0), patients.sum(axis=0)])
    many = np.maximum(counts, 1)
    left = values - of_training[:, None] - of_patient + mean
    return Effects(
        mean,
        np.where(trainings, of_training - _mean(of_training, axis=0), 0) / many[0],
        np.where(patients, of_patient - mean, 0) / many[1],
        np.where(known, left, 0) / (many[0] * many[1]),
        counts,
    )


def total(parts: Sequence[Means]) -> Means:
    """The sums of means of independent samples, such as cohorts: (K,) each."""
    return Means(
        np.sum([part.value for part in parts], axis=0),
        _fewest(np.array([part.trainings for part in parts]), axis=0),
        _fewest(np.array([part.patients for part in parts]), axis=0),
        np.concatenate([part.variances for part in parts]),
        np.concatenate([part.freedom for part in parts]),
    )


def mean_interval(values: ArrayLike) -> tuple[float, float]:
    """Student's interval of a mean over patients (one value each; NaN is left out), (NaN, NaN) for fewer than two."""
    (low,), (high,) = effects(np.asarray(values, dtype=float)[None, :, None]).means().interval()
    return float(low), float(high)


def _fewest(counts: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
    """The smallest count that is not 0; 0 if all are."""
    return np.where(counts.any(axis), np.where(counts > 0, counts, np.iinfo(np.int64).max).min(axis), 0)


def _mean(values: Floats, axis: int) -> Floats:
    """Mean without NaN; NaN where all are."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(axis=axis) / known.sum(axis=axis)


def holm(p: Sequence[float] | Floats) -> Floats:
    """Holm's step-down adjusted p values, in the order given; NaN stays NaN and is not counted."""
    p = np.asarray(p, dtype=float)
    adjusted = np.full_like(p, np.nan)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # argsort puts NaN last
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * factors))
    return adjusted
