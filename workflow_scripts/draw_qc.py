"""Draw one preprocessed patient, to check crop, registration and label, and say how far the label stands out."""

from door import log_to

with log_to(snakemake.log):
    from mcd.files import write_json
    from mcd.imaging.preprocess import read_preprocessed
    from mcd.imaging.qc import contrasts, draw_qc

    patient = read_preprocessed(snakemake.input.folder)
    draw_qc(patient, snakemake.output.picture, snakemake.params.regions, snakemake.params.first)
    write_json(snakemake.output.contrasts, contrasts(patient), sealed=True)
