"""The rows of a patient, the score file, and means that leave nothing out silently."""

import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mcd.csv_files import read_csv
from mcd.errors import McdError
from mcd.evaluation.metric import Metric
from mcd.evaluation.metrics import METRIC_KEYS, METRICS, score_subject
from mcd.evaluation.score_rows import COLUMNS, write_scores
from mcd.evaluation.scores import DRAWS, PATIENTS, SEEDS, crossed, read_scores, summarise, training_values
from mcd.evaluation.statistics import mean_interval

RUN = {"cohort": "brats", "pair": "T1CE-T2", "modality": "T2", "method": "dsgan", "label_ratio": 0.05}
RUN |= {"seed": 0, "draw": 0}


def row(subject: Any = "p1", region: Any = "WT", **values: Any) -> Any:
    return RUN | {"subject": subject, "region": region} | dict.fromkeys(METRIC_KEYS, 0.5) | values


def test_one_row_a_region_with_every_metric() -> None:
    rng = np.random.default_rng(0)
    truth = {region: rng.random((3, 10, 10)) < 0.4 for region in ("WT", "TC", "ET")}
    rows = score_subject(truth, {region: mask.copy() for region, mask in truth.items()}, (1, 1, 1))
    assert [r["region"] for r in rows] == ["WT", "TC", "ET"]
    for r in rows:
        assert {key: r[key] for key in METRIC_KEYS} == {"DSC": 1, "Sen": 1, "PPV": 1, "HD95": 0, "BIoU": 1}


def test_metrics_say_which_way_is_better() -> None:
    assert {metric.key: metric.higher_is_better for metric in METRICS} == {
        "DSC": True,
        "Sen": True,
        "PPV": True,
        "HD95": False,
        "BIoU": True,
    }


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.key)
def test_a_metric_stays_within_its_bounds_and_is_best_where_all_is_found(metric: Any) -> None:
    rng = np.random.default_rng(0)
    masks = [np.zeros((3, 8, 8), bool), *(rng.random((3, 8, 8)) < share for share in (0.05, 0.3, 0.9))]
    given = {"spacing_zyx": (2.0, 1.0, 1.0)}
    needed = {name: given[name] for name in metric.needs}
    low, high = metric.bounds
    for truth, prediction in product(masks, masks):
        score = metric.function(truth, prediction, **needed)
        assert math.isnan(score) or low <= score <= high
    assert metric.function(masks[2], masks[2], **needed) == (high if metric.higher_is_better else low)


def test_the_formats_page_defines_every_metric() -> None:
    (page,) = Path(__file__).parents[2].glob("docs/**/formats.md")
    for metric in METRICS:
        assert f"| `{metric.key}` | {metric.definition} |" in page.read_text()


def test_a_metric_asks_only_for_what_scoring_has() -> None:
    with pytest.raises(ValueError, match="metric X: nothing provides age; there is spacing_zyx"):
        Metric(key="X", label="x", function=lambda truth, prediction, age: 0.0, definition="x", needs=("age",))


@pytest.mark.parametrize(
    "prediction",
    [{"TC": np.zeros((1, 2, 2), bool)}, {"WT": np.zeros((1, 2, 3), bool)}, {"WT": np.zeros((1, 2, 2), np.uint8)}],
    ids=["other region", "other shape", "not boolean"],
)
def test_what_does_not_fit_is_refused(prediction: Any) -> None:
    with pytest.raises(ValueError, match="WT"):
        score_subject({"WT": np.zeros((1, 2, 2), bool)}, prediction, (1, 1, 1))


