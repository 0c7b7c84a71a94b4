"""Train segmentation networks, of one modality or of a pair's two, on a share of the labels; then predict."""

from door import log_to

with log_to(snakemake.log):
    from pathlib import Path

    from mcd.loggers.base import Watches, logged_job
    from mcd.prediction.run import predict_test
    from mcd.reporting.figures.live import Live
    from mcd.segmentation.options import FinetuningTask
    from mcd.segmentation.run import finetune
    from mcd.training.history import write_history
    from mcd.training.schedule import Compute

    data = {"shards": snakemake.input.shards, "split": snakemake.input.split}
    compute = Compute(**snakemake.params.compute, memory_limit_gb=snakemake.resources.held_mb / 1000)
    for number, run in enumerate(snakemake.params.runs):
        task = FinetuningTask.read(snakemake.params.tasks[number], "fine-tuning")
        live = Live(snakemake.params.resume[number], task.schedule.epochs)
        tracked = logged_job(snakemake.output.models[number], task.schedule.epochs)
        history = finetune(
            task,
            **data,
            pretrained=snakemake.input.get("pretrained"),
            output=snakemake.output.models[number],
            compute=compute,
            resume=snakemake.params.resume[number],
            about={**run, **snakemake.params.cohort},
            watch=Watches((live, *tracked)),
        )
        write_history(history, snakemake.output.losses[number])
        live.end()
        predict_test(
            **data,
            model=snakemake.output.models[number],
            predictions=snakemake.output.predictions[number],
            keep_probabilities=snakemake.params.keep_probabilities[number],
            compute=compute,
        )
    for resume in snakemake.params.resume:
        Path(resume).unlink(missing_ok=True)
