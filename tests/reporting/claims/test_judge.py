"""Claims on made-up trainings and patients whose answer is known by construction, and on what the paper prints."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from equal_methods import MOST, equal_methods
from some_claims import CLAIMS, claim

from mcd.csv_files import write_frame
from mcd.errors import McdError
from mcd.evaluation.grouping import rank_pairings
from mcd.evaluation.score_rows import write_scores
from mcd.evaluation.statistics import effects
from mcd.reporting.claims.judge import (
    NOT_COMPUTED,
    Judgement,
    fewest_patients,
    judge_means,
    judge_print,
    judge_trainings,
    looks_of,
    means_of,
    write_claims,
)
from mcd.reporting.claims.sentences import CLOSE, OVER, Claim, Terms
from mcd.reporting.tables.spec import Key, TableSpec
from mcd.version import code_version

PATIENTS = 20


def trained(
    means: Terms, noise: float = 0.01, seed: int = 0, n: int = PATIENTS, seeds: int = 3, draws: int = 1
) -> dict[Key, pd.DataFrame]:
    """Values that differ widely between patients, the same way in all cells of a cohort, and by `noise` between cells."""
    rng = np.random.default_rng(seed)
    levels = {cohort: rng.normal(0, 0.2, n) for cohort in dict.fromkeys(key[0] for key in means)}
    names = [f"p{number:02d}" for number in range(n)]
    trainings = pd.MultiIndex.from_product([range(seeds), range(draws)], names=["seed", "draw"])
    made = {}
    for key, mean in means.items():
        own = rng.normal(0, noise, (len(trainings), n))
        made[key] = pd.DataFrame(
            mean + levels[key[0]] - levels[key[0]].mean() + own - own.mean(), index=trainings, columns=names
        )
    return made


def cells(
    values: dict[str, float], ratio: float = 0.1, modality: str = "CT", metric: str = "DSC", cohort: str = "h"
) -> Terms:
    return {(cohort, modality, method, ratio, metric): value for method, value in values.items()}


AB = cells({"A": 0.6, "B": 0.5})
BA = cells({"A": 0.5, "B": 0.6})
CASES = {
    "above": (claim(), AB, "holds", 0.1),
    "below": (claim(), BA, "fails", -0.1),
    "on average": (claim(over="average", right=("B", "C")), cells({"A": 0.5, "B": 0.2, "C": 0.6}), "holds", 0.1),
    "in every case": (claim(right=("B", "C")), cells({"A": 0.5, "B": 0.2, "C": 0.6}), "fails", -0.1),
    "the closest of many": (claim(right=("B", "C")), cells({"A": 0.5, "B": 0.2, "C": 0.45}), "holds", 0.05),
    "less is better": (claim(metric="HD95"), cells({"A": 10, "B": 12}, metric="HD95"), "holds", 2),
    "by enough": (claim(by=0.08), AB, "holds", 0.1),
    "by too little": (claim(by=0.12), AB, "fails", 0.1),
    "close": (claim(relation="close or above"), cells({"A": 0.47, "B": 0.5}), "holds", -0.03),
    "not close": (claim(relation="close or above"), cells({"A": 0.4, "B": 0.5}), "fails", -0.1),
    "twice": (
        claim(relation="close or above", metric="HD95", factor=2.0),
        cells({"A": 21, "B": 10}, metric="HD95"),
        "holds",
        -1,
    ),
    "thrice": (
        claim(relation="close or above", metric="HD95", factor=2.0),
        cells({"A": 30, "B": 10}, metric="HD95"),
        "fails",
        -10,
    ),
    "similar": (claim(relation="similar"), cells({"A": 0.51, "B": 0.5}), "holds", -0.01),
    "better, not similar": (claim(relation="similar"), AB, "fails", -0.1),
    "worse, not similar": (claim(relation="similar"), BA, "fails", -0.1),
    "rising": (
        claim(relation="rises along", left=("A", "B", "C"), right=()),
        cells({"A": 0.3, "B": 0.4, "C": 0.6}),
        "holds",
        0.1,
    ),
    "not rising": (
        claim(relation="rises along", left=("A", "B", "C"), right=()),
        cells({"A": 0.3, "B": 0.6, "C": 0.5}),
        "fails",
        -0.1,
    ),
    "more labels": (
        claim(relation="rises with labels", right=(), over="average"),
        cells({"A": 0.3}, 0.05) | cells({"A": 0.4}, 0.1) | cells({"A": 0.6}, 0.5),
        "holds",
        0.15,
    ),
    "one step back": (
        claim(relation="rises with labels", right=()),
        cells({"A": 0.3}, 0.05) | cells({"A": 0.25}, 0.1) | cells({"A": 0.6}, 0.5),
        "fails",
        -0.05,
    ),
    "narrowing": (
        claim(relation="narrows with labels"),
        cells({"A": 0.5, "B": 0.2}, 0.05) | cells({"A": 0.6, "B": 0.5}, 0.1),
        "holds",
        0.2,
    ),
    "widening": (
        claim(relation="narrows with labels"),
        cells({"A": 0.5, "B": 0.4}, 0.05) | cells({"A": 0.8, "B": 0.5}, 0.1),
        "fails",
        -0.2,
    ),
    "gains more than another step": (
        claim(relation="gains more", left=("B",), right=("A",), than={"left": ("C",), "right": ("B",)}),
        cells({"A": 0.2, "B": 0.5, "C": 0.6}),
        "holds",
        0.2,
    ),
    "gains more elsewhere": (
        claim(relation="gains more", modalities=("CT", "PET"), than={"modalities": ("T1", "T2")}),
        cells({"A": 0.5, "B": 0.4})
        | cells({"A": 0.6, "B": 0.5}, modality="PET")
        | cells({"A": 0.7, "B": 0.4}, modality="T1", cohort="b")
        | cells({"A": 0.5, "B": 0.4}, modality="T2", cohort="b"),
        "fails",
        -0.1,
    ),
    "a sum": (
        claim(summed=True),
        cells({"A": 0.3, "B": 0.4}) | cells({"A": 0.8, "B": 0.5}, modality="PET"),
        "holds",
        0.2,
    ),
    "its parts": (claim(), cells({"A": 0.3, "B": 0.4}) | cells({"A": 0.8, "B": 0.5}, modality="PET"), "fails", -0.1),
    "more different, better": (  # least squares through (0.6, 0.50), (0.7, 0.50), (0.9, 0.56)
        claim(relation="rises with difference", left=("A", "B", "C"), right=()),
        cells({"A": 0.5, "B": 0.5, "C": 0.56}),
        "holds",
        0.3 * (0.06 * (0.9 - 2.2 / 3)) / sum((look - 2.2 / 3) ** 2 for look in (0.6, 0.7, 0.9)),
    ),
    "more different, worse": (
        claim(relation="rises with difference", left=("A", "B", "C"), right=()),
        cells({"A": 0.6, "C": 0.5}),  # a line through two
        "fails",
        -0.1,
    ),
    "not always best": (claim(negated=True), BA, "holds", -0.1),
    "always best": (claim(negated=True), AB, "fails", 0.1),
}


LOOKS = {("h", "CT", name): look for name, look in {"A": 0.6, "B": 0.7, "C": 0.9}.items()}


@pytest.mark.parametrize(("made", "means", "verdict", "difference"), CASES.values(), ids=CASES.keys())
def test_a_known_answer(made: Claim, means: Terms, verdict: str, difference: float) -> None:
    """Of trainings and patients with an interval, and of the bare means."""
    for judgement in (
        judge_trainings(made, trained(means, noise=0.01 if made.metric == "DSC" else 0.1), LOOKS),
        *(
            [] if made.relation == "rises with difference" else [judge_means(made, means)]
        ),  # the paper measures no looks
    ):
        assert judgement.verdict == verdict
        assert judgement.difference == pytest.approx(difference)
    assert judgement.ci_low is None or made.relation == "rises with difference"


@pytest.mark.parametrize("over", OVER)
def test_what_patients_cannot_tell_is_undecided(over: str) -> None:
    judgement = judge_trainings(
        claim(over=over, right=("B", "C")), trained(cells({"A": 0.5, "B": 0.501, "C": 0.501}), 0.05)
    )
    assert judgement.verdict == "undecided"
    assert judgement.ci_low is not None
    assert judgement.ci_high is not None
    assert judgement.ci_low < 0 < judgement.ci_high


@pytest.mark.parametrize(("draws", "over"), [(1, "patients"), (4, "draws and patients")])
def test_one_seed_decides_nothing(draws: int, over: str) -> None:
    """Whatever its patients and its draws of labelled patients say: another pre-training may say otherwise."""
    one = judge_trainings(claim(), trained(AB, seeds=1, draws=draws))
    assert (one.verdict, one.seeds, one.interval_over) == ("undecided", 1, over)
    assert one.ci_low is not None
    assert one.ci_low > 0
    assert "nothing is known of another one" in one.remark
    assert judge_trainings(claim(), trained(AB, seeds=2, draws=draws)).verdict == "holds"


def test_a_side_with_other_seeds_is_compared_on_those_of_both() -> None:
    made = trained(AB)
    first = next(iter(made))
    made[first] = made[first].loc[:0]
    assert judge_trainings(claim(), made).verdict == "undecided"
    made = trained(AB, seeds=4)
    made[first] = made[first].loc[:2]
    assert judge_trainings(claim(), made).seeds == 3


def test_the_margin_is_a_tenth_of_the_right_hand_side() -> None:
    judgement = judge_trainings(claim(relation="close or above"), trained(cells({"A": 0.47, "B": 0.5})))
    assert judgement.margin == pytest.approx(-CLOSE * 0.5)


def test_the_interval_is_of_paired_differences() -> None:
    made = trained(AB, noise=0.1)
    judgement = judge_trainings(claim(), made)
    a, b = (made["h", "CT", name, 0.1, "DSC"].to_numpy() for name in "AB")
    assert (judgement.ci_low, judgement.ci_high) == pytest.approx(
        np.ravel(effects((a - b)[..., None]).means().interval())
    )
    alone = np.ptp(effects(a[..., None]).means().interval())
    assert judgement.ci_high - judgement.ci_low < alone  # type: ignore[operator]  # patients differ twice as much as methods


def test_the_margin_of_what_is_close_is_as_uncertain_as_the_right_hand_side() -> None:
    """What is tested is A - 0.9 B, not A - B against a number that is taken as exact."""
    made = trained(cells({"A": 0.47, "B": 0.5}), noise=0.1)
    judgement = judge_trainings(claim(relation="close or above"), made)
    a, b = (made["h", "CT", name, 0.1, "DSC"].to_numpy() for name in "AB")
    low, high = np.ravel(effects((a - (1 - CLOSE) * b)[..., None]).means().interval())
    assert judgement.margin is not None
    assert (judgement.ci_low, judgement.ci_high) == pytest.approx((low + judgement.margin, high + judgement.margin))


def test_cohorts_are_independent() -> None:
    """The variance of a mean over two cohorts is that of independent samples."""
    made = trained(AB | cells({"A": 0.6, "B": 0.5}, cohort="b"), noise=0.1, seeds=20)
    one = judge_trainings(claim(over="average"), {key: values for key, values in made.items() if key[0] == "h"})
    two = judge_trainings(claim(over="average"), {key: values for key, values in made.items() if key[0] == "b"})
    both = judge_trainings(claim(over="average"), made)
    widths = [np.subtract(found.ci_high, found.ci_low) for found in (one, two, both)]  # type: ignore[arg-type]
    assert widths[2] == pytest.approx(np.hypot(widths[0], widths[1]) / 2, rel=0.1)
    assert both.datasets == ("h", "b")


# --- "generally", "all the baselines", "almost all cases", "in every case" ---

SIX = ("CT", "PET", "T1CE", "T2", "FLAIR", "T1")


def columns(leads: dict[str, list[float]]) -> Terms:
    """A is 0.5 everywhere; each other method is behind it by its lead, column by column."""
    return {
        ("h", modality, name, 0.1, "DSC"): 0.5 - lead
        for name, behind in {"A": [0.0] * 6, **leads}.items()
        for modality, lead in zip(SIX, behind, strict=True)
    }


@pytest.mark.parametrize(
    ("leads", "over", "verdict", "difference"),
    [
        # B is behind on average though not on T1; so is C. The mean over all cases hides neither from "each method".
        ({"B": [0.1] * 5 + [-0.1], "C": [0.2] * 6}, "each method", "holds", 0.4 / 6),
        ({"B": [0.1] * 5 + [-0.1], "C": [0.2] * 6}, "every", "fails", -0.1),
        ({"B": [0.1] * 5 + [-0.1], "C": [0.2] * 6}, "almost all", "holds", 0.1),  # 11 of 12 cases
        # All the baselines: C is better than A, however far behind B is.
        ({"B": [0.4] * 6, "C": [-0.1] * 6}, "average", "holds", 0.15),
        ({"B": [0.4] * 6, "C": [-0.1] * 6}, "each method", "fails", -0.1),
        ({"B": [0.1] * 4 + [-0.1] * 2, "C": [0.2] * 6}, "almost all", "fails", -0.1),  # 10 of 12 cases
    ],
)
def test_a_quantifier_is_read_as_written(
    leads: dict[str, list[float]], over: str, verdict: str, difference: float
) -> None:
    made = claim(over=over, right=tuple(leads))
    for judgement in (judge_trainings(made, trained(columns(leads))), judge_means(made, columns(leads))):
        assert judgement.verdict == verdict
        assert judgement.difference == pytest.approx(difference)
        assert (judgement.better, judgement.compared) == (
            sum(lead > 0 for behind in leads.values() for lead in behind),
            12,
        )


def test_label_ratios_are_paired_as_written() -> None:
    """5 % with 50 % and 10 % with 100 %, not 5 % with 100 %."""
    means = cells({"A": 0.5}, 0.05) | cells({"A": 0.7}, 0.1) | cells({"B": 0.45}, 0.5) | cells({"B": 0.65}, 1.0)
    made = claim(ratios=(0.05, 0.1), right_ratios=(0.5, 1.0))
    judgement = judge_means(made, means)
    assert (judgement.verdict, judgement.compared) == ("holds", 2)
    assert judgement.difference == pytest.approx(0.05)
    assert judge_means(claim(ratios=(0.05,), right_ratios=(1.0,)), means).verdict == "fails"
    with pytest.raises(ValueError, match="as many as ratios"):
        claim(ratios=(0.05, 0.1, 0.2), right_ratios=(0.5, 1.0))


def test_columns_on_different_scales_are_averaged_in_shares() -> None:
    """An FID of 100 that is 4 better does not outweigh one of 10 that is 2 worse."""
    means = cells({"A": 98.0, "B": 102.0}, metric="FID") | cells({"A": 11.0, "B": 9.0}, metric="FID", modality="PET")
    judgement = judge_means(claim(metric="FID", over="average"), means)
    assert judgement.verdict == "fails"
    assert judgement.difference == pytest.approx((4 / 100 - 2 / 10) / 2)
    raw = cells({"A": 98.0, "B": 102.0}, metric="HD95") | cells({"A": 11.0, "B": 9.0}, metric="HD95", modality="PET")
    assert judge_means(claim(metric="HD95", over="average"), raw).difference == pytest.approx(1)


def test_a_distance_of_all_slices_has_an_interval_over_trainings() -> None:
    trainings = pd.MultiIndex.from_product([range(5), [0]], names=["seed", "draw"])
    made: dict[Key, pd.DataFrame] = {
        ("h", "CT-PET:X_trans", name, None, "FID"): pd.DataFrame({"all slices": values}, index=trainings)
        for name, values in {"A": [50.0, 51, 52, 50, 51], "B": [60.0, 61, 63, 60, 62]}.items()
    }
    judgement = judge_trainings(claim(metric="FID"), made)
    assert (judgement.verdict, judgement.interval_over, judgement.patients) == ("holds", "seeds", None)
    one = judge_trainings(claim(metric="FID"), {key: values.head(1) for key, values in made.items()})
    assert (one.verdict, one.ci_low) == ("undecided", None)


# --- by chance ---


@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize(("trainings", "folds"), [(1, 1), (3, 1), (10, 1), (1, 5), (3, 5)])
def test_of_equal_methods_few_claims_are_decided(trainings: int, folds: int, over: str) -> None:
    """Four methods as good as the first, in two columns; their trainings spread as the study's do."""
    others, trials, decided = ("B", "C", "D", "E"), 150 if trainings > 1 else 5, 0
    made = claim(over=over, right=others)
    for trial in range(trials):
        known: dict[Key, pd.DataFrame] = {
            ("h", modality, name, 0.1, "DSC"): values
            for place, modality in enumerate(("CT", "PET"))
            for name, values in equal_methods(("A", *others), trainings, seed=2 * trial + place, folds=folds).items()
        }
        decided += judge_trainings(made, known).verdict != "undecided"
    assert decided <= MOST * trials
    assert trainings > 1 or decided == 0


