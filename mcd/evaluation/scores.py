"""Reading score files into one table, and the means of scores.

One row per region of a patient (docs/reference/formats.md, "Scores"). Means are taken over the regions of a patient first,
then over patients (the paper's one number per modality; for BraTS the mean over WT, TC and ET is our reading of it).

A training is a seed, which decides pre-training and initial weights, and where rows have a `draw`, one draw of the labelled
patients on the seed's pre-training. Where rows have a `person`, several scans of one person count as one patient.

Where rows have a `fold`, the networks of all folds of a seed and draw are one training: only together do they score every
patient, each by the network that it was kept from. So a training has one value of each patient, with folds and without.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mcd.csv_files import read_csv
from mcd.errors import McdError, first_line
from mcd.evaluation.metrics import METRIC_KEYS, METRICS
from mcd.evaluation.score_rows import COLUMNS, FOLD, IDENTITY, PERSON, RUN, TRAINING, VERSION
from mcd.evaluation.statistics import Floats, effects
from mcd.training.history import LENGTH
from mcd.version import UNKNOWN

_FILE = "file"  # which of several files a row is from, while they are checked together


def read_scores(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Read score files into one table with `COLUMNS`, `FOLD` (0 for none), `VERSION`, `LENGTH`, and for every row `PERSON`,
    where any file has it.

    Raises `McdError` for a file that is missing or damaged, a column or a region of a patient that is missing, a score that
    cannot be, or a row that appears twice.
    """
    files = list(paths)
    if not files:
        return pd.DataFrame(columns=[*COLUMNS, FOLD, VERSION, *LENGTH])
    scores = pd.concat([_read(file).assign(**{_FILE: place}) for place, file in enumerate(files)], ignore_index=True)
    for place, reason in _impossible(scores):
        raise McdError(f"{files[place]}: {reason}; delete it to regenerate it")
    del scores[_FILE]
    if PERSON in scores:
        scores[PERSON] = scores[PERSON].fillna(scores["subject"])
    twice = scores.duplicated([*IDENTITY, FOLD])
    if twice.any():
        row = ", ".join(str(value) for value in scores.loc[twice, IDENTITY].iloc[0])
        raise McdError(f"scores: {row} appears twice; name each score file once")
    return scores


def _read(path: str | Path) -> pd.DataFrame:
    """One score file."""
    try:
        table = pd.read_csv(
            read_csv(path),
            dtype=dict.fromkeys(["cohort", "pair", "modality", "method", "subject", PERSON, "region", VERSION], str),
            keep_default_na=False,  # a patient may be called "NA"; only an empty score is undefined
            na_values={key: [""] for key in METRIC_KEYS},
        )
        table["draw"], table[FOLD] = table.get("draw", 0), table.get(FOLD, 0)
        missing = [column for column in COLUMNS if column not in table]
        if missing:
            raise McdError(f"{path}: no column {', '.join(missing)}; delete the file to regenerate it")
        table = table.astype(
            dict.fromkeys(["label_ratio", *METRIC_KEYS], float) | dict.fromkeys([*TRAINING, FOLD], int)
        )
    except ValueError as error:  # pandas' parser errors and failed conversions alike
        raise McdError(f"{path}: not a score file ({first_line(error)}); delete it to regenerate it") from None
    if table.empty:
        raise McdError(f"{path}: holds no patient; delete it to regenerate it")
    table[VERSION] = table.get(VERSION, UNKNOWN)
    for measure in LENGTH:  # not of fused scores
        table[measure] = pd.to_numeric(table.get(measure, np.nan), errors="coerce")
    return table[[*COLUMNS, FOLD, *([PERSON] if PERSON in table else []), VERSION, *LENGTH]]


def _impossible(scores: pd.DataFrame) -> Iterator[tuple[int, str]]:
    """What score files say that no scoring writes, each with the number of the file."""
    unlabelled = scores[METRIC_KEYS].isna().all(axis=1)
    for metric in METRICS:
        values = scores[metric.key]
        low, high = metric.bounds
        wrong = ~np.isfinite(values) | ~values.between(low, high)
        wrong &= values.notna() | (metric.always_defined & ~unlabelled)
        for _, row in scores[wrong].iterrows():
            value = f"{metric.key} of {row['subject']}, {row['region']} is {row[metric.key]:g}"
            yield row[_FILE], f"{value}, and goes from {low:g} to {high:g}"
    run = [_FILE, *RUN, *TRAINING, FOLD]
    for _, row in scores[scores.duplicated([*run, "subject", "region"])].iterrows():
        yield row[_FILE], f"a region of {row['subject']} appears twice"
    of_patient = scores.groupby([*run, "subject"])["region"].transform("nunique")
    for _, row in scores[of_patient < scores.groupby(run)["region"].transform("nunique")].iterrows():
        yield row[_FILE], f"a region of {row['subject']} is missing"


