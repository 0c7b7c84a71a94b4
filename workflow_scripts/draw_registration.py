"""Draw one patient's checkerboards, before and after registration."""

from door import log_to

with log_to(snakemake.log):
    from mcd.imaging.qc import draw_registration

    draw_registration(snakemake.input.folder, snakemake.params.images, snakemake.output.picture)
