"""Draw Fig. 8: ways to pair the modalities, and how different the pairs look."""

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.figures.score_plots import draw_groupings
    from mcd.reporting.tables.spec import TableSpec

    rankings = dict(zip(snakemake.params.cohorts, snakemake.input.rankings, strict=True))
    draw_groupings(snakemake.input.long, TableSpec(**snakemake.params.spec), snakemake.output.figure, rankings)
