"""Whether a training in bf16 has the losses of one in fp32: both from the same seed, over 200 steps.

    python benchmarks/bf16_losses.py dsgan supervised --device cuda
    python benchmarks/bf16_losses.py dsgan supervised --device cpu --filters 8 --batch 8 --size 48

prints a row of a Markdown table for each loss of each algorithm. The tolerance is 5 % of the loss's mean over the last 50
steps. Beside it, by how much a single epoch of ten steps differs at most, and for a measure of what chance does, by how much
the last 50 steps of a training in fp32 from another seed do, with other weights and slices. Slices are random
(`benchmarks/training_step.py`), and no data is needed. Ends with 1 if a loss is beyond the tolerance.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.training_step import build, schedule_of
from mcd.training.device import prepare
from mcd.training.history import NOT_LOSSES, History
from mcd.training.loop import train
from mcd.training.schedule import Compute

TOLERANCE = 0.05
EPOCH, LAST = 10, 50
"""Steps: of an epoch, and those at the end that are compared."""


def history(algorithm: str, arguments: argparse.Namespace, precision: str, seed: int) -> History:
    compute = Compute.read({"device": arguments.device, "precision": precision, "threads": 1}, "compute")
    method, slices, options = build(algorithm, arguments, prepare(compute), seed)
    schedule = schedule_of(options, arguments, epochs=arguments.steps // EPOCH, steps=EPOCH)
    return train(method, slices, schedule, compute, seed=seed)


def rows(algorithm: str, arguments: argparse.Namespace) -> bool:
    """Print a line for each loss; whether all are within the tolerance."""
    single, half, other = (
        history(algorithm, arguments, precision, seed) for precision, seed in (("fp32", 0), ("bf16", 0), ("fp32", 1))
    )
    within = True
    for loss in (name for name in single[0] if name not in NOT_LOSSES):
        a, b, c = (np.array([row[loss] for row in run]) for run in (single, half, other))
        ends = [values[-LAST // EPOCH :].mean() for values in (a, b, c)]
        differs, chance = (abs(end / ends[0] - 1) for end in ends[1:])
        within &= bool(differs <= TOLERANCE)
        print(
            f"| {algorithm} | {loss} | {a[0]:.4f} | {ends[0]:.4f} | {ends[1]:.4f} | {differs:.2%} | {abs(b / a - 1).max():.2%} "
            f"| {chance:.1%} | {'yes' if differs <= TOLERANCE else 'NO'} |",
            flush=True,
        )
    return within


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("algorithms", nargs="+")
    for option, default in (("filters", 64), ("batch", 36), ("size", 160), ("steps", 200), ("slices", 40)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, CUDA {torch.version.cuda}\n")
    print(
        "| algorithm | loss | first epoch | fp32, end | bf16, end | differs | in an epoch | another seed | within 5 % |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    within = [rows(algorithm, arguments) for algorithm in arguments.algorithms]
    sys.exit(0 if all(within) else 1)


if __name__ == "__main__":
    main()
