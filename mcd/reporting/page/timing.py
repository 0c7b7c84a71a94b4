"""How long each stage took, from the workflow's own benchmark files."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mcd.durations import duration
from mcd.reporting.page.contents import PageContents

COLUMNS = ["rule", "cohort", "detail", "seconds", "mebibytes"]


def read_benchmarks(folder: str | Path, cohorts: Collection[str]) -> pd.DataFrame:
    """One row per job: `rule`, `cohort` ("" if a job serves all), `detail`, wall `seconds`, peak `mebibytes` (or NaN).

    Files are `<cohort>/<rule>/...tsv`, or `<rule>.tsv` and `<rule>/...tsv` for what concerns all cohorts. `detail` is the
    pre-training or the method of a training (the second name below its rule), "" for every other job.
    """
    rows = []
    for path in sorted(Path(folder).rglob("*.tsv")):
        parts = path.relative_to(folder).with_suffix("").parts
        cohort, rest = (parts[0], parts[1:]) if parts[0] in cohorts and len(parts) > 1 else ("", parts)
        measured = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        rows.append(
            (
                rest[0],
                cohort,
                rest[2] if len(rest) > 3 else "",
                float(measured["s"].sum()),
                float(measured["max_rss"].max()),  # a job of less than a second has none
            )
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def summarise(jobs: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """`by`, then `jobs`, `total`, `mean` and `longest` in seconds and `mebibytes`, the highest peak; the longest first."""
    groups = jobs.groupby(by, sort=False)
    table = groups["seconds"].agg(jobs="count", total="sum", mean="mean", longest="max")
    table["mebibytes"] = groups["mebibytes"].max()
    return table.reset_index().sort_values("total", ascending=False, kind="stable", ignore_index=True)


def time_tables(contents: PageContents) -> list[dict[str, Any]]:
    """The tables of times for the template: one of all stages, and one of the trainings if there are any."""
    if contents.benchmarks is None:
        return []
    jobs = read_benchmarks(contents.benchmarks, [cohort.name for cohort in contents.cohorts])
    if jobs.empty:
        return []
    shown: dict[str, Callable[[str], str]] = {
        "Method": lambda method: contents.methods.get(method, {}).get("label", method),
        "Stage": str,
        "Cohort": lambda cohort: contents.cohort_title(cohort, "all"),
    }
    note = (
        f"{len(jobs)} jobs, {duration(jobs['seconds'].sum())} of work in all. All jobs recorded in this folder, including "
        "those of earlier configurations; jobs may overlap in time."
    )
    tables = [_time_table("Time that every stage took", note, jobs, {"rule": "Stage", "cohort": "Cohort"}, shown)]
    if len(trainings := jobs[jobs["detail"] != ""]):
        by = {"detail": "Method", "rule": "Stage", "cohort": "Cohort"}
        tables.append(_time_table("Time that every training took", "", trainings, by, shown))
    return tables


def _time_table(
    title: str, note: str, jobs: pd.DataFrame, by: Mapping[str, str], shown: Mapping[str, Callable[[str], str]]
) -> dict[str, Any]:
    """Jobs aggregated by some of their columns, each with its heading; `shown` turns a column's values into words."""
    rows = [
        {
            "names": [shown[head](row[column]).replace("_", " ") for column, head in by.items()],
            "numbers": _numbers(row),
        }
        for row in summarise(jobs, list(by)).to_dict("records")
    ]
    return {"title": title, "note": note, "heads": list(by.values()), "rows": rows}


def _numbers(row: Mapping[Any, Any]) -> list[tuple[str, str]]:
    """Jobs, total, mean and longest time, and peak memory: as text, and as the number to sort by."""
    known = 0.0 if pd.isna(row["mebibytes"]) else row["mebibytes"]
    return [
        (str(row["jobs"]), str(row["jobs"])),
        *((duration(row[name]), f"{row[name]:.3f}") for name in ("total", "mean", "longest")),
        (f"{known:,.0f}" if known >= 1 else "", f"{known:.1f}"),
    ]
