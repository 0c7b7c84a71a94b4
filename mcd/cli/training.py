"""Pre-train, fine-tune, evaluate."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mcd.cli.arguments import whole
from mcd.errors import McdError
from mcd.paths import check_output

if TYPE_CHECKING:
    from mcd.config import Config


def add_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare this module's commands by `command(name, function, help)`."""
    sub = command("pretrain", _pretrain, "Pre-train a method on one pair of modalities.")
    _training_inputs(sub)
    sub.add_argument("--pair", required=True, help="such as CT-PET")

    sub = command("finetune", _finetune, "Train one modality's segmentation network on a share of the labels.")
    _training_inputs(sub)
    sub.add_argument("--modality", required=True)
    sub.add_argument("--ratio", type=float, required=True, help="share of the training patients whose labels are used")
    sub.add_argument("--draw", type=whole, default=0, help="that of the split (seed0-draw1.json: 1), to be recorded")
    sub.add_argument("--pretrained", type=Path, help="checkpoint of `mcd pretrain`; none for random weights")

    sub = command("evaluate", _evaluate, "Predict and score the test patients of a split.")
    sub.add_argument("--model", type=Path, required=True, help="checkpoint of `mcd finetune`")
    sub.add_argument("--shards", type=Path, nargs="+", required=True)
    sub.add_argument("--split", type=Path, required=True)
    sub.add_argument("--output", type=Path, required=True, help="folder for predictions.h5 and scores.csv")


def _training_inputs(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--config", type=Path, required=True, help="a configuration of the workflow")
    sub.add_argument("--cohort", required=True, help="one of its cohorts")
    sub.add_argument("--shards", type=Path, nargs="+", required=True, help="the cohort's HDF5 shards")
    sub.add_argument("--split", type=Path, required=True, help="the split's JSON file")
    sub.add_argument("--method", default="multi_condos", help="a row of Table II (default %(default)s)")
    sub.add_argument("--seed", type=whole, default=0)
    sub.add_argument("--fold", type=whole, default=0, help="that of the split (seed0-fold1.json: 1), to be recorded")
    sub.add_argument("--output", type=Path, required=True, help="the checkpoint to write")


def _load(options: argparse.Namespace) -> "Config":
    from mcd.config import read_config
    from mcd.methods import METHODS

    config = read_config(options.config)
    check_output(options.output)
    if not options.output.suffix:
        raise McdError(f"--output {options.output}: has no suffix; name it {options.output.name}.pt, for example")
    if options.cohort not in config.cohorts:
        raise McdError(f"--cohort {options.cohort}: {options.config} has {', '.join(config.cohorts)}; use one of them")
    if options.method not in METHODS:
        raise McdError(f"--method {options.method}: there are {', '.join(METHODS)}; use one of them")
    return config


def _pretrain(options: argparse.Namespace) -> None:
    from mcd import plan
    from mcd.loggers.base import Watches, logged
    from mcd.methods import METHODS
    from mcd.pretraining.run import pretrain
    from mcd.training.history import write_history

    config = _load(options)
    pretraining = METHODS[options.method].pretraining
    if pretraining is None:
        raise McdError(f"--method {options.method}: has no pre-training; use `mcd finetune`")
    task = plan.pretraining_task(config, options.cohort, options.pair, pretraining, options.seed)
    history = pretrain(
        task,
        shards=options.shards,
        split=options.split,
        output=options.output,
        compute=config.compute,
        resume=f"{options.output}.resume",
        about={
            "cohort": options.cohort,
            "pair": options.pair,
            "pretraining": pretraining,
            **({"fold": options.fold} if options.fold else {}),
            "simulated": config.cohorts[options.cohort].simulate is not None,
        },
        watch=Watches(logged(config.compute.logger, options.output.parent, options.output.stem, task.epochs)),
    )
    write_history(history, options.output.with_suffix(".csv"))


def _finetune(options: argparse.Namespace) -> None:
    from mcd import plan
    from mcd.loggers.base import Watches, logged
    from mcd.methods import METHODS
    from mcd.segmentation.run import finetune
    from mcd.training.history import write_history

    config = _load(options)
    if options.ratio not in plan.ratios(config):
        known = ", ".join(map(str, plan.ratios(config)))
        raise McdError(f"--ratio {options.ratio}: {options.config} has {known}; add it to label_ratios")
    modalities = config.cohorts[options.cohort].modalities
    if options.modality not in modalities:
        raise McdError(f"--modality {options.modality}: {options.cohort} has {', '.join(modalities)}; use one of them")
    if METHODS[options.method].pretraining and options.pretrained is None:
        raise McdError(f"--method {options.method}: starts from a pre-training; give its checkpoint with --pretrained")
    resume = Path(f"{options.output}.resume")
    ratio = options.ratio
    task = plan.finetuning_task(config, options.cohort, options.method, options.modality, ratio, options.seed)
    history = finetune(
        task,
        shards=options.shards,
        split=options.split,
        output=options.output,
        pretrained=options.pretrained,
        compute=config.compute,
        resume=resume,
        about={
            "cohort": options.cohort,
            "method": options.method,
            "draw": options.draw,
            **({"fold": options.fold} if options.fold else {}),
            **plan.cohort_facts(config, options.cohort),
        },
        watch=Watches(logged(config.compute.logger, options.output.parent, options.output.stem, task.schedule.epochs)),
    )
    write_history(history, options.output.with_suffix(".csv"))
    resume.unlink(missing_ok=True)


def _evaluate(options: argparse.Namespace) -> None:
    import pandas as pd

    from mcd.evaluation.score_rows import FOLD, RUN, TRAINING, VERSION
    from mcd.prediction.run import predict_test
    from mcd.prediction.score import score_predictions
    from mcd.training.checkpoint import load_checkpoint

    check_output(options.output, folder=True)
    about = load_checkpoint(options.model, "segmentation").description
    data = {"shards": options.shards, "split": options.split}
    known = [*RUN, *TRAINING, *([FOLD] if about.get(FOLD) else [])]
    predictions = options.output / "predictions.h5"
    predict_test(**data, model=options.model, predictions=predictions)
    rows = score_predictions(
        **data,
        predictions=predictions,
        scores=options.output / "scores.csv",
        columns={name: {"draw": 0, **about}.get(name, "") for name in known},
    )
    print(pd.DataFrame(rows).drop(columns=[*known, VERSION]).to_string(index=False))
