"""Collect the diagnoses of all pre-trainings in one CSV and a page."""

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.diagnosis.page import write_diagnosis_page

    write_diagnosis_page(
        snakemake.input.numbers,
        snakemake.output.table,
        snakemake.output.page,
        methods=snakemake.params.methods,
        cohorts=snakemake.params.cohorts,
        simulated=snakemake.params.simulated,
    )
