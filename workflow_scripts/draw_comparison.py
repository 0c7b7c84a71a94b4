"""Draw Fig. 2: two patients of each cohort, ground truth and every method."""

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.figures.segmentations import Predicted, draw_comparison

    runs = [Predicted(**run) for run in snakemake.params.runs]
    draw_comparison(runs, snakemake.params.title, snakemake.output.greys, "greys")
    draw_comparison(runs, snakemake.params.title, snakemake.output.outlines, "outlines")
