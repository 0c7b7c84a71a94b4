"""Reading score files into one table, and the means of scores.

One row per region of a patient (docs/reference/formats.md, "Scores"). Means are taken over the regions of a patient first,
then over patients (the paper's one number per modality; for BraTS the mean over WT, TC and ET is our reading of it).
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mcd.csv_files import read_csv
from mcd.errors import McdError, first_line
from mcd.evaluation.metrics import METRIC_KEYS, METRICS
from mcd.evaluation.score_rows import COLUMNS, IDENTITY, RUN, VERSION
from mcd.version import UNKNOWN


def read_scores(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Read score files into one table with `COLUMNS` and `VERSION`.

    Raises `McdError` for a file that is missing or damaged, a column or a region of a patient that is missing, a score that
    cannot be, or a row that appears twice.
    """
    tables = [_read(path) for path in paths]
    scores = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*COLUMNS, VERSION])
    twice = scores.duplicated(IDENTITY)
    if twice.any():
        row = ", ".join(str(value) for value in scores.loc[twice, IDENTITY].iloc[0])
        raise McdError(f"scores: {row} appears twice; name each score file once")
    return scores


def _read(path: str | Path) -> pd.DataFrame:
    """One score file."""
    try:
        table = pd.read_csv(
            read_csv(path),
            dtype=dict.fromkeys(["cohort", "pair", "modality", "method", "subject", "region", VERSION], str),
            keep_default_na=False,  # a patient may be called "NA"; only an empty score is undefined
            na_values={key: [""] for key in METRIC_KEYS},
        )
        missing = [column for column in COLUMNS if column not in table]
        if missing:
            raise McdError(f"{path}: no column {', '.join(missing)}; delete the file to regenerate it")
        table = table.astype(dict.fromkeys(["label_ratio", *METRIC_KEYS], float) | {"seed": int})
    except ValueError as error:  # pandas' parser errors and failed conversions alike
        raise McdError(f"{path}: not a score file ({first_line(error)}); delete it to regenerate it") from None
    for reason in _impossible(table):
        raise McdError(f"{path}: {reason}; delete it to regenerate it")
    table[VERSION] = table.get(VERSION, UNKNOWN)
    return table[[*COLUMNS, VERSION]]


def _impossible(table: pd.DataFrame) -> Iterator[str]:
    """What a score file says that no scoring writes."""
    if table.empty:
        yield "holds no patient"
    for metric in METRICS:
        scores = table[metric.key]
        low, high = metric.bounds
        wrong = ~np.isfinite(scores) | ~scores.between(low, high)
        wrong &= scores.notna() | metric.always_defined
        if wrong.any():
            at = table[wrong].iloc[0]
            yield f"{metric.key} of {at['subject']}, {at['region']} is {at[metric.key]:g}, and goes from {low:g} to {high:g}"
    for name, rows in table.groupby([*RUN, "seed", "subject"], sort=False):
        if rows["region"].duplicated().any():
            yield f"a region of {name[-1]} appears twice"
    for _, run in table.groupby([*RUN, "seed"], sort=False):
        regions = run.groupby("subject")["region"].nunique()
        if (regions != run["region"].nunique()).any():
            yield f"a region of {regions.idxmin()} is missing"


def patient_values(scores: pd.DataFrame, metrics: Sequence[str] = METRIC_KEYS) -> pd.DataFrame:
    """One value per patient: columns `RUN`, `metric`, `subject`, `value`.

    The mean over the patient's regions, then over seeds; undefined scores are left out, and a patient none of whose
    scores is defined has NaN.
    """
    return _mean(_seed_values(scores, metrics), [*RUN, "metric", "subject"])


def summarise(scores: pd.DataFrame, metrics: Sequence[str] = METRIC_KEYS) -> pd.DataFrame:
    """The mean over patients, one row for each `RUN` and metric, in the order of `scores`.

    Columns: `RUN`, `metric`, `value` (mean over patients), `patients` (how many that mean is over), `seeds`, `seed_sd`
    (standard deviation over seeds of the mean over patients; NaN for one seed), `undefined` (how many scores of a region,
    patient and seed were undefined and left out).
    """
    key = [*RUN, "metric"]
    patients = patient_values(scores, metrics)
    seeds = _mean(_seed_values(scores, metrics), [*key, "seed"])
    summary = patients.groupby(key, sort=False)["value"].agg(value="mean", patients="count")
    summary[["seeds", "seed_sd"]] = seeds.groupby(key, sort=False)["value"].agg(["count", "std"])
    summary["undefined"] = _melt(scores, metrics).groupby(key, sort=False)["value"].agg(lambda x: x.isna().sum())
    return summary.reset_index().astype({"patients": int, "seeds": int, "undefined": int})


def _seed_values(scores: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    return _mean(_melt(scores, metrics), [*RUN, "metric", "seed", "subject"])


def _melt(scores: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    return scores.melt(id_vars=IDENTITY, value_vars=list(metrics), var_name="metric")


def _mean(values: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Mean of `value` over everything that is not in `key`; NaN is left out, and remains only where all values are NaN."""
    return values.groupby(key, sort=False, as_index=False)["value"].mean()
