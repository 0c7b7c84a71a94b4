"""Train one modality's segmentation network on a share of the labels."""

from door import log_to

with log_to(snakemake.log):
    from mcd.reporting.curves import draw_curves
    from mcd.segmentation.run import finetune
    from mcd.slices.augment import Augmentation
    from mcd.training.loop import write_history
    from mcd.training.schedule import Compute, Schedule

    training = dict(snakemake.params.training)
    history = finetune(
        shards=snakemake.input.shards,
        split=snakemake.input.split,
        pretrained=snakemake.input.get("pretrained"),
        output=snakemake.output.model,
        modality=snakemake.wildcards.modality,
        schedule=Schedule(**training.pop("schedule")),
        augmentation=Augmentation(**training.pop("augmentation")),
        compute=Compute(**snakemake.params.compute),
        resume=snakemake.params.resume,
        about=dict(snakemake.wildcards),
        **training,
    )
    write_history(history, snakemake.output.losses)
    draw_curves(history, snakemake.output.curves)
