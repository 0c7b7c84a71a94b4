"""Test the paper's sentences on this run and on the printed numbers."""

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.claims.judge import write_claims
    from mcd.reporting.tables.spec import TableSpec

    params = snakemake.params
    translated = params.translations and (TableSpec(**params.translation_spec), *params.translations.values())
    write_claims(
        {name: (TableSpec(**spec), params.scores[name]) for name, spec in params.specs.items()},
        {"table4": translated} if translated else {},
        params.measured,
        params.rankings,
        params.absent,
        params.datasets,
        params.simulated,
        snakemake.output.claims,
    )
