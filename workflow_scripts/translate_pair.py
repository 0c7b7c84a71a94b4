"""Translate the test patients' slices with a pre-training's generators, and score the results."""

from door import log_to

with log_to(snakemake.log):
    from mcd.seeding import pretraining_columns
    from mcd.training.schedule import Compute
    from mcd.translation.run import translate

    run = pretraining_columns(dict(snakemake.wildcards))
    translate(
        shards=snakemake.input.shards,
        split=snakemake.input.split,
        pretrained=snakemake.input.pretrained,
        inception=snakemake.input.get("inception"),
        scores=snakemake.output.scores,
        distances=snakemake.output.distances,
        examples=snakemake.output.examples,
        columns=run,
        regions=snakemake.params.regions,
        seed=run["seed"],
        compute=Compute(**snakemake.params.compute, memory_limit_gb=snakemake.resources.held_mb / 1000),
    )
