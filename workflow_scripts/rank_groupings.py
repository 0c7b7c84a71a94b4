"""Rank the ways to pair a cohort's modalities by how different they look."""

from door import log_to

with log_to(snakemake.log):
    from mcd.csv_files import write_frame
    from mcd.evaluation.grouping import explain, rank_pairings
    from mcd.slices.volumes import shard_volumes

    table = rank_pairings(shard_volumes(snakemake.input.shards, snakemake.input.split, snakemake.params.modalities))
    write_frame(table, snakemake.output.ranking, "%.6g")
    print(explain(table))
