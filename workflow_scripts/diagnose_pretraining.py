"""Diagnose one pre-training, from its checkpoint, its losses and the networks that were fine-tuned from it."""

from door import log_to

with log_to(snakemake.log):
    from mcd.diagnosis.run import diagnose
    from mcd.seeding import pretraining_columns
    from mcd.training.schedule import Compute

    diagnose(
        pretrained=snakemake.input.pretrained,
        losses=snakemake.input.losses,
        models=snakemake.input.models,
        shards=snakemake.input.shards,
        split=snakemake.input.split,
        output=snakemake.output.numbers,
        columns=pretraining_columns(dict(snakemake.wildcards)),
        regions=snakemake.params.regions,
        compute=Compute(**snakemake.params.compute, memory_limit_gb=snakemake.resources.held_mb / 1000),
    )
