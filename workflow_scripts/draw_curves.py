"""Draw the loss curves of a training."""

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.figures.loss_curves import draw_curves

    draw_curves(snakemake.input.losses, snakemake.output.picture)
