"""Draw Fig. 6: how many layers the generators share."""

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.figures.score_plots import draw_sharing
    from mcd.reporting.tables.spec import TableSpec

    draw_sharing(snakemake.input.scores, TableSpec(**snakemake.params.spec), snakemake.output.figure)
