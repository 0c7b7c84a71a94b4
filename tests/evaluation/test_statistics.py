"""Intervals that cover what they promise, and tests corrected as Holm says."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap, rankdata

from mcd.evaluation.statistics import bootstrap_interval, holm, wilcoxon_holm


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