def test_one_of_many_equal_methods_seldom_fails_by_chance() -> None:
    """Thirty methods as good as the first: the worst of them lies well below it, as the worst of thirty does."""
    names = [f"m{number}" for number in range(30)]
    verdicts = [
        judge_trainings(
            claim(right=tuple(names)),
            {("h", "CT", name, 0.1, "DSC"): values for name, values in equal_methods(["A", *names], 10, seed).items()},
        ).verdict
        for seed in range(40)
    ]
    assert verdicts.count("holds") == 0
    assert verdicts.count("fails") <= MOST * 40


def test_few_patients_decide_nothing() -> None:
    assert [fewest_patients(contrasts) for contrasts in (1, 2, 40)] == [6, 7, 11]
    assert judge_trainings(claim(), trained(AB, n=6)).verdict == "holds"
    few = judge_trainings(claim(), trained(AB, n=5))
    assert few.verdict == "undecided"
    assert "5 patients are too few for a verdict, which takes 6" in few.remark
    names = tuple(f"m{number}" for number in range(40))
    assert (
        judge_trainings(
            claim(right=names), trained(cells({"A": 0.5} | dict.fromkeys(names, 0.6)), n=10, seeds=9)
        ).verdict
        == "undecided"
    )
    assert judge_trainings(claim(), trained(AB, n=1)).verdict == "undecided"


