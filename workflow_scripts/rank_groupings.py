"""Rank the ways to pair a cohort's modalities by how different they look."""

from door import log_to

with log_to(snakemake.log):
    from mcd.evaluation.grouping import explain, rank_pairings
    from mcd.files import atomic_path
    from mcd.slices.volumes import shard_volumes

    table = rank_pairings(shard_volumes(snakemake.input.shards, snakemake.input.split, snakemake.params.modalities))
    with atomic_path(snakemake.output.ranking) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    print(explain(table))