def test_the_file_is_the_one_that_pandas_would_write(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = [
        *rng.random(50),
        *(rng.random(50) * 400),
        0,
        1,
        1e-7,
        4e-6,
        2.5e-6,
        0.1234565,
        math.nan,
        np.float64(1 / 3),
    ]
    rows = [row(subject=f'p{number}, "x"', DSC=value, HD95=value) for number, value in enumerate(values)]
    write_scores(rows, tmp_path / "scores.csv")
    table = pd.DataFrame(rows, columns=COLUMNS)
    table[METRIC_KEYS] = table[METRIC_KEYS].astype(float).round(6)
    assert read_csv(tmp_path / "scores.csv").getvalue() == table.to_csv(index=False)


def test_round_trip_keeps_names_and_undefined(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    rows = [row(subject="007", Sen=math.nan), row(subject="NA", DSC=1 / 3, HD95=373.128684)]
    write_scores(rows, path)
    assert path.read_text().splitlines()[0] == ",".join([*COLUMNS, "digest"])
    assert path.read_text().splitlines()[1].startswith("brats,T1CE-T2,T2,dsgan,0.05,0,0,007,WT,0.5,,0.5,0.5,0.5,")
    scores = read_scores([path])
    assert list(scores["subject"]) == ["007", "NA"]
    assert math.isnan(scores["Sen"][0])
    assert scores["DSC"][1] == pytest.approx(1 / 3, abs=1e-6)
    assert scores["HD95"][1] == 373.128684


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cohort,pair\nx,y\n", "no column modality"),
        ("", "its end or a part of a row is missing"),
        (",".join(COLUMNS) + "\nb,single,T2,m,0.05,0,0,p,WT,good,1,1,1,1\n", "not a score file"),
    ],
    ids=["columns", "empty", "words for numbers"],
)
def test_broken_file_is_named(tmp_path: Path, content: Any, message: Any) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(content)
    with pytest.raises(McdError, match=message) as fault:
        read_scores([path])
    assert str(path) in str(fault.value)
    assert "\n" not in str(fault.value)


def test_missing_file_and_the_same_file_twice(tmp_path: Path) -> None:
    with pytest.raises(McdError, match="no such file"):
        read_scores([tmp_path / "none.csv"])
    path = tmp_path / "scores.csv"
    write_scores([row()], path)
    with pytest.raises(McdError, match="p1, WT appears twice"):
        read_scores([path, path])


def test_regions_first_then_patients() -> None:
    # p2 has one region only: a mean over rows would weigh p1 three times as much.
    scores = pd.DataFrame(
        [row("p1", "WT", DSC=0.9), row("p1", "TC", DSC=0.6), row("p1", "ET", DSC=0.3), row("p2", "WT", DSC=0.0)]
    )
    (values,) = training_values(scores, ["DSC"]).values()
    assert values.loc[(0, 0)].tolist() == pytest.approx([0.6, 0.0])
    assert summarise(scores, ["DSC"])["value"].item() == pytest.approx(0.3)


def test_undefined_is_left_out_and_counted() -> None:
    scores = pd.DataFrame(
        [
            row("p1", "WT", Sen=0.8),
            row("p1", "ET", Sen=math.nan),
            row("p2", "WT", Sen=math.nan),
            row("p2", "ET", Sen=math.nan),
            row("p3", "WT", Sen=0.4),
            row("p3", "ET", Sen=0.2),
        ]
    )
    summary = summarise(scores, ["Sen", "DSC"]).set_index("metric")
    assert summary.loc["Sen", "value"] == pytest.approx((0.8 + 0.3) / 2)
    assert summary.loc["Sen", "patients"] == 2
    assert summary.loc["Sen", "undefined"] == 3
    assert summary.loc["DSC", ["patients", "undefined"]].tolist() == [3, 0]


def test_nothing_defined_is_an_empty_mean_over_no_patient() -> None:
    summary = summarise(pd.DataFrame([row(Sen=math.nan)]), ["Sen"]).iloc[0]
    assert math.isnan(summary["value"])
    assert (summary["patients"], summary["seeds"], summary["undefined"]) == (0, 0, 1)


def test_seeds_are_averaged_within_a_patient_and_their_spread_reported() -> None:
    scores = pd.DataFrame(
        [
            row("p1", DSC=0.2, seed=0),
            row("p2", DSC=0.4, seed=0),
            row("p1", DSC=0.6, seed=1),
            row("p2", DSC=0.8, seed=1),
        ]
    )
    (values,) = training_values(scores, ["DSC"]).values()
    assert values.to_numpy() == pytest.approx(np.array([[0.2, 0.4], [0.6, 0.8]]))
    summary = summarise(scores, ["DSC"]).iloc[0]
    assert summary["value"] == pytest.approx(0.5)
    assert (summary["patients"], summary["seeds"]) == (2, 2)
    assert summary["seed_sd"] == pytest.approx(np.std([0.3, 0.7], ddof=1))
    assert math.isnan(summarise(scores[scores["seed"] == 0], ["DSC"])["seed_sd"].item())