def test_undefined_scores_leave_the_pair_out() -> None:
    made = trained(AB)
    first = next(iter(made.values()))
    first.iloc[:, :4] = np.nan
    assert judge_trainings(claim(), made).patients == PATIENTS - 4
    first.iloc[:, :] = np.nan
    assert judge_trainings(claim(), made).verdict == NOT_COMPUTED


def test_what_is_missing_is_said() -> None:
    part = judge_means(claim(right=("B", "C"), modalities=("CT", "PET"), ratios=(0.05, 0.1)), AB)
    assert (part.verdict, part.compared) == ("holds", 1)
    assert part.remark == "without C, PET, 5 % of the labels"
    assert judge_means(claim(right=("C",)), AB).remark == "without C"
    assert judge_means(claim(metric="Sen"), AB).verdict == NOT_COMPUTED


# --- the print ---


@cache
def on_print() -> list[tuple[Claim, Judgement]]:
    return [(made, judge_print(made)) for made in CLAIMS]


def printed(number: int, metric: str, modality: str = "") -> tuple[str, float | None, int | None, int | None]:
    (judgement,) = [
        found
        for c, found in on_print()
        if (c.number, c.metric) == (number, metric) and (not modality or c.modalities == (modality,))
    ]
    return (
        judgement.verdict,
        judgement.difference and round(judgement.difference, 4),
        judgement.better,
        judgement.compared,
    )


