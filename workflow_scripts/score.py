"""Score what segmentation networks, of one modality or of a pair's two, predicted for the test or validation patients."""

from door import log_to

with log_to(snakemake.log):
    from mcd.prediction.score import score_predictions

    for number, run in enumerate(snakemake.params.runs):
        score_predictions(
            predictions=snakemake.input.predictions[number],
            shards=snakemake.input.shards,
            split=snakemake.input.split,
            scores=snakemake.output.scores[number],
            columns=run,
            threads=snakemake.threads,
            part=snakemake.params.get("part", "test"),
        )
