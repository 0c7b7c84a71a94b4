"""Intervals and tests over trainings and patients: by hand, against libraries, and by simulation; Holm's correction."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap, t, ttest_1samp

from mcd.evaluation.statistics import effects, holm, mean_interval, total

SPREAD = 0.05  # between the means of equal methods' trainings, as the study's: 0.006 to 0.109
MOST = 0.07  # of false verdicts


def sampled(
    n: int,
    trainings: int,
    patients: int,
    *,
    spread: float = SPREAD,
    of_patients: float = 0.1,
    rest: float = 0.1,
    seed: int = 0,
) -> np.ndarray:
    """Differences of two methods that are equal in truth, (trainings, patients, n)."""
    rng = np.random.default_rng(seed)
    of_trainings = rng.normal(0, spread * math.sqrt(2), (trainings, 1, n))  # of the difference of two
    return of_trainings + rng.normal(0, of_patients, (patients, n)) + rng.normal(0, rest, (trainings, patients, n))


def test_one_training_is_student_s_t_over_patients() -> None:
    values = np.random.default_rng(0).gamma(2, size=(1, 12, 3))
    means = effects(values).means()
    theirs = ttest_1samp(values[0], 0, axis=0)
    np.testing.assert_allclose(means.p(), theirs.pvalue, rtol=1e-6)
    np.testing.assert_allclose(means.interval(), theirs.confidence_interval(), rtol=1e-9)
    assert means.trainings.tolist() == [1] * 3
    assert means.patients.tolist() == [12] * 3


def test_one_patient_is_student_s_t_over_trainings() -> None:
    values = np.random.default_rng(0).normal(1, 1, (4, 1, 2))
    theirs = ttest_1samp(values[:, 0], 0, axis=0)
    np.testing.assert_allclose(effects(values).means().interval(), theirs.confidence_interval(), rtol=1e-9)


def test_both_by_hand() -> None:
    """The two-way analysis of variance of a textbook, and Cochran's mean of Student's quantiles."""
    values = np.array([[1.0, 2.0, 6.0], [3.0, 2.0, 10.0]])
    patients, trainings = values.mean(axis=0), values.mean(axis=1)
    left = values - trainings[:, None] - patients + values.mean()
    of_trainings, of_patients, both = (
        trainings.var(ddof=1) / 2,
        patients.var(ddof=1) / 3,
        (left**2).sum() / (1 * 2) / (2 * 3),
    )
    own = of_patients - both
    width = (of_trainings * t.isf(0.025, 1) + own * t.isf(0.025, 2)) / math.sqrt(of_trainings + own)
    (low,), (high,) = effects(values[:, :, None]).means().interval()
    assert (low, high) == pytest.approx((4 - width, 4 + width))


def test_p_is_where_the_interval_ends_at_0() -> None:
    means = effects(np.random.default_rng(1).normal(0.3, 1, (3, 20, 30))).means()
    p = means.p()
    low, high = means.interval(p / 2)
    np.testing.assert_allclose(np.minimum(abs(low), abs(high)), 0, atol=1e-6)
    np.testing.assert_array_equal(p < 0.05, (means.interval()[0] > 0) | (means.interval()[1] < 0))


def test_values_that_agree_and_values_that_are_not_there() -> None:
    same = np.broadcast_to([0.0, 0.5], (2, 3, 2))
    assert effects(same).means().p().tolist() == [1, 0]
    assert all(math.isnan(end) for end in mean_interval([0.4, math.nan]))
    assert all(math.isnan(end) for end in mean_interval([]))
    nothing = effects(np.full((2, 3, 1), math.nan)).means()
    assert math.isnan(nothing.value[0])
    assert math.isnan(nothing.p()[0])


def test_an_undefined_value_is_left_out_of_its_mean() -> None:
    values = np.random.default_rng(0).random((3, 8, 1))
    values[1, 2] = math.nan
    values[:, 5] = math.nan
    means = effects(values).means()
    assert means.value[0] == pytest.approx(np.mean([np.nanmean(values[:, p]) for p in range(8) if p != 5]))
    assert (means.trainings[0], means.patients[0]) == (3, 7)
    (low,), (high,) = effects(np.delete(values, 5, axis=1)).means().interval()
    np.testing.assert_allclose(means.interval(), [[low], [high]])


def test_a_weighted_sum_is_the_mean_of_summed_values() -> None:
    values = np.random.default_rng(0).random((3, 8, 2))
    summed = effects(values @ [[2.0], [-1.0]]).means()
    weighted = effects(values).means([[2.0], [-1.0]])
    np.testing.assert_allclose(weighted.interval(), summed.interval())


def test_independent_samples_add_up() -> None:
    """Of two large cohorts, the variance of the sum is the sum of variances."""
    rng = np.random.default_rng(0)
    parts = [effects(rng.normal(mean, 1, (1, 400, 1))).means() for mean in (1, 2)]
    both = total(parts)
    assert both.value[0] == pytest.approx(3, abs=0.2)
    widths = [part.half_width()[0] for part in (*parts, both)]
    assert widths[2] == pytest.approx(math.hypot(*widths[:2]), rel=1e-3)
    elsewhere = effects(rng.normal(0, 1, (3, 5, 2))).means([[1, 0], [0, 0]])
    assert elsewhere.patients.tolist() == [5, 0]
    assert total([elsewhere, effects(np.zeros((2, 9, 2))).means()]).patients.tolist() == [5, 9]


def test_for_many_patients_it_is_the_bootstrap_s_interval() -> None:
    values = np.random.default_rng(0).gamma(2, size=300)
    theirs = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(5))
    assert mean_interval(values) == pytest.approx(tuple(theirs.confidence_interval), abs=0.02)


@pytest.mark.parametrize("trainings", [2, 3, 5, 10])
@pytest.mark.parametrize("patients", [6, 30])
@pytest.mark.parametrize("spread", [0.0, 0.006, 0.03, SPREAD, 0.109])
def test_equal_methods_are_seldom_told_apart(trainings: int, patients: int, spread: float) -> None:
    """Whatever varies most, trainings or patients, and for as few as two trainings."""
    for of_patients, rest in ((0.1, 0.1), (0.02, 0.1), (0.1, 0.02)):
        values = sampled(2500, trainings, patients, spread=spread, of_patients=of_patients, rest=rest)
        found = effects(values).means()
        assert (abs(found.value) > found.half_width()).mean() <= MOST


def in_folds(
    n: int, trainings: int, patients: int, folds: int, *, spread: float, common: float = 0.0, again: bool = True
) -> np.ndarray:
    """As `sampled`, of K networks a training, each of which scores those who test in its fold.

    common: spread of what a way to divide the patients does to every network of a fold. again: whether each training divides
    them again.
    """
    rng = np.random.default_rng(1)
    fold_of = rng.permuted(np.tile(np.arange(patients) % folds, (trainings, n, 1)), axis=2)
    networks = rng.normal(0, spread * math.sqrt(2), (trainings, n, folds))
    divisions = rng.normal(0, common, (trainings, n, folds))
    if not again:
        fold_of[:], divisions[:] = fold_of[0], divisions[0]
    of_folds = np.take_along_axis(networks + divisions, fold_of, axis=2)
    return sampled(n, trainings, patients, spread=0.0) + of_folds.transpose(0, 2, 1)


@pytest.mark.parametrize("trainings", [2, 3, 10])
@pytest.mark.parametrize(("patients", "folds"), [(6, 2), (12, 3), (30, 2), (30, 5), (12, 12)])
@pytest.mark.parametrize("spread", [0.03, 0.109])
def test_equal_methods_are_seldom_told_apart_with_folds(
    trainings: int, patients: int, folds: int, spread: float
) -> None:
    """The networks of all folds together are one training: what each adds to its own patients is in the training's mean."""
    for common in (0.0, 0.1):
        found = effects(in_folds(2500, trainings, patients, folds, spread=spread, common=common)).means()
        assert (abs(found.value) > found.half_width()).mean() <= MOST