def test_every_claim_is_judged_on_the_print_where_there_are_numbers() -> None:
    without = {(c.table, c.metric): found for c, found in on_print() if found.verdict == NOT_COMPUTED}
    figures = {"fig6", "fig7", "fig8", "table_fusion"}
    assert {table for table, _ in without if table in figures} == figures
    lost = {key for key in without if key[0] not in figures}
    assert lost == {("table6", "HD95"), ("table6", "BIoU")}  # of Fully Supervised, whose row the print lost
    assert all(judgement.remark == "without Fully Supervised" for key, judgement in without.items() if key in lost)


@pytest.mark.parametrize(
    ("number", "metric", "modality", "expected"),
    [
        # "all": the best of the baselines' own means is SimCLR's, which is 0.0366 below
        (1, "DSC", "", ("holds", 0.0366, 154, 156)),
        # 5 % with 50 %, 10 % with 100 %: T1CE has 0.6246 with 10 %, 0.7453 with 100 %
        (2, "DSC", "", ("fails", -0.1207, 8, 12)),
        # by hand from the tables: 0.3025 - 0.3114; 0.3161 - 0.3581, more than a tenth below; 0.6488 - 0.6475
        (7, "DSC", "CT", ("holds", -0.0089, 1, 1)),
        (7, "DSC", "T1", ("fails", -0.042, 0, 1)),
        (9, "DSC", "PET", ("holds", 0.0013, 1, 1)),
        # "in all cases": CPC on FLAIR at 5 % has 0.3421, Fully Supervised 0.4035
        (5, "DSC", "", ("fails", -0.0614, 148, 168)),
        # the lead over Fully Supervised is larger on T1CE and T2 than on CT and PET, not smaller
        (10, "DSC", "", ("fails", -0.0491, 0, 2)),
        # "almost all": 0.0026 is the 108th of 120 leads in sensitivity
        (11, "Sen", "", ("holds", 0.0026, 110, 120)),
        # "constantly": P-GAN has FID 87.9765 on T1CE-T2's Y', Cycle-P-GAN 89.9744
        (28, "FID", "", ("fails", -1.9979, 16, 18)),
        # 0.4287 of the L_C row is no help: T1CE's DSC is 0.3724 against 0.3234
        # "generally ... all the GAN-based": Multi-Con's FID is nearest, 3.58 % of the two's mean higher on average
        (33, "FID", "", ("holds", 0.0358, 52, 54)),
        (35, "DSC", "T1CE", ("holds", 0.049, 1, 1)),
        # "all worse": on average over modalities, though L_GAN+L_R+L_C has Sen 0.6415 on FLAIR, all four losses 0.6340
        (42, "Sen", "", ("holds", 0.0226, 23, 24)),
        (42, "DSC", "", ("holds", 0.0215, 24, 24)),
        (49, "PPV", "", ("holds", 0.0244, 78, 78)),
        (62, "pretraining_hours", "", ("holds", -0.87, 4, 4)),
        (66, "pretraining_hours", "", ("holds", -0.09, 1, 1)),  # 2 x 8.06 - 16.21
    ],
)
def test_what_the_tables_say_to_a_sentence(
    number: int, metric: str, modality: str, expected: tuple[str, float, int, int]
) -> None:
    assert printed(number, metric, modality) == expected


