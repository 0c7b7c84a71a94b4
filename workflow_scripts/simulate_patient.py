"""Write one simulated patient in an official layout."""

from door import log_to

with log_to(snakemake.log):
    from mcd.cohorts.simulated import write_patient

    params = snakemake.params
    write_patient(params.layout, dict(snakemake.output), snakemake.wildcards.subject, **params.simulation)
