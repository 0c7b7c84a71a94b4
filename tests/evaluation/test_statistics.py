"""Intervals that cover what they promise, and tests corrected as Holm says."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap, rankdata

from mcd.evaluation.statistics import bootstrap_interval, bootstrap_means, expanded_tail, holm, wilcoxon_holm


def test_interval_is_deterministic_and_leaves_undefined_out():
    values = np.random.default_rng(0).random(30)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)
    assert bootstrap_interval([*values, math.nan], seed=1) == bootstrap_interval(values, seed=1)


def test_interval_against_scipy():
    values = np.random.default_rng(0).gamma(2, size=40)
    theirs = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(5))
    assert bootstrap_interval(values, seed=0, resamples=20_000) == pytest.approx(theirs.confidence_interval, abs=0.02)


def test_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(300):
        low, high = bootstrap_interval(rng.beta(2, 3, size=40), seed=trial, resamples=600)
        hits += low <= 2 / 5 <= high
    assert 0.90 <= hits / 300 <= 0.98


def test_interval_narrows_with_patients_and_widens_with_level():
    values = np.random.default_rng(0).random(200)
    width = [
        np.ptp(bootstrap_interval(values[:n], seed=0, level=level))
        for n, level in ((200, 0.95), (20, 0.95), (20, 0.99))
    ]
    assert width[0] < width[1] < width[2]


@pytest.mark.parametrize("values", [[], [0.4], [0.4, math.nan]])
def test_fewer_than_two_patients_have_no_interval(values):
    assert all(math.isnan(end) for end in bootstrap_interval(values, seed=0))


def test_means_of_columns_are_drawn_together_and_are_those_of_the_interval():
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


def test_expanded_tails_cover_where_few_patients_make_the_percentile_interval_too_narrow():
    # Student's 97.5 % quantile of 9 degrees of freedom is 2.262, and the normal tail beyond 2.262 * sqrt(10 / 9) 0.0086
    assert expanded_tail(0.025, 10) == pytest.approx(0.0086, abs=1e-4)
    assert expanded_tail(0.025, 10_000) == pytest.approx(0.025, abs=1e-4)
    rng = np.random.default_rng(0)
    hits = {"plain": 0, "expanded": 0}
    for trial in range(600):
        means = bootstrap_means(rng.normal(0, 1, (6, 1)), seed=trial, resamples=2000)
        for kind, tail in (("plain", 0.025), ("expanded", expanded_tail(0.025, 6))):
            low, high = np.quantile(means, [tail, 1 - tail])
            hits[kind] += low <= 0 <= high
    assert hits["plain"] / 600 < 0.9
    assert 0.92 < hits["expanded"] / 600 < 0.97


def test_holm_by_hand():
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1 = 0.02, 0.03, 0.06, 0.04; the last is raised to the one before.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.5, 0.6]), [1, 1])
    np.testing.assert_allclose(holm([0.02, math.nan, 0.03]), [0.04, math.nan, 0.04])
    assert len(holm([])) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_the_step_down_procedure(p):
    """For every level, adjusted p <= level is what going down the sorted p values rejects until the first failure."""
    adjusted = holm(p)
    assert (adjusted >= np.array(p)).all()
    assert (adjusted <= 1).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()
    for level in (0.013, 0.05, 0.31):
        rejected = set()
        for rank, i in enumerate(order):
            if p[i] * (len(p) - rank) > level:
                break
            rejected.add(int(i))
        assert set(np.flatnonzero(adjusted <= level).tolist()) == rejected


def exact_p(differences):
    """Two-sided signed-rank p value by going through all signs."""
    ranks = rankdata(np.abs(differences))
    observed = abs(sum(ranks * np.sign(differences)))
    signs = np.array(list(product([-1, 1], repeat=len(ranks))))
    return float((np.abs(signs @ ranks) >= observed - 1e-9).mean())


def test_wilcoxon_against_enumeration_paired_by_patient():
    rng = np.random.default_rng(3)
    patients = [f"p{i}" for i in range(10)]
    reference = pd.Series(rng.random(10), index=patients)
    others = {"worse": reference - rng.random(10), "alike": reference + rng.normal(0, 0.1, 10)}
    shuffled = {name: values.sample(frac=1, random_state=1) for name, values in others.items()}
    tests = wilcoxon_holm(reference, shuffled)
    for name, values in others.items():
        assert tests.loc[name, "p"] == pytest.approx(exact_p((values - reference).to_numpy()))
        assert tests.loc[name, "difference"] == pytest.approx((values - reference).mean())
    np.testing.assert_allclose(tests["p_holm"], holm(tests["p"]))
    assert tests.loc["worse", "p_holm"] == pytest.approx(2 * 2 / 2**10)


def test_no_difference_no_partner_and_undefined():
    reference = pd.Series([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], index=list("abcdef"))
    tests = wilcoxon_holm(
        reference,
        {
            "same": reference,
            "strangers": pd.Series([0.5], index=["z"]),
            "partly": pd.Series([0.2, 0.4, math.nan, 0.9], index=list("abcd")),
        },
    )
    assert tests.loc["same", ["p", "p_holm"]].tolist() == [1, 1]
    assert tests["patients"].tolist() == [6, 0, 3]
    assert math.isnan(tests.loc["strangers", "p_holm"])
    assert tests.loc["partly", "p_holm"] == min(1, 2 * tests.loc["partly", "p"])  # two tests, not three


def test_nothing_to_test():
    assert wilcoxon_holm(pd.Series([0.1], index=["a"]), {}).empty
