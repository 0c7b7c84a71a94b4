"""The gain of pre-training by Multi-ConDoS with something of the recipe changed, on patients whom no study is judged by.

    snakemake --configfile configs/study_choice.yaml --directory runs/study_choice --cores 2 shards
    python benchmarks/transfer_variations.py --config configs/study_choice.yaml --run runs/study_choice --output runs/variations

pre-trains and fine-tunes once for each variation, seed, draw of the labelled patients, modality and label ratio, and prints a
Markdown table: the mean DSC of the cohort's test patients, from random weights and from pre-trained ones, and the mean of the
paired differences with its 95 % interval over seeds and patients (a seed's draws share a pre-training and are averaged; with
one seed it is over draws). `configs/study_cpu.yaml` took its settings from it; its own patients are simulated with another
seed. Goes on where it was stopped.
"""

import argparse
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from compare_runs import with_interval
from numpy.typing import NDArray
from tqdm import tqdm

from mcd import plan
from mcd.config import Config, load_config
from mcd.digests import digest
from mcd.evaluation.overlap import dsc
from mcd.evaluation.score_rows import TRAINING
from mcd.files import read_json, write_json
from mcd.pair import Pair
from mcd.prediction.fusion import THRESHOLD
from mcd.prediction.score import true_masks
from mcd.prediction.slices import BATCH_SIZE, load_network, predict_slices
from mcd.pretraining.run import pretrain
from mcd.segmentation.run import finetune
from mcd.slices.batches import SliceSet
from mcd.slices.shards import Shards
from mcd.slices.splits import read_split
from mcd.training.device import prepare


@dataclass(frozen=True)
class Pretraining:
    """A pre-training that departs from the configuration's.

    Attributes:
        epochs: its length, as a multiple of the configuration's.
        options: of the algorithm, instead of the configuration's.
    """

    name: str
    epochs: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finetuning:
    """A fine-tuning that departs from the configuration's.

    Attributes:
        steps: its length, as a multiple of the configuration's.
        schedule: step sizes, instead of the configuration's.
        task: other fields of `FinetuningTask`.
    """

    name: str
    steps: float = 1.0
    schedule: dict[str, Any] = field(default_factory=dict)
    task: dict[str, Any] = field(default_factory=dict)


CONFIGURED = "configured"
PRETRAININGS = {
    one.name: one
    for one in (
        Pretraining(CONFIGURED),
        Pretraining("paper's rate", options={"learning_rate": 2e-4, "decay": "constant"}),
        Pretraining("spread, shifted", options={"batches": "spread", "shift": 0.25}),
        Pretraining("no L_GAN", options={"adversarial": 0.0}),
        Pretraining("no L_C", options={"contrastive": 0.0}),
        Pretraining("ten times L_C", options={"contrastive": 1.0}),
        Pretraining("least squares", options={"adversarial_form": "least_squares"}),
        Pretraining("a quarter as long", epochs=0.25),
        Pretraining("twice as long", epochs=2.0),
        Pretraining("twice as long, shifted", epochs=2.0, options={"shift": 0.25}),
        Pretraining("twice as long, narrow discriminators", epochs=2.0, options={"discriminator_filters": 4}),
    )
}
FINETUNINGS = {
    one.name: one
    for one in (
        Finetuning(CONFIGURED),
        Finetuning("rate 0.001", schedule={"learning_rate": 0.001}),
        Finetuning("rate 0.005", schedule={"learning_rate": 0.005}),
        Finetuning("half the steps", steps=0.5),
        Finetuning("three times the steps", steps=3.0),
        *(Finetuning(f"prior {prior:g}", task={"prior_probability": prior}) for prior in (0.5, 0.1, 0.01)),
        Finetuning("coupled decay", schedule={"weight_decay_form": "coupled"}),
        Finetuning("transferred layers at a third of the rate", task={"transferred_rate": 0.3}),
        Finetuning("encoder and shared layers alone", task={"depth": 0}),
    )
}