def test_printed_errors_are_shown() -> None:
    remarks = {(c.number, c.metric, c.modalities): found.remark for c, found in on_print()}
    assert "Multi-ConDoS, T1, 10 %: 0.3749 here, 0.3586 in III" in remarks[8, "DSC", ("T1",)]
    assert "0.5775 here, 0.5747 in II" in remarks[42, "Sen", ()]
    assert "Rotation, T2, 10 %: the same number as T1CE" in remarks[48, "HD95", ()]
    (slip,) = {c.note for c in CLAIMS if c.number == 31}
    assert "read as Multi-DoS" in slip


# --- the file ---


def test_the_file_says_what_was_tested_on_whom(
    scores: pd.DataFrame, make_spec: Callable[..., TableSpec], tmp_path: Path
) -> None:
    """A Table II of four methods on two simulated cohorts, a Table IX of single numbers, and nothing else."""
    spec = make_spec(metrics=["DSC", "Sen"])
    files = [tmp_path / "scores.csv"]
    write_scores(scores.to_dict("records"), files[0])
    times = pd.DataFrame(
        {
            "dataset": "hecktor",
            "modality": "CT-PET",
            "method": ["Multi-ConDoS", "G-L", "ContIG"],
            "label_ratio": np.nan,
            "metric": "pretraining_hours",
            "value": [2.0, 9.0, 1.0],
            "mcd_version": ["1+aa", "1+bb", "1+aa"],
        }
    )
    times.to_csv(tmp_path / "table9_long.csv", index=False)
    absent = {c.table: f"{c.source} is not made" for c in CLAIMS if c.table not in ("table2", "table9")}
    measured, datasets = {"table9": tmp_path / "table9_long.csv"}, {"hecktor": "hecktor", "brats2018": "brats2018"}
    out = tmp_path / "claims.csv"
    write_claims({"table2": (spec, files)}, {}, measured, {}, absent, datasets, ["hecktor"], out)
    claims = pd.read_csv(out, keep_default_na=False)
    assert len(claims) == len(CLAIMS)
    rows = {(row.number, row.metric, row.reading.split("; ")[1]): row for row in claims.itertuples()}

    best = rows[6, "DSC", "at 5, 10 %"]  # Multi-ConDoS is better by 0.4 than Fully Supervised by construction
    assert (best.verdict, best.better, best.compared, best.seeds, best.patients) == ("holds", "6", "6", "3", "12")
    assert best.interval_over == "seeds and patients"
    assert best.mcd_version == f"unknown {code_version()}"
    (timed, *_) = (row for row in claims.itertuples() if "1+aa" in row.mcd_version)
    assert timed.mcd_version == f"1+aa 1+bb {code_version()}"
    assert float(best.difference) == pytest.approx(0.4, abs=0.02)
    assert float(best.ci_low) < float(best.difference) < float(best.ci_high)
    assert (best.cohorts, best.simulated) == ("hecktor brats2018", "hecktor")
    assert "without Jigsaw" in rows[3, "DSC", "at 5, 10 %"].remark
    assert rows[7, "DSC", "on T2"].verdict == NOT_COMPUTED
    assert "without T2" in rows[7, "DSC", "on T2"].remark
    assert set(claims[claims["source"] == "Table III"]["verdict"]) == {NOT_COMPUTED}
    assert claims[claims["source"] == "Table III"]["remark"].str.startswith("Table III is not made").all()

    hours = claims[claims["source"] == "Table IX"].set_index("number")
    assert hours.loc[61, ["verdict", "difference", "ci_low"]].tolist() == ["holds", "7", ""]
    assert hours.loc[66, "verdict"] == "holds"
    assert hours.loc[61, "remark"] == "single measurements without interval"
    assert hours.loc[62, "verdict"] == NOT_COMPUTED  # no BYOL
    assert means_of(times.assign(metric="FID_Inception", method="P-GAN", value=3.0).head(1)) == {
        ("hecktor", "CT-PET", "P-GAN", None, "FID"): 3.0
    }
    again = tmp_path / "again.csv"
    write_claims({"table2": (spec, files)}, {}, measured, {}, absent, datasets, ["hecktor"], again)
    assert again.read_bytes() == out.read_bytes()


