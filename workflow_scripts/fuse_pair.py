"""Score the predictions for a pair's two modalities, each alone and fused."""

from door import log_to

with log_to(snakemake.log):
    from mcd.prediction.score import score_fused

    score_fused(
        predictions=snakemake.input.predictions,
        shards=snakemake.input.shards,
        split=snakemake.input.split,
        scores=snakemake.output.scores,
        columns={**snakemake.params.run, "label_ratio": snakemake.params.run["ratio"]},
        threads=snakemake.threads,
    )
