"""Score the networks of a pair's two modalities, each alone and fused."""

from door import log_to

with log_to(snakemake.log):
    from mcd.segmentation.run import evaluate_fused
    from mcd.training.schedule import Compute

    run = {**snakemake.params.run, "label_ratio": snakemake.params.run["ratio"]}
    evaluate_fused(
        shards=snakemake.input.shards,
        split=snakemake.input.split,
        models=snakemake.input.models,
        scores=snakemake.output.scores,
        columns=run,
        compute=Compute(**snakemake.params.compute),
    )
