"""Predict every slice of every test patient, and score the volumes."""

from door import log_to

with log_to(snakemake.log):
    from mcd.segmentation.run import evaluate
    from mcd.training.schedule import Compute

    evaluate(
        shards=snakemake.input.shards,
        split=snakemake.input.split,
        model=snakemake.input.model,
        scores=snakemake.output.scores,
        predictions=snakemake.output.predictions,
        columns=snakemake.params.columns,
        compute=Compute(**snakemake.params.compute),
    )
