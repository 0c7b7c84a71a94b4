"""Gather scores into a table: wide CSV, long CSV and a page."""

from pathlib import Path

from door import log_to

with log_to(snakemake.log):
    from mcd import plan
    from mcd.config import load_config
    from mcd.reporting.tables import write_table

    specification = getattr(plan, snakemake.params.table)(load_config(snakemake.config, check_options=False))
    scores = [Path(path) for path in snakemake.input.scores]
    write_table(
        scores,
        specification,
        Path(snakemake.output.table),
        Path(snakemake.output.long),
        Path(snakemake.output.page),
    )
