"""Write a cohort's index: one row a patient."""

from door import log_to

with log_to(snakemake.log):
    from mcd.cohorts.find import find_subjects
    from mcd.cohorts.index import write_index

    write_index(find_subjects(**snakemake.params.cohort), snakemake.output.index)
