"""Tests against enumeration, corrected as Holm says, and tails for few patients."""

import math
from collections.abc import Hashable
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from mcd.evaluation.bootstrap import bootstrap_means
from mcd.evaluation.statistics import expanded_tail, holm, wilcoxon_holm


def test_expanded_tails_cover_where_few_patients_make_the_percentile_interval_too_narrow() -> None:
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


def test_holm_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1 = 0.02, 0.03, 0.06, 0.04; the last is raised to the one before.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.5, 0.6]), [1, 1])
    np.testing.assert_allclose(holm([0.02, math.nan, 0.03]), [0.04, math.nan, 0.04])
    assert len(holm([])) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_the_step_down_procedure(p: list[float]) -> None:
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


def exact_p(differences: np.ndarray) -> float:
    """Two-sided signed-rank p value by going through all signs."""
    ranks = rankdata(np.abs(differences))
    observed = abs(sum(ranks * np.sign(differences)))
    signs = np.array(list(product([-1, 1], repeat=len(ranks))))
    return float((np.abs(signs @ ranks) >= observed - 1e-9).mean())


def test_wilcoxon_against_enumeration_paired_by_patient() -> None:
    rng = np.random.default_rng(3)
    patients = [f"p{i}" for i in range(10)]
    reference = pd.Series(rng.random(10), index=patients)
    others = {"worse": reference - rng.random(10), "alike": reference + rng.normal(0, 0.1, 10)}
    shuffled: dict[Hashable, pd.Series] = {
        name: values.sample(frac=1, random_state=1) for name, values in others.items()
    }
    tests = wilcoxon_holm(reference, shuffled)
    for name, values in others.items():
        assert tests.loc[name, "p"] == pytest.approx(exact_p((values - reference).to_numpy()))
        assert tests.loc[name, "difference"] == pytest.approx((values - reference).mean())
    np.testing.assert_allclose(tests["p_holm"], holm(tests["p"]))
    assert tests.loc["worse", "p_holm"] == pytest.approx(2 * 2 / 2**10)


def test_no_difference_no_partner_and_undefined() -> None:
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


def test_nothing_to_test() -> None:
    assert wilcoxon_holm(pd.Series([0.1], index=["a"]), {}).empty
