"""Draw one preprocessed patient, to check crop, registration and label."""

from door import log_to

with log_to(snakemake.log):
    from mcd.imaging.qc import draw_qc

    draw_qc(snakemake.input.folder, snakemake.output.picture)
