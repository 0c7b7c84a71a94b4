"""Gather scores into a table: wide CSV, long CSV and a page."""

from pathlib import Path

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.spec import TableSpec
    from mcd.reporting.tables import write_table

    write_table(
        [Path(path) for path in snakemake.input.scores],
        TableSpec(**snakemake.params.spec),
        Path(snakemake.output.table),
        Path(snakemake.output.long),
        Path(snakemake.output.page),
    )
