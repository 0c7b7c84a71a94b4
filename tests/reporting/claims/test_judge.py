"""Claims on made-up patients whose answer is known by construction, and on what the paper prints."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap
from some_claims import CLAIMS, claim

from mcd.evaluation.score_rows import write_scores
from mcd.evaluation.statistics import expanded_tail
from mcd.reporting.claims.judge import (
    NOT_COMPUTED,
    Judgement,
    fewest_patients,
    judge_means,
    judge_patients,
    judge_print,
    means_of,
    write_claims,
)
from mcd.reporting.claims.sentences import CLOSE, Claim, Terms
from mcd.reporting.tables.spec import Key, TableSpec

PATIENTS = 20


def patients(means: Terms, noise: float = 0.01, seed: int = 0, n: int = PATIENTS) -> dict[Key, pd.Series]:
    """Values that differ widely between patients, the same way in all cells of a cohort, and by `noise` between cells."""
    rng = np.random.default_rng(seed)
    levels = {cohort: rng.normal(0, 0.2, n) for cohort in dict.fromkeys(key[0] for key in means)}
    names = [f"p{number:02d}" for number in range(n)]
    made = {}
    for key, mean in means.items():
        own = rng.normal(0, noise, n)
        made[key] = pd.Series(mean + levels[key[0]] - levels[key[0]].mean() + own - own.mean(), index=names)
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
    "not always best": (claim(negated=True), BA, "holds", -0.1),
    "always best": (claim(negated=True), AB, "fails", 0.1),
}


@pytest.mark.parametrize(("made", "means", "verdict", "difference"), CASES.values(), ids=CASES.keys())
def test_a_known_answer(made: Claim, means: Terms, verdict: str, difference: float) -> None:
    """Of patients with an interval, and of the bare means."""
    for judgement in (
        judge_patients(made, patients(means, noise=0.01 if made.metric == "DSC" else 0.1)),
        judge_means(made, means),
    ):
        assert judgement.verdict == verdict
        assert judgement.difference == pytest.approx(difference)
    assert (judgement.ci_low, judgement.patients) == (None, None)


@pytest.mark.parametrize("over", ["average", "every"])
def test_what_patients_cannot_tell_is_undecided(over: str) -> None:
    judgement = judge_patients(
        claim(over=over, right=("B", "C")), patients(cells({"A": 0.5, "B": 0.501, "C": 0.501}), 0.05)
    )
    assert judgement.verdict == "undecided"
    assert judgement.ci_low is not None
    assert judgement.ci_high is not None
    assert judgement.ci_low < 0 < judgement.ci_high


def test_the_margin_is_a_tenth_of_the_right_hand_side() -> None:
    judgement = judge_patients(claim(relation="close or above"), patients(cells({"A": 0.47, "B": 0.5})))
    assert judgement.margin == pytest.approx(-CLOSE * 0.5)


def test_the_interval_is_scipys_paired_bootstrap_with_hesterbergs_tails() -> None:
    made = patients(AB, noise=0.1)
    judgement = judge_patients(claim(), made)
    difference = (made["h", "CT", "A", 0.1, "DSC"] - made["h", "CT", "B", 0.1, "DSC"]).to_numpy()
    level = 1 - 2 * expanded_tail(0.025, PATIENTS)
    theirs = bootstrap(
        (difference,),
        np.mean,
        n_resamples=20_000,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(5),
    )
    assert (judgement.ci_low, judgement.ci_high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.01)
    alone = 2 * 1.96 * made["h", "CT", "A", 0.1, "DSC"].std() / np.sqrt(PATIENTS)
    assert (
        np.ptp([judgement.ci_low, judgement.ci_high]) < alone
    )  # though patients differ twice as much as the methods do


def test_cohorts_are_drawn_apart() -> None:
    """The variance of a mean over two cohorts is that of independent samples."""
    made = patients(AB | cells({"A": 0.6, "B": 0.5}, cohort="b"), noise=0.1)
    one = judge_patients(claim(over="average"), {key: values for key, values in made.items() if key[0] == "h"})
    two = judge_patients(claim(over="average"), {key: values for key, values in made.items() if key[0] == "b"})
    both = judge_patients(claim(over="average"), made)
    widths = [np.subtract(found.ci_high, found.ci_low) for found in (one, two, both)]  # type: ignore[arg-type]
    assert widths[2] == pytest.approx(np.hypot(widths[0], widths[1]) / 2, rel=0.1)
    assert both.datasets == ("h", "b")


def test_one_of_many_equal_methods_seldom_fails_by_chance() -> None:
    """Thirty methods as good as the first: the worst of them lies well below it, as the worst of thirty does."""
    names = [f"m{number}" for number in range(30)]
    verdicts = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        made: dict[Key, pd.Series] = {
            ("h", "CT", name, 0.1, "DSC"): pd.Series(rng.normal(0.5, 0.1, PATIENTS)) for name in ["A", *names]
        }
        verdicts.append(judge_patients(claim(right=tuple(names)), made).verdict)
    assert verdicts.count("holds") == 0
    assert verdicts.count("fails") <= 2


def test_few_patients_decide_nothing() -> None:
    assert [fewest_patients(contrasts) for contrasts in (1, 2, 40)] == [6, 7, 11]
    assert judge_patients(claim(), patients(AB, n=6)).verdict == "holds"
    few = judge_patients(claim(), patients(AB, n=5))
    assert few.verdict == "undecided"
    assert "5 patients are too few for a verdict, which takes 6" in few.remark
    names = tuple(f"m{number}" for number in range(40))
    assert (
        judge_patients(claim(right=names), patients(cells({"A": 0.5} | dict.fromkeys(names, 0.6)), n=10)).verdict
        == "undecided"
    )
    assert judge_patients(claim(), patients(AB, n=1)).verdict == "undecided"


def test_undefined_scores_leave_the_pair_out() -> None:
    made = patients(AB)
    first = next(iter(made.values()))
    first.iloc[:4] = np.nan
    assert judge_patients(claim(), made).patients == PATIENTS - 4
    first.iloc[:] = np.nan
    assert judge_patients(claim(), made).verdict == NOT_COMPUTED


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
    figures = {"fig3", "fig6", "fig7", "fig8"}
    assert {table for table, _ in without if table in figures} == figures
    lost = {key for key in without if key[0] not in figures}
    assert lost == {("table6", "HD95"), ("table6", "BIoU")}  # of Fully Supervised, whose row the print lost
    assert all(judgement.remark == "without Fully Supervised" for key, judgement in without.items() if key in lost)


@pytest.mark.parametrize(
    ("number", "metric", "modality", "expected"),
    [
        # by hand from the tables: 0.3025 - 0.3114; 0.3161 - 0.3581, more than a tenth below; 0.6488 - 0.6475
        (5, "DSC", "CT", ("holds", -0.0089, 1, 1)),
        (5, "DSC", "T1", ("fails", -0.042, 0, 1)),
        (7, "DSC", "PET", ("holds", 0.0013, 1, 1)),
        # "in all cases": CPC on FLAIR at 5 % has 0.3421, Fully Supervised 0.4035
        (3, "DSC", "", ("fails", -0.0614, 148, 168)),
        # the lead over Fully Supervised is larger on T1CE and T2 than on CT and PET, not smaller
        (8, "DSC", "", ("fails", -0.0491, 0, 2)),
        # "constantly": P-GAN has FID 87.9765 on T1CE-T2's Y', Cycle-P-GAN 89.9744
        (27, "FID", "", ("fails", -1.9979, 16, 18)),
        # 0.4287 of the L_C row is no help: T1CE's DSC is 0.3724 against 0.3234
        (34, "DSC", "T1CE", ("holds", 0.049, 1, 1)),
        # "all worse": L_GAN+L_R+L_C has Sen 0.6415 on FLAIR, all four losses 0.6340
        (41, "Sen", "", ("fails", -0.0075, 23, 24)),
        (41, "DSC", "", ("holds", 0.0018, 24, 24)),
        (48, "PPV", "", ("holds", 0.0054, 78, 78)),
        (59, "pretraining_hours", "", ("holds", -0.87, 4, 4)),
        (63, "pretraining_hours", "", ("holds", -0.09, 1, 1)),  # 2 x 8.06 - 16.21
    ],
)
def test_what_the_tables_say_to_a_sentence(
    number: int, metric: str, modality: str, expected: tuple[str, float, int, int]
) -> None:
    assert printed(number, metric, modality) == expected


def test_printed_errors_are_shown() -> None:
    remarks = {(c.number, c.metric, c.modalities): found.remark for c, found in on_print()}
    assert "Multi-ConDoS, T1, 10 %: 0.3749 here, 0.3586 in III" in remarks[6, "DSC", ("T1",)]
    assert "0.5775 here, 0.5747 in II" in remarks[41, "Sen", ()]
    assert "Rotation, T2, 10 %: the same number as T1CE" in remarks[47, "HD95", ()]
    (slip,) = {c.note for c in CLAIMS if c.number == 30}
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
        }
    )
    times.to_csv(tmp_path / "table9_long.csv", index=False)
    absent = {c.table: f"{c.source} is not made" for c in CLAIMS if c.table not in ("table2", "table9")}
    measured, datasets = {"table9": tmp_path / "table9_long.csv"}, {"hecktor": "hecktor", "brats2018": "brats2018"}
    out = tmp_path / "claims.csv"
    write_claims({"table2": (spec, files)}, measured, absent, datasets, ["hecktor"], out)
    claims = pd.read_csv(out, keep_default_na=False)
    assert len(claims) == len(CLAIMS)
    rows = {(row.number, row.metric, row.reading.split("; ")[1]): row for row in claims.itertuples()}

    best = rows[4, "DSC", "at 5, 10 %"]  # Multi-ConDoS is better by 0.4 than Fully Supervised by construction
    assert (best.verdict, best.better, best.compared, best.patients) == ("holds", "6", "6", "12")
    assert float(best.difference) == pytest.approx(0.4, abs=0.02)
    assert float(best.ci_low) < float(best.difference) < float(best.ci_high)
    assert (best.cohorts, best.simulated) == ("hecktor brats2018", "hecktor")
    assert "without Jigsaw" in rows[1, "DSC", "at 5, 10 %"].remark
    assert rows[5, "DSC", "on T2"].verdict == NOT_COMPUTED
    assert "without T2" in rows[5, "DSC", "on T2"].remark
    assert set(claims[claims["source"] == "Table III"]["verdict"]) == {NOT_COMPUTED}
    assert claims[claims["source"] == "Table III"]["remark"].str.startswith("Table III is not made").all()

    hours = claims[claims["source"] == "Table IX"].set_index("number")
    assert hours.loc[58, ["verdict", "difference", "ci_low"]].tolist() == ["holds", "7", ""]
    assert hours.loc[63, "verdict"] == "holds"
    assert hours.loc[58, "remark"] == "single numbers without interval"
    assert hours.loc[59, "verdict"] == NOT_COMPUTED  # no BYOL
    assert means_of(times.assign(metric="FID_Inception", method="P-GAN", value=3.0).head(1)) == {
        ("hecktor", "CT-PET", "P-GAN", None, "FID"): 3.0
    }
    again = tmp_path / "again.csv"
    write_claims({"table2": (spec, files)}, measured, absent, datasets, ["hecktor"], again)
    assert again.read_bytes() == out.read_bytes()
