"""Preprocess one patient: one grid, one crop, z-scored intensities."""

from door import log_to

with log_to(snakemake.log, digest_inputs=True):
    from mcd.imaging.options import PreprocessOptions
    from mcd.imaging.preprocess import preprocess_subject, write_preprocessed
    from mcd.subject import Subject

    subject = Subject.from_json(snakemake.params.subject)
    preprocessed = preprocess_subject(subject, PreprocessOptions(**snakemake.params.options))
    write_preprocessed(preprocessed, snakemake.output.folder)
