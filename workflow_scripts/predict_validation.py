"""Predict the validation patients with a trained network."""

from door import log_to

with log_to(snakemake.log):
    from mcd.prediction.run import predict_test
    from mcd.training.schedule import Compute

    predict_test(
        shards=snakemake.input.shards,
        split=snakemake.input.split,
        model=snakemake.input.model,
        predictions=snakemake.output.predictions,
        part="validation",
        compute=Compute(**snakemake.params.compute, memory_limit_gb=snakemake.resources.held_mb / 1000),
    )
