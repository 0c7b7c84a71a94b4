"""Pre-train on all training patients' slices, without labels."""

from door import log_to

if __name__ == "__main__":  # the processes of a training on several GPUs import this file
    with log_to(snakemake.log):
        from mcd.distributed.processes import launch
        from mcd.loggers.base import Watches, logged_job
        from mcd.pretraining.options import PretrainingTask
        from mcd.pretraining.run import pretrain
        from mcd.reporting.figures.live import Live
        from mcd.reporting.figures.loss_curves import draw_curves
        from mcd.seeding import pretraining_columns
        from mcd.training.history import write_history
        from mcd.training.schedule import Compute

        task = PretrainingTask.read(snakemake.params.task, "pre-training")
        live = Live(snakemake.params.resume, task.epochs)
        history = launch(
            snakemake.resources.get("gpu", 1),  # one process per GPU
            pretrain,
            task=task,
            shards=list(snakemake.input.shards),
            split=snakemake.input.split,
            output=snakemake.output.checkpoint,
            compute=Compute(**snakemake.params.compute, memory_limit_gb=snakemake.resources.held_mb / 1000),
            resume=snakemake.params.resume,
            about=pretraining_columns(dict(snakemake.wildcards)),
            watch=Watches((live, *logged_job(snakemake.output.checkpoint, task.epochs))),
        )
        live.end()
        write_history(history, snakemake.output.losses)
        draw_curves(snakemake.output.losses, snakemake.output.curves)
