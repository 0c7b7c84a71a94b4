"""Write a run's predictions as NIfTI on the raw images' grids."""

from door import log_to

with log_to(snakemake.log):
    from mcd.prediction.raw_grid import export_predictions

    export_predictions(
        snakemake.input.predictions,
        snakemake.input.shards,
        snakemake.wildcards.modality,
        snakemake.params.regions,
        snakemake.output.folder,
    )
