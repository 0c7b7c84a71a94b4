"""Aggregate scores apart for each centre or scanner of the test patients."""

from door import log_to

with log_to(snakemake.log):
    from mcd.csv_files import write_frame
    from mcd.evaluation.scores import read_scores
    from mcd.evaluation.traits import by_trait

    table = by_trait(read_scores(snakemake.input.scores), snakemake.params.traits, snakemake.wildcards.trait)
    write_frame(table, snakemake.output.scores, "%.6f")
