"""Aggregate the translations' scores into Table IV: wide CSV, long CSV and a page."""

from pathlib import Path

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.tables.spec import TableSpec
    from mcd.reporting.tables.translation_table import write_translation_table

    write_translation_table(
        snakemake.input.scores,
        snakemake.input.distances,
        TableSpec(**snakemake.params.spec),
        Path(snakemake.output.table),
        Path(snakemake.output.long),
        Path(snakemake.output.page),
        Path(snakemake.output.content),
    )
