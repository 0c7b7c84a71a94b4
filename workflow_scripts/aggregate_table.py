"""Aggregate scores into a table: wide CSV, long CSV and a page."""

from pathlib import Path

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.tables.score_tables import write_table
    from mcd.reporting.tables.spec import TableSpec
    from mcd.slices.splits import read_split

    splits = {}
    for cohort, path in zip(snakemake.params.split_cohorts, snakemake.input.splits, strict=True):
        splits.setdefault(cohort, []).append(read_split(path))
    write_table(
        [Path(path) for path in snakemake.input.scores],
        TableSpec(**snakemake.params.spec),
        Path(snakemake.output.table),
        Path(snakemake.output.long),
        Path(snakemake.output.page),
        Path(snakemake.output.content),
        splits=splits,
    )
