"""Draw Fig. 5: curves over the label ratios."""

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.figures.score_plots import draw_ratio_curves
    from mcd.reporting.tables.spec import TableSpec

    draw_ratio_curves(snakemake.input.long, TableSpec(**snakemake.params.spec), snakemake.output.figure)
