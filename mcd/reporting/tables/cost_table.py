"""Table IX: the cost of pre-training, from the losses files, in which trainings record their own time and memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from mcd.csv_files import read_csv
from mcd.errors import McdError
from mcd.evaluation.score_rows import VERSION
from mcd.pair import modalities_of
from mcd.reporting.tables.score_tables import write_long
from mcd.reporting.tables.spec import TableSpec
from mcd.version import UNKNOWN, lineage

KINDS = {1: "One training on both modalities", 2: "One training per modality: times summed, higher memory peak"}
"""Number of trainings per pair -> the heading of the methods that need as many."""

METRICS = [
    "pretraining_hours",
    "pretraining_minutes",
    "pretraining_memory",
    "pretraining_gpu_memory",
    "pairs_per_second",
]


@dataclass(frozen=True)
class Pretrained:
    """One pre-training with the file of its losses."""

    cohort: str
    pair: str
    pretraining: str  # key of mcd.methods.PRETRAININGS
    seed: int
    fold: int  # 0 where the cohort has one split
    losses: str | Path


def read_cost(losses: str | Path) -> dict[str, Any]:
    """The cost of the training, or the two trainings, of a losses file.

    Returns:
        `seconds` of all epochs, those before an interruption too, but not what an interruption lost; `images` seen; the
        peaks `memory_mib` and `gpu_memory_mib` (NaN where there was none); `trainings`; `device`, all that were used;
        `mcd_version`, of the code that trained.

    Raises:
        McdError: if the file is missing, not a losses file, or without measured time and memory.
    """
    try:
        table = pd.read_csv(read_csv(losses))
        measured = table[["seconds", "images", "memory_mib", "gpu_memory_mib"]].astype(float)
        devices = sorted(table["device"].astype(str).unique())
        version = lineage(*table.get(VERSION, pd.Series([UNKNOWN])).astype(str))
    except (KeyError, ValueError) as error:  # ValueError: pandas' parser errors, too
        raise McdError(f"{losses}: has no measured time and memory ({error}); delete it to regenerate it") from None
    if measured[["seconds", "images"]].isna().any(axis=None) or not measured["seconds"].sum() > 0:
        raise McdError(f"{losses}: some epochs have no measured time; delete it to regenerate it")
    return {
        "seconds": measured["seconds"].sum(),
        "images": measured["images"].sum(),
        "memory_mib": measured["memory_mib"].max(),
        "gpu_memory_mib": measured["gpu_memory_mib"].max(),
        "trainings": table["modality"].nunique() if "modality" in table else 1,
        "device": ", ".join(devices),
        VERSION: version,
    }


def cost_table(made: Sequence[Pretrained], spec: TableSpec) -> pd.DataFrame:
    """The long table: one row per cohort, method and metric, for every pair and, if there are several, for all together.

    Times of several pairs are added, their memory is the maximum; the folds of a seed are averaged, and then seeds (`seeds`,
    `seed_sd`). All pairs of a cohort together have a row only if all were pre-trained, or if one training saw all modalities.
    """
    costs = pd.DataFrame([{**vars(run), **read_cost(run.losses)} for run in made])
    costs["method"] = costs["pretraining"].map(spec.methods)
    rows: list[dict[str, Any]] = []
    for (cohort, method), of_method in costs.groupby(["cohort", "method"], sort=False):
        groups = {str(pair): of_pair for pair, of_pair in of_method.groupby("pair", sort=False)}
        (column,) = [name for name_of_cohort, name in spec.columns if name_of_cohort == cohort]
        if set(column.split("+")) == set(groups) or all(len(modalities_of(pair)) > 2 for pair in groups):
            groups[column] = of_method
        for name, group in groups.items():
            folds = group.groupby(["seed", "fold"])
            seconds = folds["seconds"].sum()
            of_folds = {
                "pretraining_hours": seconds / 3600,
                "pretraining_minutes": seconds / 60,
                "pretraining_memory": folds["memory_mib"].max() / 1024,
                "pretraining_gpu_memory": folds["gpu_memory_mib"].max() / 1024,
                "pairs_per_second": folds["images"].sum() / 2 / seconds,  # a pair is two images, seen together or apart
            }
            values = {metric: of_fold.groupby("seed").mean() for metric, of_fold in of_folds.items()}
            rows += [
                {
                    "dataset": cohort,
                    "modality": name,
                    "method": method,
                    "label_ratio": float("nan"),
                    "metric": metric,
                    "value": values[metric].mean(),
                    "seeds": len(values[metric]),
                    "seed_sd": values[metric].std(),
                    "pair": name,
                    "trainings": group["trainings"].max(),
                    "device": ", ".join(sorted(group["device"].unique())),
                    VERSION: lineage(*group[VERSION]),
                }
                for metric in METRICS
            ]
    return pd.DataFrame(rows).dropna(subset="value")


def write_costs(
    made: Sequence[Pretrained], spec: TableSpec, out_csv: Path, out_long: Path, out_html: Path, out_json: Path
) -> None:
    """Write Table IX as every table is written (`score_tables.write_long`).

    Methods that need one training per modality have a heading that says so, metrics without a measurement are left out
    (memory of a GPU if there was none), and a note names the devices.
    """
    long = cost_table(made, spec)
    trainings = long.groupby("method")["trainings"].max()
    groups = {method: spec.groups.get(method, KINDS[trainings[method]]) for _, method in spec.rows}
    order = list(dict.fromkeys([*KINDS.values(), *groups.values()]))
    write_long(
        long,
        replace(
            spec,
            rows=sorted(spec.rows, key=lambda row: order.index(groups[row[1]])),
            metrics=[metric for metric in spec.metrics if (long["metric"] == metric).any()],
            groups=groups,
            notes=[f"Measured on: {'; '.join(sorted(long['device'].unique()))}.", *spec.notes],
        ),
        out_csv,
        out_long,
        out_html,
        out_json,
    )