def test_draws_are_trainings_too(tmp_path: Path) -> None:
    """A file without the column, of an earlier version, holds the first draw; draws are not taken for copies."""
    first = [
        {key: value for key, value in row(DSC=dsc, seed=seed).items() if key != "draw"}
        for seed, dsc in ((0, 0.1), (1, 0.2))
    ]
    write_scores([row(DSC=dsc, seed=seed, draw=1) for seed, dsc in ((0, 0.5), (1, 0.8))], tmp_path / "second.csv")
    write_scores(first, tmp_path / "first.csv")
    pd.read_csv(tmp_path / "first.csv").drop(columns=["draw", "digest"]).to_csv(tmp_path / "early.csv", index=False)
    for name in ("first.csv", "early.csv"):
        scores = read_scores([tmp_path / name, tmp_path / "second.csv"])
        assert scores["draw"].tolist() == [0, 0, 1, 1]
        summary = summarise(scores, ["DSC"]).iloc[0]
        assert (summary["value"], summary["seeds"], summary["draws"]) == (pytest.approx(0.4), 2, 2)
        assert summary["seed_sd"] == pytest.approx(np.std([0.3, 0.5], ddof=1))
    with pytest.raises(McdError, match="appears twice"):
        read_scores([tmp_path / "second.csv", tmp_path / "second.csv"])


def test_a_region_undefined_in_one_seed_does_not_lighten_that_seed() -> None:
    scores = pd.DataFrame(
        [
            row(region="WT", PPV=0.9, seed=0),
            row(region="ET", PPV=math.nan, seed=0),
            row(region="WT", PPV=0.5, seed=1),
            row(region="ET", PPV=0.1, seed=1),
        ]
    )
    assert summarise(scores, ["PPV"])["value"].item() == pytest.approx((0.9 + (0.5 + 0.1) / 2) / 2)


def drawn(values: dict[tuple[int, int], list[float]], **more: Any) -> pd.DataFrame:
    """Scores of patients p0, p1, ... for each (seed, draw)."""
    return pd.DataFrame(
        [
            row(f"p{place}", DSC=value, seed=seed, **more) | {"draw": draw}
            for (seed, draw), scores in values.items()
            for place, value in enumerate(scores)
        ]
    )


def test_a_seed_s_draws_are_averaged_since_they_share_a_pretraining() -> None:
    """Two pre-trainings are two units, however many draws each has."""
    rng = np.random.default_rng(0)
    many = {(seed, draw): list(rng.uniform(0.3, 0.7, 5)) for seed in (0, 1) for draw in range(4)}
    few = {(seed, 0): list(np.mean([many[seed, draw] for draw in range(4)], axis=0)) for seed in (0, 1)}
    mean, same = (summarise(drawn(values), ["DSC"]).iloc[0] for values in (many, few))
    assert (mean["seeds"], mean["draws"], same["draws"], mean["interval_over"]) == (2, 4, 1, SEEDS)
    assert mean[["value", "ci_low", "ci_high", "seed_sd"]].tolist() == pytest.approx(
        same[["value", "ci_low", "ci_high", "seed_sd"]].tolist()
    )


def test_the_folds_of_a_seed_and_draw_are_one_training(tmp_path: Path) -> None:
    """Five patients in two folds, two seeds that divide them otherwise, two draws: as if one network had scored them all."""
    rng = np.random.default_rng(0)
    values = {(seed, draw): list(rng.uniform(0.3, 0.7, 5)) for seed in (0, 1) for draw in (0, 1)}
    whole = drawn(values)
    number = whole["subject"].str[1].astype(int)
    fold = pd.Series(np.where(whole["seed"] == 0, number % 2, number > 2)).astype(int) + 1
    split = whole.assign(fold=fold)
    files = []
    for name, rows in split.groupby(["seed", "draw", "fold"]):
        files.append(tmp_path / f"{'-'.join(map(str, name))}.csv")
        write_scores(rows.to_dict("records"), files[-1])
    scores = read_scores(files)
    (found,), (expected,) = (training_values(table, ["DSC"]).values() for table in (scores, whole))
    pd.testing.assert_frame_equal(found[expected.columns], expected, atol=1e-6)
    mean, same = (summarise(table, ["DSC"]).iloc[0] for table in (scores, whole))
    assert (mean["patients"], mean["seeds"], mean["draws"], mean["folds"], same["folds"]) == (5, 2, 2, 2, 0)
    kept = ["value", "ci_low", "ci_high", "seed_sd"]
    assert mean[kept].tolist() == pytest.approx(same[kept].tolist(), abs=1e-5)
    by_hand = whole.groupby(["seed", "draw"])["DSC"].mean().groupby("seed").mean()
    assert mean["seed_sd"] == pytest.approx(by_hand.std(ddof=1), abs=1e-5)
    one = summarise(scores[(scores["seed"] == 0) & (scores["draw"] == 0)], ["DSC"]).iloc[0]
    assert one["interval_over"] == PATIENTS, "two folds are no two trainings"
    with pytest.raises(McdError, match="appears twice"):
        read_scores([*files, files[0]])