def claimed(path: Path, number: int) -> pd.DataFrame:
    claims = pd.read_csv(path, keep_default_na=False)
    return claims[claims["number"] == number].set_index("metric")


def test_translations_have_intervals_from_their_patients_and_trainings(
    make_spec: Callable[..., TableSpec], tmp_path: Path
) -> None:
    """Multi-DoS is 0.1 more similar than Cycle-P-GAN, and 20 nearer, by construction."""
    rng = np.random.default_rng(0)
    skill = {"cycle_p_gan": 0.0, "multi_dos": 0.1}
    run = {"cohort": "hecktor", "pair": "CT-PET", "image": "X_trans", "slices": 9}
    made = [(run | {"pretraining": name, "seed": seed}, better) for name, better in skill.items() for seed in range(4)]
    ssim = [
        row | {"subject": f"p{patient}", "SSIM": 0.5 + better + rng.normal(0, 0.01)}
        for row, better in made
        for patient in range(8)
    ]
    fid = [row | {"extractor": "Inception", "FID": 90 - 200 * better + rng.normal(0, 1)} for row, better in made]
    pd.DataFrame(ssim).to_csv(tmp_path / "scores.csv", index=False)
    pd.DataFrame(fid).to_csv(tmp_path / "distances.csv", index=False)
    methods = {"cycle_p_gan": "Cycle-P-GAN", "multi_dos": "Multi-DoS"}
    spec = make_spec(
        name="table4", rows=[(None, name) for name in methods.values()], methods=methods, metrics=["FID", "SSIM"]
    )
    for seeds, verdict in ((4, "holds"), (1, "undecided")):
        for name in ("scores", "distances"):
            table = pd.read_csv(tmp_path / f"{name}.csv")
            table[table["seed"] < seeds].to_csv(tmp_path / f"{name}{seeds}.csv", index=False)
        files = [tmp_path / f"scores{seeds}.csv"], [tmp_path / f"distances{seeds}.csv"]
        write_claims({}, {"table4": (spec, *files)}, {}, {}, {}, {}, [], tmp_path / "claims.csv")
        found = claimed(tmp_path / "claims.csv", 29)
        assert set(found["verdict"]) == {verdict}
        assert float(found.loc["SSIM", "difference"]) == pytest.approx(0.1, abs=0.01)
        assert float(found.loc["SSIM", "ci_low"]) > 0
        assert found.loc["SSIM", "patients"] == "8"
        assert float(found.loc["FID", "difference"]) == pytest.approx(20 / 80, abs=0.02)
        assert (found.loc["FID", "ci_low"] != "") == (seeds > 1)


