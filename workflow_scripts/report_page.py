"""Write the page of a whole run."""

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.page.build import write_page
    from mcd.reporting.page.checks import Check
    from mcd.reporting.page.contents import PageCohort, PageContents, Prediction

    params = snakemake.params
    contents = PageContents(
        **params.page,
        cohorts=[PageCohort(**cohort) for cohort in params.cohorts],
        scores=snakemake.input.scores,
        predictions=[Prediction(**run) for run in params.predictions],
        checks=[Check(**patient) for patient in params.checks],
    )
    write_page(contents, snakemake.output.page)
