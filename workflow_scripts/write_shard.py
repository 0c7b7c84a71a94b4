"""Collect preprocessed patients in one HDF5 shard."""

from door import log_to

with log_to(snakemake.log):
    from mcd.slices.write_shards import write_shard

    write_shard(snakemake.output.shard, dict(zip(snakemake.params.subjects, snakemake.input.folders, strict=True)))