@dataclass(frozen=True)
class Place:
    """The configuration, where the workflow made its shards and splits, and where trainings and scores are kept."""

    config: Config
    run: Path
    output: Path

    @property
    def cohort(self) -> str:
        return next(iter(self.config.cohorts))

    @property
    def pair(self) -> str:
        return self.config.cohorts[self.cohort].pairs[0]

    @property
    def shards(self) -> list[Path]:
        return sorted((self.run / "work" / self.cohort / "shards").glob("*.h5"))

    def split(self, seed: int, draw: int) -> Path:
        return self.run / "splits" / self.cohort / f"seed{seed}{plan.draw_text(draw)}.json"


def identity(settings: Any) -> str:
    """A short name of what determines a training."""
    return digest([json.dumps(settings, sort_keys=True).encode()])[:16]


def pretrained(place: Place, variation: Pretraining, seed: int) -> Path:
    """A pre-training's checkpoint, trained if it is not there."""
    task = plan.pretraining_task(place.config, place.cohort, place.pair, "multi_condos", seed)
    changes = {
        "options": {**task.options, **variation.options},
        "epochs": max(1, round(task.epochs * variation.epochs)),
    }
    task = task.model_copy(update=changes)
    path = place.output / f"pretraining-{identity(task.model_dump(mode='json'))}.pt"
    if not path.exists():
        pretrain(
            task,
            shards=place.shards,
            split=place.split(seed, 0),
            output=path,
            compute=place.config.compute,
            resume=path.with_suffix(".resume"),
        )
    return path


def scores(
    place: Place,
    start: Path | None,
    variation: Finetuning,
    seed: int,
    draw: int,
    modality: str,
    ratio: float,
    method: str = "fully_supervised",
) -> Path:
    """A file with each test patient's DSC, the mean over regions, of one fine-tuning; made if it is not there.

    `method` is one that learns from random weights; a checkpoint to start from is Multi-ConDoS'.
    """
    method = "multi_condos" if start else method
    task = plan.finetuning_task(place.config, place.cohort, method, modality, ratio, seed)
    schedule = task.schedule.model_copy(
        update={**variation.schedule, "epochs": max(1, round(task.schedule.epochs * variation.steps))}
    )
    task = task.model_copy(update={**variation.task, "schedule": schedule})
    parts = [task.model_dump(mode="json"), draw, start.stem if start else None]
    kept = place.output / f"scores-{identity(parts)}.json"
    if not kept.exists():
        model, split = kept.with_suffix(".pt"), place.split(seed, draw)
        compute = place.config.compute
        device = prepare(compute)
        finetune(task, shards=place.shards, split=split, output=model, pretrained=start, compute=compute)
        network, _ = load_network(model, device)
        found = []
        with Shards(place.shards) as shards:
            for subject in read_split(split).test:
                slices = SliceSet(shards, [subject], [modality], regions=task.regions, select="all", device=device)
                predicted = predict_slices(network, slices, BATCH_SIZE, compute) >= THRESHOLD
                pairs = zip(true_masks(shards, subject, task.regions).values(), predicted, strict=True)
                found.append(float(np.mean([dsc(there, mask) for there, mask in pairs if there is not None])))
        write_json(kept, found)
        model.unlink()
    return kept


def columns(place: Place) -> list[tuple[float, str]]:
    """The columns of a table: modalities at label ratios."""
    return list(product(place.config.label_ratios, Pair(place.pair).modalities))


def heads(place: Place) -> list[str]:
    """What the columns are called."""
    return [f"{plan.percent(ratio)} %, {modality}" for ratio, modality in columns(place)]


def trained(
    place: Place, start: str, variation: Finetuning, seed: int, method: str = "fully_supervised"
) -> list[list[list[float]]]:
    """DSC (draws, columns, patients) of one seed; `start` is empty for random weights, from which `method` learns."""
    torch.set_num_threads(1)
    checkpoint = pretrained(place, PRETRAININGS[start], seed) if start else None
    files = [
        [
            scores(place, checkpoint, variation, seed, draw, modality, ratio, method)
            for ratio, modality in columns(place)
        ]
        for draw in range(place.config.label_draws)
    ]
    return [[read_json(file) for file in of_draw] for of_draw in files]


