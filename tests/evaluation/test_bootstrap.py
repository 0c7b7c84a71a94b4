"""Intervals that cover what they promise."""

import math

import numpy as np
import pytest
from scipy.stats import bootstrap

from mcd.evaluation.bootstrap import bootstrap_interval, bootstrap_means


def test_interval_is_deterministic_and_leaves_undefined_out() -> None:
    values = np.random.default_rng(0).random(30)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)
    assert bootstrap_interval([*values, math.nan], seed=1) == bootstrap_interval(values, seed=1)


def test_interval_against_scipy() -> None:
    values = np.random.default_rng(0).gamma(2, size=40)
    theirs = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(5))
    assert bootstrap_interval(values, seed=0, resamples=20_000) == pytest.approx(theirs.confidence_interval, abs=0.02)


def test_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(300):
        low, high = bootstrap_interval(rng.beta(2, 3, size=40), seed=trial, resamples=600)
        hits += low <= 2 / 5 <= high
    assert 0.90 <= hits / 300 <= 0.98


def test_interval_narrows_with_patients_and_widens_with_level() -> None:
    values = np.random.default_rng(0).random(200)
    width = [
        np.ptp(bootstrap_interval(values[:n], seed=0, level=level))
        for n, level in ((200, 0.95), (20, 0.95), (20, 0.99))
    ]
    assert width[0] < width[1] < width[2]


@pytest.mark.parametrize("values", [[], [0.4], [0.4, math.nan]])
def test_fewer_than_two_patients_have_no_interval(values: list[float]) -> None:
    assert all(math.isnan(end) for end in bootstrap_interval(values, seed=0))


def test_means_of_columns_are_drawn_together_and_are_those_of_the_interval() -> None:
    values = np.random.default_rng(0).random((30, 2))
    means = bootstrap_means(np.column_stack([values, values[:, 0] - values[:, 1]]), seed=1)
    np.testing.assert_allclose(means[:, 2], means[:, 0] - means[:, 1])
    np.testing.assert_allclose(np.quantile(means[:, 0], [0.025, 0.975]), bootstrap_interval(values[:, 0], seed=1))
    values[3, 0] = math.nan
    times = np.array(
        [np.bincount(draw, minlength=30) for draw in np.random.default_rng(1).integers(30, size=(10_000, 30))]
    )
    known = np.delete(times, 3, axis=1)
    expected = known @ np.delete(values[:, 0], 3) / known.sum(axis=1)
    np.testing.assert_allclose(bootstrap_means(values, seed=1)[:, 0], expected)
