"""Draw Fig. 7: losses on the paired features."""

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.figures.score_plots import draw_feature_losses
    from mcd.reporting.tables.spec import TableSpec

    draw_feature_losses(snakemake.input.long, TableSpec(**snakemake.params.spec), snakemake.output.figure)
