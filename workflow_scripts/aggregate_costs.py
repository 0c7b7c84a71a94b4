"""Aggregate the costs of pre-training into Table IX: wide CSV, long CSV and a page."""

from pathlib import Path

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.tables.cost_table import Pretrained, write_costs
    from mcd.reporting.tables.spec import TableSpec

    write_costs(
        [Pretrained(*run, path) for run, path in zip(snakemake.params.runs, snakemake.input.losses, strict=True)],
        TableSpec(**snakemake.params.spec),
        Path(snakemake.output.table),
        Path(snakemake.output.long),
        Path(snakemake.output.page),
        Path(snakemake.output.content),
    )
