"""Draw some test patients with the outlines of ground truth and prediction."""

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.figures.segmentations import Predicted, draw_segmentations

    runs = [Predicted(**run) for run in snakemake.params.runs]
    draw_segmentations(runs, snakemake.params.title, snakemake.output.picture)
