"""Write a cohort's table of registrations, and list the flagged patients in the log."""

from door import log_to

with log_to(snakemake.log):
    import logging

    from mcd.imaging.registration_summary import write_summary

    for sentence in write_summary(snakemake.input.folders, snakemake.output.table):
        logging.warning(sentence)
