"""Draw Fig. 3: the features of paired slices."""

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.figures.embeddings import draw_embeddings
    from mcd.reporting.figures.translations import Translated

    shown = [Translated(**made) for made in snakemake.params.shown]
    draw_embeddings(shown, snakemake.params.seed, snakemake.output.figure)
