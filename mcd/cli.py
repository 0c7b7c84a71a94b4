"""`mcd`: single stages of the workflow without Snakemake, for a machine that has none, and a look into its files."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mcd
from mcd.errors import McdError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a user's mistake is one line on stderr and exit status 1."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        options.run(options)
    except McdError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mcd", description="Multi-ConDoS, stage by stage.")
    parser.add_argument("--version", action="version", version=f"mcd {mcd.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run: Any, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(run=run)
        return sub

    def training_inputs(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--config", type=Path, required=True, help="a configuration of the workflow")
        sub.add_argument("--cohort", required=True, help="one of its cohorts")
        sub.add_argument("--shards", type=Path, nargs="+", required=True, help="the cohort's HDF5 shards")
        sub.add_argument("--split", type=Path, required=True, help="the split's JSON file")
        sub.add_argument("--method", default="multi_condos", help="a row of Table II (default %(default)s)")
        sub.add_argument("--seed", type=int, default=0)
        sub.add_argument("--output", type=Path, required=True, help="the checkpoint to write")

    sub = command("pretrain", _pretrain, "Pre-train a method on one pair of modalities.")
    training_inputs(sub)
    sub.add_argument("--pair", required=True, help="such as CT-PET")

    sub = command("finetune", _finetune, "Train one modality's segmentation network on a share of the labels.")
    training_inputs(sub)
    sub.add_argument("--modality", required=True)
    sub.add_argument("--ratio", type=float, required=True, help="share of the training patients whose labels are used")
    sub.add_argument("--pretrained", type=Path, help="checkpoint of `mcd pretrain`; none for random weights")

    sub = command("evaluate", _evaluate, "Predict and score the test patients of a split.")
    sub.add_argument("--model", type=Path, required=True, help="checkpoint of `mcd finetune`")
    sub.add_argument("--shards", type=Path, nargs="+", required=True)
    sub.add_argument("--split", type=Path, required=True)
    sub.add_argument("--output", type=Path, required=True, help="folder for scores.csv and predictions.h5")

    sub = command("simulate", _simulate, "Write a simulated cohort's raw files in an official layout.")
    sub.add_argument("layout", choices=["brats2018", "hecktor2020"])
    sub.add_argument("folder", type=Path)
    sub.add_argument("--subjects", type=int, default=4)
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--noise", type=float, default=1.0, help="factor on the scanners' noise")

    sub = command("inspect", _inspect, "Say what a checkpoint or a shard is.")
    sub.add_argument("file", type=Path)
    return parser


def _load(options: argparse.Namespace) -> Any:
    import yaml

    from mcd.config import load_config
    from mcd.methods import METHODS

    try:
        config = load_config(yaml.safe_load(options.config.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise McdError(f"{options.config}: no such configuration") from None
    if options.cohort not in config.cohorts:
        raise McdError(f"--cohort {options.cohort}: {options.config} has {', '.join(config.cohorts)}")
    if options.method not in METHODS:
        raise McdError(f"--method {options.method}: there are {', '.join(METHODS)}")
    return config


def _pretrain(options: argparse.Namespace) -> None:
    from mcd import plan
    from mcd.methods import METHODS
    from mcd.pretraining.run import pretrain
    from mcd.training.loop import write_history
    from mcd.training.schedule import Compute

    config = _load(options)
    pretraining = METHODS[options.method].pretraining
    if pretraining is None:
        raise McdError(f"--method {options.method}: has no pre-training; use `mcd finetune`")
    history = pretrain(
        shards=options.shards,
        split=options.split,
        output=options.output,
        modalities=tuple(options.pair.split("-")),
        compute=Compute(**config.compute.model_dump()),
        resume=f"{options.output}.resume",
        about={"cohort": options.cohort, "pair": options.pair, "pretraining": pretraining},
        **plan.pretraining_settings(config, options.cohort, pretraining, options.seed),
    )
    write_history(history, options.output.with_suffix(".csv"))


def _finetune(options: argparse.Namespace) -> None:
    from mcd import plan
    from mcd.segmentation.run import finetune
    from mcd.slices.augment import Augmentation
    from mcd.training.loop import write_history
    from mcd.training.schedule import Compute, Schedule

    config = _load(options)
    resume = Path(f"{options.output}.resume")
    settings = plan.finetuning_settings(config, options.cohort, options.method, options.ratio, options.seed)
    history = finetune(
        shards=options.shards,
        split=options.split,
        output=options.output,
        modality=options.modality,
        pretrained=options.pretrained,
        schedule=Schedule(**settings.pop("schedule")),
        augmentation=Augmentation(**settings.pop("augmentation")),
        compute=Compute(**config.compute.model_dump()),
        resume=resume,
        about={"cohort": options.cohort, "method": options.method},
        **settings,
    )
    write_history(history, options.output.with_suffix(".csv"))
    resume.unlink(missing_ok=True)


def _evaluate(options: argparse.Namespace) -> None:
    from mcd.segmentation.run import evaluate
    from mcd.training.checkpoint import load_checkpoint

    about = load_checkpoint(options.model, "segmentation").description
    names = ("cohort", "pair", "modality", "method", "label_ratio", "seed")
    table = evaluate(
        shards=options.shards,
        split=options.split,
        model=options.model,
        scores=options.output / "scores.csv",
        predictions=options.output / "predictions.h5",
        columns={name: about.get(name, "") for name in names},
    )
    print(table.drop(columns=list(names)).to_string(index=False))


def _simulate(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from mcd.cohorts import hecktor2020
    from mcd.cohorts.find import simulated_subjects
    from mcd.cohorts.simulated.head_neck import bounding_box
    from mcd.cohorts.simulated.write import write_brain, write_head_neck

    brain = options.layout == "brats2018"
    modalities = ["T1", "T1CE", "T2", "FLAIR"] if brain else ["CT", "PET"]
    subjects = simulated_subjects(options.layout, options.folder, modalities, options.subjects)
    for subject in tqdm(subjects, unit="patient"):
        files = {name: str(path) for name, path in {**subject.images, "label": subject.label}.items()}
        (write_brain if brain else write_head_neck)(
            files, subject.id, seed=options.seed, noise=options.noise, spacing={}
        )
    if not brain:
        boxes = {subject.id: bounding_box(subject.id, seed=options.seed) for subject in subjects}
        hecktor2020.write_boxes(boxes, options.folder / hecktor2020.BOXES)


def _inspect(options: argparse.Namespace) -> None:
    if options.file.suffix == ".h5":
        from mcd.slices.shards import Shards

        with Shards([options.file]) as shards:
            print(f"shard: {', '.join(shards.modalities)}; slices of {shards.size[0]} x {shards.size[1]} pixels")
            for subject in shards.subjects.values():
                print(f"  {subject.id}: {len(subject)} slices, spacing (z, y, x) {subject.spacing} mm")
        return
    from mcd.training.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(options.file)
    print(f"{checkpoint.kind} checkpoint")
    for name, state in checkpoint.weights.items():
        numbers = sum(tensor.numel() for tensor in state.values())
        print(f"  {name}: {len(state)} tensors, {numbers / 1e6:.2f} million numbers")
    short = {key: value for key, value in checkpoint.description.items() if key not in ("trained", "transferred")}
    print(json.dumps(short, indent=2))


if __name__ == "__main__":
    sys.exit(main())
