"""How long each stage took, from the workflow's own benchmark files."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

COLUMNS = ["rule", "cohort", "detail", "seconds", "mebibytes"]


def read_benchmarks(folder: str | Path, cohorts: Collection[str]) -> pd.DataFrame:
    """One row a job: `rule`, `cohort` ("" where a job serves all), `detail`, wall `seconds`, peak `mebibytes` (or NaN).

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