def training_values(scores: pd.DataFrame, metrics: Sequence[str] = METRIC_KEYS) -> dict[tuple[Any, ...], pd.DataFrame]:
    """(`RUN`, metric) -> its values, one row per training (index `TRAINING`), one column per patient, in the order of `scores`.

    A value is the mean over the patient's regions, then over its scans; undefined scores are left out, and a patient none of
    whose scores is defined has NaN. Who tests does so in one fold; of a validation patient of several, the mean is taken.
    """
    person = scores.get(PERSON, scores["subject"]).fillna("")
    absent = {name: scores.get(name, 0) for name in ("draw", FOLD)}
    units = scores.assign(**absent, patient=person.where(person != "", scores["subject"]))
    key = [*RUN, "metric"]
    values = units.melt([*RUN, *TRAINING, FOLD, "subject", "patient"], list(metrics), var_name="metric")
    for level in (["patient", "subject", FOLD], ["patient", "subject"], ["patient"]):
        values = values.groupby([*key, *TRAINING, *level], sort=False, as_index=False)["value"].mean()
    return {
        tuple(cell): rows.pivot(index=TRAINING, columns="patient", values="value")
        for cell, rows in values.groupby(key, sort=False)
    }


PATIENTS, DRAWS, SEEDS = "patients", "draws and patients", "seeds and patients"
"""What an interval is over, from what is known least to what is known most."""


@dataclass(frozen=True)
class Crossed:
    """Values of several cells with the trainings and patients that they share. `crossed` makes it.

    Attributes:
        over: `PATIENTS`, `DRAWS` or `SEEDS`: what an interval of their means is over.
        values: (trainings, patients, cells); NaN where a cell has no value.
    """

    over: str
    values: Floats


def crossed(cells: Sequence[pd.DataFrame]) -> Crossed:
    """Bring cells of `training_values` to the units that are independent of each other.

    These are seeds (a seed's draws share a pre-training, and are averaged), or with one seed its draws, if every cell has the
    same; else there is one training, of which only the patients vary.
    """
    seeds = sorted({seed for cell in cells for seed in cell.index.get_level_values("seed")})
    draws = [tuple(cell.index) for cell in cells]
    if len(seeds) > 1:
        over, rows = SEEDS, [cell.groupby(level="seed").mean().reindex(seeds) for cell in cells]
    elif len(draws[0]) > 1 and len(set(draws)) == 1:
        over, rows = DRAWS, list(cells)
    else:
        over, rows = PATIENTS, [cell.groupby(level="seed").mean() for cell in cells]
    patients = sorted({patient for cell in cells for patient in cell.columns})
    return Crossed(over, np.stack([row.reindex(columns=patients).to_numpy(float) for row in rows], axis=-1))


def summarise(scores: pd.DataFrame, metrics: Sequence[str] = METRIC_KEYS) -> pd.DataFrame:
    """The means, one row for each `RUN` and metric, in the order of `scores`.

    Columns: `RUN`, `metric`, `value` (mean over patients of each one's mean over trainings), `ci_low`, `ci_high` (its interval,
    within what the metric can be; NaN for one patient of one training), `interval_over` (see `Crossed`), `patients` (how many
    have a defined score), `seeds`, `draws` (of each seed), `seed_sd` (standard deviation over seeds of the mean over patients;
    NaN for one seed), `folds` (whose networks are one training; 0 for one split), `undefined` (how many scores of a region,
    patient and training were undefined and left out).
    """
    bounds = {metric.key: metric.bounds for metric in METRICS}
    rows = []
    for cell, values in training_values(scores, metrics).items():
        units = crossed([values])
        means = effects(units.values).means()
        (low,), (high,) = np.clip(means.interval(), *bounds.get(str(cell[-1]), (-np.inf, np.inf)))
        seeds = values.mean(axis=1).groupby(level="seed").mean()
        rows.append(
            {
                **dict(zip([*RUN, "metric"], cell, strict=True)),
                "value": means.value[0],
                "ci_low": low,
                "ci_high": high,
                "interval_over": units.over,
                "patients": means.patients[0],
                "seeds": seeds.count(),
                "draws": values.index.get_level_values("draw").nunique(),
                "seed_sd": seeds.std(),
            }
        )
    undefined = scores.groupby(RUN, sort=False)[list(metrics)].agg(lambda column: column.isna().sum())
    melted = undefined.rename_axis(columns="metric").stack().rename("undefined").astype(int)
    number = scores.get(FOLD, pd.Series(0, scores.index)).groupby([scores[key] for key in RUN], sort=False)
    folds = number.agg(lambda column: column[column > 0].nunique()).rename("folds").reset_index()
    means = pd.DataFrame(rows).merge(folds, on=RUN, validate="many_to_one")
    return means.merge(melted.reset_index(), on=[*RUN, "metric"], validate="one_to_one")
