"""Train segmentation networks, of one modality or of a pair's two, on a share of the labels; then predict and score."""

from door import log_to

with log_to(snakemake.log):
    from pathlib import Path

    from mcd.prediction.card import record_test
    from mcd.segmentation.run import evaluate, finetune
    from mcd.slices.augment import Augmentation
    from mcd.training.loop import write_history
    from mcd.training.schedule import Compute, Schedule

    data = {"shards": snakemake.input.shards, "split": snakemake.input.split}
    compute = Compute(**snakemake.params.compute)
    for number, run in enumerate(snakemake.params.runs):
        training = dict(snakemake.params.training)
        history = finetune(
            **data,
            pretrained=snakemake.input.get("pretrained"),
            output=snakemake.output.models[number],
            modality=run["modality"],
            schedule=Schedule(**training.pop("schedule")),
            augmentation=Augmentation(**training.pop("augmentation")),
            compute=compute,
            resume=snakemake.params.resume[number],
            about={**run, **snakemake.params.cohort},
            **training,
        )
        write_history(history, snakemake.output.losses[number])
        scores = evaluate(
            **data,
            model=snakemake.output.models[number],
            scores=snakemake.output.scores[number],
            predictions=snakemake.output.predictions[number],
            columns=run,
            compute=compute,
        )
        record_test(snakemake.output.models[number], scores)
    for resume in snakemake.params.resume:
        Path(resume).unlink(missing_ok=True)
