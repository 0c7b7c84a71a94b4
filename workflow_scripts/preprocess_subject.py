"""Preprocess one patient: one grid, one crop, z-scored intensities."""

from door import log_to

with log_to(snakemake.log):
    from mcd.cohorts.find import find_in_index
    from mcd.imaging.preprocess import PreprocessOptions, preprocess_subject, write_preprocessed

    subject = find_in_index(snakemake.input.index, snakemake.wildcards.subject)
    preprocessed = preprocess_subject(subject, PreprocessOptions(**snakemake.params.options))
    write_preprocessed(preprocessed, snakemake.output.folder)