def test_folds_are_no_repetitions() -> None:
    """Why one seed decides nothing, whatever its folds, and why every seed divides the patients again."""
    one = effects(in_folds(2000, 1, 30, 2, spread=0.109)).means()
    assert (abs(one.value) > one.half_width()).mean() > 0.3
    same = effects(in_folds(2000, 5, 30, 3, spread=0.03, common=0.1, again=False)).means()
    assert (abs(same.value) > same.half_width()).mean() > 0.2


def test_what_is_known_of_one_training_is_false_of_another() -> None:
    """Why a single training decides nothing: patients alone take equal methods for different."""
    one = effects(sampled(2000, 1, 30)).means()
    assert (abs(one.value) > one.half_width()).mean() > 0.3
    three = sampled(2000, 3, 30).mean(axis=0, keepdims=True)  # three trainings, averaged as if they were one
    assert (abs((found := effects(three).means()).value) > found.half_width()).mean() > 0.2


def test_a_difference_is_found_where_trainings_suffice() -> None:
    power = []
    for trainings in (3, 10):
        found = effects(0.1 + sampled(2000, trainings, 30)).means()
        power.append((found.value > found.half_width()).mean())
    assert power[0] < power[1]
    assert power[1] > 0.8


def test_far_tails_are_not_too_short() -> None:
    """Corrections for many comparisons need intervals of 99.9 % and more."""
    values = sampled(20_000, 3, 10)
    found = effects(values).means()
    for tail in (0.005, 0.0005):
        assert (abs(found.value) > found.half_width(tail)).mean() <= 2.4 * tail


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
