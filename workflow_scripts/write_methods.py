"""Write the text on methods, and the references that it cites."""

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.methods_text.text import MethodsCohort, MethodsFacts, write_methods

    params = snakemake.params
    facts = MethodsFacts(
        **params.facts,
        cohorts=[MethodsCohort(**cohort) for cohort in params.cohorts],
        scores=snakemake.input.scores,
    )
    write_methods(facts, snakemake.output.text, snakemake.output.references)
