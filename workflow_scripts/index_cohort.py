"""Write a cohort's index: one row per patient."""

from door import log_to

with log_to(snakemake.log):
    from mcd.cohorts.index import write_index
    from mcd.subject import Subject

    write_index([Subject.from_json(content) for content in snakemake.params.subjects], snakemake.output.index)
