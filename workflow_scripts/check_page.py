"""Write the page of all preprocessed patients."""

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.page.checks import Check, CheckedCohort, write_check_page

    params = snakemake.params
    cohorts = [CheckedCohort(**cohort) for cohort in params.cohorts]
    write_check_page(cohorts, [Check(**patient) for patient in params.patients], snakemake.output.page)
