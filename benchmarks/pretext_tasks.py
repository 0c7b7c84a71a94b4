"""How well each self-supervised baseline solves its own pretext task after a short training, on subjects that it never saw.

    python benchmarks/pretext_tasks.py --config config.yaml --shards work/brats/shards/*.h5 --split splits/brats/seed0.json \
        --modalities T1CE T2

prints a Markdown table: the task's accuracy before and after trainings of several lengths compared with chance (for a method
that restores images, the share of their variance that it explains), and the spread of the embeddings (1: all directions
used, 0: collapsed). A single-modal method trains on the first modality. Random weights solve many of these tasks above
chance; what a method has learnt is the difference between `before` and `after`.
"""

import argparse
import copy
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mcd.config import read_config
from mcd.methods import METHODS, PRETRAININGS
from mcd.pretraining.base import Pretraining
from mcd.pretraining.registry import BASELINES, REGISTRY, options_class, pretraining_class
from mcd.slices.batches import SliceSet
from mcd.slices.shards import Shards
from mcd.slices.splits import read_split
from mcd.training.device import prepare
from mcd.training.loop import train
from mcd.training.schedule import Compute

TASKS: dict[str, str] = {
    "rotation": "which of 4 quarter turns",
    "jigsaw": "which of the stored permutations",
    "m_jigsaw": "place of a tile",
    "exemplar": "other view in the batch",
    "cpc": "the patch below among negatives",
    "simclr": "other view in the batch",
    "byol": "other view in the batch",
    "swav": "other view in the batch",
    "gl": "nearest view is of the same part",
    "gl (regions)": "own region among 11",
    "contig": "other modality in the batch",
    "mae": "variance of hidden tissue",
    "volume_fusion": "which of 5 proportions, mean over classes",
    "brainmvp_lite": "variance of tissue replaced by the other modality",
    "brainmvp_lite (template)": "variance of tissue replaced by the template",
}
STAGES: dict[str, dict[str, tuple[int, int]]] = {
    "gl": {"": (0, 2), " (regions)": (1, 2)},
    "brainmvp_lite": {"": (2, 3), " (template)": (0, 3)},
}
"""Of methods that learn several tasks one after the other: each task's suffix in `TASKS`, and an (epoch, epochs) at which it is
learnt. All others have one task."""


def chance(method: Pretraining, task: str, batch_size: int) -> float:
    """The accuracy of guessing, or what the mean of all images explains."""
    options: Any = method.options
    chances: dict[str, Callable[[], float]] = {
        "rotation": lambda: 1 / 4,
        "jigsaw": lambda: 1 / options.permutations,
        "m_jigsaw": lambda: 1 / options.grid**2,
        "cpc": lambda: 1 / (1 + options.negatives),
        "gl": lambda: (2 * batch_size / options.parts - 1) / (2 * batch_size - 1),
        "gl (regions)": lambda: 1 / 11,
        "mae": lambda: 0.0,
        "volume_fusion": lambda: 1 / options.classes,
        "brainmvp_lite": lambda: 0.0,
        "brainmvp_lite (template)": lambda: 0.0,
    }
    return chances.get(task, lambda: 1 / batch_size)()


@torch.no_grad()
def measure(method: Pretraining, slices: SliceSet, batch_size: int, passes: int = 3) -> dict[str, float]:
    """Means over `passes` of what the method logs on `slices`; the method itself stays as it is."""
    method = copy.deepcopy(method).train()  # as in training: BatchNorm of the batch, views at random
    sums: dict[str, list[float]] = defaultdict(list)
    torch.manual_seed(0)
    for seed in range(passes):
        for indices in method.batches(slices, batch_size, np.random.default_rng(seed)):
            for name, value in method.losses(slices.batch(indices), "network").items():
                sums[name].append(float(value))
    return {name: float(np.mean(values)) for name, values in sums.items()}


def row(task: str, guess: float, measured: Sequence[dict[str, float]], seconds: float) -> str:
    """`measured`: before training, then after each length."""

    def values(name: str) -> str:
        return " | ".join(f"{one[name]:.2f}" if name in one else "" for one in measured)

    solved = "explained" if "explained" in measured[0] else "accuracy"
    return f"| {task} | {guess:.2f} | {values(solved)} | {values('embedding_sd')} | {values('total')} | {seconds:.0f} |"


def run(arguments: argparse.Namespace) -> None:
    compute = Compute(device=arguments.device)
    device = prepare(compute)
    split = read_split(arguments.split)
    configured = _configured(arguments.config) if arguments.config else {}
    lengths = " | ".join(["before", *(f"{epochs} epochs" for epochs in arguments.epochs)])
    print(f"| method | task | chance | {lengths} | spread {lengths} | loss {lengths} | s |")
    print("|" + "---|" * (4 + 3 * (1 + len(arguments.epochs))))
    with Shards(arguments.shards) as shards:
        for algorithm in arguments.algorithms:
            group = tuple(arguments.modalities) if REGISTRY[algorithm].multimodal else (arguments.modalities[0],)
            seen, unseen = (SliceSet(shards, names, group, device=device) for names in (split.train, split.test))
            options = options_class(algorithm).model_validate(configured.get(algorithm, {}))
            stages = STAGES.get(algorithm, {"": (0, 2)})
            measured: dict[str, list[dict[str, float]]] = {stage: [] for stage in stages}
            started = time.monotonic()
            for epochs in [0, *arguments.epochs]:
                torch.manual_seed(arguments.seed)
                method = pretraining_class(algorithm)(options, arguments.filters, group, seen.size).to(device)
                if epochs:
                    schedule = options.schedule(epochs, arguments.batch_size, None)
                    train(method, seen, schedule, compute, seed=arguments.seed)
                for stage, moment in stages.items():
                    method.before_epoch(*moment)
                    measured[stage].append(measure(method, unseen, arguments.batch_size))
            for stage, found in measured.items():
                guess = chance(method, algorithm + stage, arguments.batch_size)
                task = TASKS.get(algorithm + stage, TASKS["simclr"])
                labels = [spec.label for spec in METHODS.values() if spec.pretraining == algorithm]
                label = labels[0] if labels else type(method).__name__
                print(f"| {label}{stage} {row(task, guess, found, time.monotonic() - started)}", flush=True)


def _configured(path: Path) -> dict[str, dict[str, Any]]:
    algorithms = read_config(path).algorithms
    return {name: algorithms.given(name) for name in REGISTRY}


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", nargs="+", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--modalities", nargs=2, required=True, help="the pair")
    of_the_paper = [name for name in PRETRAININGS if name in TASKS.keys() - BASELINES.keys()]
    parser.add_argument("--algorithms", nargs="+", default=of_the_paper)
    parser.add_argument("--filters", type=int, default=8)
    parser.add_argument("--epochs", type=int, nargs="+", default=[10, 40], help="lengths of the trainings")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--config", type=Path, help="a configuration, for the algorithms' options; else their defaults")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    run(parser.parse_args(words))


if __name__ == "__main__":
    main()
