"""Draw Fig. 4: translations and reconstructions with their errors."""

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.figures.translations import Translated, draw_translations

    draw_translations([Translated(**made) for made in snakemake.params.shown], snakemake.output.figure)
