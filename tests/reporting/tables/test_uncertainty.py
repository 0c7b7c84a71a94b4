"""Every table and every figure's numbers say how sure they are: interval, spread over seeds, corrected tests."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from equal_methods import MOST, equal_methods
from scipy.stats import t

from mcd import plan
from mcd.config import load_config
from mcd.evaluation.metrics import METRIC_KEYS
from mcd.evaluation.score_rows import write_scores
from mcd.reporting.tables.content import SIGNIFICANT
from mcd.reporting.tables.score_tables import compare, write_table

ROOT = Path(__file__).parents[3]
NAMES = ["table2", "table3", "table5", "table6", "table7", "table8", "fig5", "fig6", "fig7", "fig8"]
PATIENTS = 8


@pytest.fixture(scope="module")
def comparisons() -> dict[str, plan.Comparison]:
    """Of the paper, in small: five of its methods, one cohort of four modalities, three seeds."""
    content = yaml.safe_load((ROOT / "configs/paper.yaml").read_text())
    content["cohorts"] = {"brats": content["cohorts"]["brats"]}
    methods = ["fully_supervised", "simclr", "byol", "mt", "multi_condos"]
    return plan.comparisons(load_config({**content, "methods": methods, "seeds": [0, 1, 2]}))


def scores_of(runs: list[plan.Run]) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    level = rng.random(PATIENTS)
    rows = []
    for run in runs:
        skill = rng.normal(0, 0.05)
        for patient in range(PATIENTS):
            good = np.clip(0.3 + 0.4 * level[patient] + skill + rng.normal(0, 0.05), 0.01, 0.99)
            identity = {"cohort": run.cohort, "pair": run.pair, "modality": run.modality, "method": run.method}
            rows.append(
                {**identity, "label_ratio": run.ratio, "seed": run.seed, "subject": f"p{patient}", "region": "WT"}
                | dict.fromkeys(METRIC_KEYS, good)
            )
    return pd.DataFrame(rows)


@pytest.mark.parametrize("name", NAMES)
def test_every_mean_has_interval_spread_and_tests(
    name: str, comparisons: dict[str, plan.Comparison], tmp_path: Path
) -> None:
    comparison = comparisons[name]
    spec = comparison.spec
    scores = scores_of(list(comparison.runs))
    write_scores(scores.to_dict("records"), tmp_path / "scores.csv")
    paths = [tmp_path / f"{name}{end}" for end in (".csv", "_long.csv", ".html", ".json")]
    write_table([tmp_path / "scores.csv"], spec, *paths)
    long = pd.read_csv(paths[1])
    assert len(long) == len(spec.rows) * len(spec.columns) * len(spec.metrics)
    assert long[["value", "ci_low", "ci_high", "seed_sd"]].notna().all(axis=None)
    assert ((long["ci_low"] < long["value"]) & (long["value"] < long["ci_high"])).all()
    assert set(long["seeds"]) == {3}
    assert paths[2].read_text().count('class="spread"') == len(long)

    raw = pd.read_csv(tmp_path / "scores.csv")
    raw["method"] = raw["pair"].map(spec.row_of_pair) if spec.row_of_pair else raw["method"].map(spec.methods)
    column = ["modality", "label_ratio"]
    for (modality, ratio), block in long[long["metric"] == spec.metrics[0]].groupby(column):
        runs = raw[(raw["modality"] == modality) & np.isclose(raw["label_ratio"], ratio)]
        means = runs.pivot_table(index="subject", columns="method", values=spec.metrics[0], aggfunc="mean")
        seeds = runs.groupby(["method", "seed"])[spec.metrics[0]].mean().groupby("method").std(ddof=1)
        block = block.set_index("method")
        np.testing.assert_allclose(block["value"], means.mean()[block.index], rtol=1e-5)
        np.testing.assert_allclose(block["seed_sd"], seeds[block.index], rtol=1e-4)
        if spec.reference not in means:
            assert block["p_holm"].isna().all()  # the large ratios of Table II
            continue
        others = [method for method in block.index if method != spec.reference]
        cells = runs.pivot_table(index=["method", "seed"], columns="subject", values=spec.metrics[0])
        ends = [textbook(cells.loc[method].to_numpy() - cells.loc[spec.reference].to_numpy()) for method in others]
        np.testing.assert_allclose(block.loc[others, ["difference_low", "difference_high"]], ends, rtol=1e-4)
        apart = [low > 0 or high < 0 for low, high in ends]
        p = block.loc[others, "p"].to_dict()
        assert [p[method] < 0.05 for method in others] == apart
        # Holm: the smallest p times all tests of the column and block, the next times one less; never below the one before
        expected, largest = {}, 0.0
        for place, method in enumerate(sorted(others, key=lambda method: p[method])):
            largest = max(largest, min(1.0, p[method] * (len(others) - place)))
            expected[method] = largest
        np.testing.assert_allclose(block.loc[others, "p_holm"], [expected[method] for method in others], rtol=1e-4)
        assert np.isnan(block.loc[spec.reference, "p_holm"])
    first = long.iloc[0]
    chosen = raw[(raw["modality"] == first["modality"]) & (raw["method"] == first["method"])]
    chosen = chosen[np.isclose(chosen["label_ratio"], first["label_ratio"])]
    values = chosen.pivot_table(index="seed", columns="subject", values=first["metric"]).to_numpy()
    assert (first["ci_low"], first["ci_high"]) == pytest.approx(textbook(values), rel=1e-4)


def textbook(values: np.ndarray) -> tuple[float, float]:
    """The interval of a mean over trainings and patients (rows and columns), by the mean squares of a two-way layout."""
    rows, columns = values.shape
    between_rows = columns * values.mean(axis=1).var(ddof=1)
    between_columns = rows * values.mean(axis=0).var(ddof=1)
    left = (values.size - 1) * values.var(ddof=1) - (rows - 1) * between_rows - (columns - 1) * between_columns
    square = max(between_columns - left / ((rows - 1) * (columns - 1)), 0)
    quantile = (between_rows * t.isf(0.025, rows - 1) + square * t.isf(0.025, columns - 1)) / (between_rows + square)
    width = quantile * np.sqrt((between_rows + square) / values.size)
    return values.mean() - width, values.mean() + width


@pytest.mark.parametrize(("trainings", "folds"), [(1, 1), (3, 1), (10, 1), (3, 3)])
def test_equal_methods_are_seldom_marked(trainings: int, folds: int) -> None:
    """Of columns whose methods are equal and whose trainings differ, few have any mark at all; with one training none."""
    columns = 150 if folds == 1 else 300
    scores = pd.concat(
        cells.melt(ignore_index=False, var_name="subject", value_name="DSC").assign(method=name, modality=f"M{column}")
        for column in range(columns)
        for name, cells in equal_methods("ABCD", trainings, seed=column, folds=folds).items()
    )
    identity = {"cohort": "c", "pair": "single", "label_ratio": 0.1, "region": "WT"}
    tests = compare(scores.reset_index().assign(**identity), ["DSC"], "A")
    marked = tests[tests["p_holm"] < SIGNIFICANT]["modality"].nunique()
    assert marked <= MOST * columns
    assert trainings > 1 or marked == 0
