"""Write a file of a simulated cohort as a whole, such as the bounding-box CSV of HECKTOR."""

from door import log_to

with log_to(snakemake.log):
    from mcd.cohorts.simulated import write_cohort_file
    from mcd.subject import Subject

    subjects = [Subject.from_json(content) for content in snakemake.params.subjects]
    write_cohort_file(snakemake.params.layout, snakemake.wildcards.file, subjects, snakemake.output.path)
