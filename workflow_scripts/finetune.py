"""Train one modality's segmentation network on a share of the labels; then predict and score the test patients."""

from door import log_to

with log_to(snakemake.log):
    from pathlib import Path

    from mcd.segmentation.run import evaluate, finetune
    from mcd.slices.augment import Augmentation
    from mcd.training.loop import write_history
    from mcd.training.schedule import Compute, Schedule

    data = {"shards": snakemake.input.shards, "split": snakemake.input.split}
    compute = Compute(**snakemake.params.compute)
    training = dict(snakemake.params.training)
    history = finetune(
        **data,
        pretrained=snakemake.input.get("pretrained"),
        output=snakemake.output.model,
        modality=snakemake.wildcards.modality,
        schedule=Schedule(**training.pop("schedule")),
        augmentation=Augmentation(**training.pop("augmentation")),
        compute=compute,
        resume=snakemake.params.resume,
        about=snakemake.params.run,
        **training,
    )
    write_history(history, snakemake.output.losses)
    evaluate(
        **data,
        model=snakemake.output.model,
        scores=snakemake.output.scores,
        predictions=snakemake.output.predictions,
        columns=snakemake.params.run,
        compute=compute,
    )
    Path(snakemake.params.resume).unlink(missing_ok=True)
