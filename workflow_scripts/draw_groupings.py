"""Draw Fig. 8: ways to pair the modalities."""

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.numbers import draw_groupings
    from mcd.reporting.spec import TableSpec

    draw_groupings(snakemake.input.long, TableSpec(**snakemake.params.spec), snakemake.output.figure)