def test_groupings_are_set_against_how_different_their_pairs_look(
    scores: pd.DataFrame, make_spec: Callable[..., TableSpec], tmp_path: Path
) -> None:
    """From a ranking as the workflow writes it; T1 looks like T2, so A has the less different pair."""
    rng = np.random.default_rng(0)
    volumes = {name: rng.uniform(1, 2, (4, 20, 20)) for name in ("T1CE", "T2", "FLAIR", "T1")}
    volumes["T1"] = volumes["T2"] + rng.uniform(0, 0.1, (4, 20, 20))
    ranking = rank_pairings([("p1", volumes), ("p2", volumes)])
    write_frame(ranking, tmp_path / "ranking.csv", "%.6g")
    pairs = {"T2-T1": "A: T2-T1, T1CE-FLAIR", "T1CE-FLAIR": "A: T2-T1, T1CE-FLAIR", "T2-T1CE": "B: T2-T1CE, FLAIR-T1"}
    spec = make_spec(name="fig8", rows=[], row_of_pair=pairs)
    looks = looks_of({"brats": tmp_path / "ranking.csv"}, spec)
    assert looks["brats", "T2", "A"] == looks["brats", "T1", "A"] < 0.5 < looks["brats", "T2", "B"]
    assert looks["brats", "T1CE", "A"] > 0.5
    (tmp_path / "ranking.csv").write_text("pairing,A-B\nx,y\n")
    with pytest.raises(McdError, match="not a ranking of pairings"):
        looks_of({"brats": tmp_path / "ranking.csv"}, spec)