def gain(differences: NDArray[np.float64]) -> str:
    """Two cells, of differences (seeds, draws, columns, patients): the mean with its interval, how many trainings gain."""
    seeds, draws = (range(count) for count in differences.shape[:2])
    trainings = pd.MultiIndex.from_product([seeds, draws], names=TRAINING)
    cell = pd.DataFrame(differences.mean(2).reshape(len(trainings), -1), index=trainings)
    return f"{with_interval(cell)} | {int((cell.mean(axis=1) > 0).sum())} of {len(cell)}"


def show(of_start: NDArray[np.float64], of_random: NDArray[np.float64], name: str) -> None:
    """Print a variation's row: means by column, and the gain over random weights; (seeds, draws, columns, patients) each."""
    cells = [
        f"{random:.3f} -> {start:.3f}"
        for random, start in zip(of_random.mean((0, 1, 3)), of_start.mean((0, 1, 3)), strict=True)
    ]
    print(f"| {name} | {' | '.join(cells)} | {gain(of_start - of_random)} |", flush=True)


def parser(doc: str | None) -> argparse.ArgumentParser:
    """What says where to read and to write, of whoever compares trainings on patients whom no study is judged by."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--config", type=Path, required=True)
    made.add_argument("--run", type=Path, required=True, help="folder in which the workflow made shards and splits")
    made.add_argument("--output", type=Path, required=True, help="folder for what is trained, and the scores")
    made.add_argument("--processes", type=int, default=2)
    return made


def place_of(arguments: argparse.Namespace) -> Place:
    """The place that they name; its folder is made."""
    arguments.output.mkdir(parents=True, exist_ok=True)
    config = load_config(yaml.safe_load(arguments.config.read_text(encoding="utf-8")))
    return Place(config, arguments.run, arguments.output)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--pretrainings", nargs="+", choices=PRETRAININGS, default=list(PRETRAININGS), metavar="NAME")
    options.add_argument("--finetunings", nargs="+", choices=FINETUNINGS, default=list(FINETUNINGS), metavar="NAME")
    arguments = options.parse_args()
    place = place_of(arguments)
    # Every pre-training with the configured fine-tuning, and the first of them with every fine-tuning.
    pairs = list(
        dict.fromkeys(
            [
                *product(arguments.pretrainings, [CONFIGURED]),
                *product(arguments.pretrainings[:1], arguments.finetunings),
            ]
        )
    )
    starts = dict.fromkeys(start for start, _ in pairs)
    rows = [*pairs, *dict.fromkeys(("", finetuning) for _, finetuning in pairs)]
    seeds = place.config.seeds
    with ProcessPoolExecutor(arguments.processes, multiprocessing.get_context("spawn")) as pool:
        first = [pool.submit(pretrained, place, PRETRAININGS[start], seed) for seed, start in product(seeds, starts)]
        for training in tqdm(as_completed(first), total=len(first), unit="pre-training"):
            training.result()
        jobs = {
            (start, finetuning, seed): pool.submit(trained, place, start, FINETUNINGS[finetuning], seed)
            for seed, (start, finetuning) in product(seeds, rows)
        }
        for job in tqdm(as_completed(jobs.values()), total=len(jobs), unit="row"):
            job.result()
    found = {row: np.array([jobs[*row, seed].result() for seed in seeds], dtype=np.float64) for row in rows}
    names = heads(place)
    print(f"| pre-training | fine-tuning | {' | '.join(names)} | gain | better |\n{'|---' * (len(names) + 4)}|")
    for start, finetuning in pairs:
        show(found[start, finetuning], found["", finetuning], f"{start} | {finetuning}")


if __name__ == "__main__":
    main()