def test_a_validation_patient_of_several_folds_has_the_mean_of_their_networks() -> None:
    """By scan first: a scan that two folds score weighs no more than one that one does."""
    rows = [row("p0-a", DSC=0.2), row("p0-a", DSC=0.4), row("p0-b", DSC=0.9), row("p1", DSC=0.5)]
    scores = pd.DataFrame(rows).assign(fold=[1, 2, 1, 2], person=["p0", "p0", "p0", "p1"])
    (values,) = training_values(scores, ["DSC"]).values()
    assert values["p0"].tolist() == pytest.approx([(0.3 + 0.9) / 2])
    assert values["p1"].tolist() == [0.5]


def test_an_interval_is_over_the_most_that_is_known() -> None:
    rng = np.random.default_rng(0)
    one = drawn({(0, 0): list(rng.uniform(0.3, 0.7, 5))})
    draws = drawn({(0, draw): list(rng.uniform(0.3, 0.7, 5)) for draw in range(3)})
    found = [summarise(scores, ["DSC"]).iloc[0] for scores in (one, draws)]
    assert [mean["interval_over"] for mean in found] == [PATIENTS, DRAWS]
    assert found[0][["ci_low", "ci_high"]].tolist() == pytest.approx(list(mean_interval(one["DSC"])))
    assert math.isnan(found[1]["seed_sd"])
    (whole,), (first,) = (training_values(scores, ["DSC"]).values() for scores in (draws, draws[draws["draw"] == 0]))
    assert crossed([whole, whole]).over == DRAWS
    assert crossed([whole, first]).over == PATIENTS  # with other draws there are no pairs of them
    assert crossed([whole, first]).values[0, :, 0].tolist() == pytest.approx(whole.mean().tolist())


def test_scans_of_one_person_are_one_patient() -> None:
    scores = drawn({(0, 0): [0.2, 0.4, 0.9], (1, 0): [0.2, 0.4, 0.9]}).assign(person=["anna", "anna", "ben"] * 2)
    mean = summarise(scores, ["DSC"]).iloc[0]
    assert mean["patients"] == 2
    assert mean["value"] == pytest.approx((0.3 + 0.9) / 2)


def test_an_interval_stays_within_what_the_metric_can_be() -> None:
    mean = summarise(drawn({(0, 0): [0.0, 0.0, 0.1]}), ["DSC"]).iloc[0]
    assert mean["ci_low"] == 0
    assert mean["ci_high"] == pytest.approx(mean_interval([0, 0, 0.1])[1])


def test_draws_and_persons_are_read_where_files_have_them(tmp_path: Path) -> None:
    table = drawn({(0, 0): [0.2, 0.4], (0, 1): [0.6, 0.8]}).assign(person=["anna", ""] * 2)
    table.to_csv(tmp_path / "drawn.csv", index=False)
    table[table["draw"] == 0].assign(seed=1).drop(columns=["draw", "person"]).to_csv(
        tmp_path / "plain.csv", index=False
    )
    scores = read_scores([tmp_path / "drawn.csv", tmp_path / "plain.csv"])
    assert scores["draw"].tolist() == [0, 0, 1, 1, 0, 0]
    (values,) = training_values(scores[scores["seed"] == 0], ["DSC"]).values()
    assert list(values.columns) == ["anna", "p1"]
    pd.concat([table, table]).to_csv(tmp_path / "twice.csv", index=False)
    with pytest.raises(McdError, match=r"twice\.csv: a region of p0 appears twice"):
        read_scores([tmp_path / "plain.csv", tmp_path / "twice.csv"])


def test_a_summary_has_the_order_of_the_scores_and_the_metrics_asked_for_alone() -> None:
    scores = pd.DataFrame(
        [row(subject, method=method) for method in ("swav", "byol", "rotation") for subject in ("p2", "p1")]
    )
    summary = summarise(scores, ["Sen", "DSC"])
    assert list(zip(summary["metric"], summary["method"], strict=True)) == [
        (metric, method) for metric in ("Sen", "DSC") for method in ("swav", "byol", "rotation")
    ]
