"""The scores of a patient, the file that keeps them, and their mean.

One row a region of a patient (docs/formats.md, "Scores"). Means are taken over the regions of a patient first, then over
patients (the paper's one number a modality; for BraTS the mean over WT, TC and ET is our reading of it).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mcd.errors import McdError
from mcd.evaluation.overlap import Mask, boundary_iou, dsc, ppv, sensitivity
from mcd.evaluation.surfaces import hausdorff95
from mcd.files import atomic_path


@dataclass(frozen=True)
class Metric:
    """What a number means: its column, the words for it, and which way is better."""

    key: str
    label: str
    higher_is_better: bool = True
    unit: str = ""
    decimals: int = 4  # as the paper prints
    heading: str = ""  # of a table's column, where the key will not do


METRICS = [
    Metric("DSC", "Dice similarity coefficient"),
    Metric("Sen", "Sensitivity"),
    Metric("PPV", "Positive predictive value"),
    Metric("HD95", "95 % Hausdorff distance", higher_is_better=False, unit="mm", decimals=2),
    Metric("BIoU", "Boundary intersection over union"),
]
METRIC_KEYS = [metric.key for metric in METRICS]

RUN = ["cohort", "pair", "modality", "method", "label_ratio"]  # what a mean is taken for; a run also has a seed
IDENTITY = [*RUN, "seed", "subject", "region"]
COLUMNS = [*IDENTITY, *METRIC_KEYS]


def score_subject(
    truth: Mapping[str, Mask], prediction: Mapping[str, Mask], spacing_zyx: Sequence[float]
) -> list[dict[str, Any]]:
    """Score one patient: a row (`region` and the five metrics) for each region, in the order of `truth`.

    `truth` and `prediction` map a region to a boolean volume (z, y, x) on one grid; `spacing_zyx` is in mm. An undefined
    score is NaN. Raises `ValueError` where regions or shapes differ, since no score of such a pair means anything.
    """
    if truth.keys() != prediction.keys():
        raise ValueError(f"regions differ: truth has {sorted(truth)}, prediction has {sorted(prediction)}")
    rows = []
    for region, there in truth.items():
        found = prediction[region]
        if there.shape != found.shape or there.dtype != bool or found.dtype != bool:
            raise ValueError(
                f"{region}: truth is {there.dtype}{there.shape}, prediction is {found.dtype}{found.shape}; "
                "two boolean volumes of one shape are needed"
            )
        rows.append(
            {
                "region": region,
                "DSC": dsc(there, found),
                "Sen": sensitivity(there, found),
                "PPV": ppv(there, found),
                "HD95": hausdorff95(there, found, spacing_zyx),
                "BIoU": boundary_iou(there, found),
            }
        )
    return rows


def write_scores(rows: Iterable[Mapping[str, Any]], path: str | Path) -> None:
    """Write rows that hold every key of `COLUMNS` as a CSV, atomically; an undefined score is an empty cell."""
    table = pd.DataFrame(list(rows), columns=COLUMNS)
    table[METRIC_KEYS] = table[METRIC_KEYS].astype(float).round(6)  # far below what a mean can resolve
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def read_scores(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Read score files into one table with `COLUMNS`.

    Raises `McdError` for a file that is missing or broken, a column that is missing, or a row that is there twice.
    """
    tables = []
    for path in paths:
        try:
            table = pd.read_csv(
                path,
                dtype=dict.fromkeys(["cohort", "pair", "modality", "method", "subject", "region"], str),
                keep_default_na=False,  # a patient may be called "NA"; only an empty score is undefined
                na_values={key: [""] for key in METRIC_KEYS},
            )
            missing = [column for column in COLUMNS if column not in table]
            if missing:
                raise McdError(f"{path}: no column {', '.join(missing)}; delete the file to have it made again")
            table = table.astype(dict.fromkeys(["label_ratio", *METRIC_KEYS], float) | {"seed": int})
        except FileNotFoundError:
            raise McdError(f"{path}: no such file") from None
        except ValueError as error:  # pandas' parser errors and failed conversions alike
            message = str(error).splitlines()[0]
            raise McdError(f"{path}: not a score file ({message}); delete it to have it made again") from None
        tables.append(table[COLUMNS])
    scores = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)
    twice = scores.duplicated(IDENTITY)
    if twice.any():
        row = ", ".join(str(value) for value in scores.loc[twice, IDENTITY].iloc[0])
        raise McdError(f"scores: {row} is there twice; name each score file once")
    return scores


def patient_values(scores: pd.DataFrame, metrics: Sequence[str] = METRIC_KEYS) -> pd.DataFrame:
    """One value a patient: columns `RUN`, `metric`, `subject`, `value`.

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
    """Mean of `value` over everything that is not in `key`; NaN is left out, and stays only where nothing else is."""
    return values.groupby(key, sort=False, as_index=False)["value"].mean()
