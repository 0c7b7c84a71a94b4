"""The goals of the paper's pre-training on one GPU, each beside what was measured.

    python benchmarks/gpu_goals.py --device cuda
    python benchmarks/gpu_goals.py --device cpu --small

At the paper's two sizes (f = 64; BraTS: 36 pairs of 160 x 160, HECKTOR: 48 of 144 x 144) it measures, in turns, what
`benchmarks/training_step.py` does: the DSGAN as it is, compiled, and with CUDA graphs, of which the fastest counts; a loop as
the published CycleGAN code has it, in TF32 and with autocast; and a bf16 matrix product. The hours are those of 200 epochs over
all slices of the paper's patients for HECKTOR's pair and BraTS's two, at the measured pairs per second. `--small` shows on a
CPU that all of it runs: f = 8, an eighth of the batches, 48 x 48 and 32 x 32, where neither ratios nor hours mean anything.
"""

import argparse
import math
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.training_step import Measured, measure
from mcd.errors import McdError

OURS = ("dsgan", "dsgan:compile", "dsgan:graphs")
EPOCHS = 200


class Cohort(NamedTuple):
    """What of the paper's cohort a pre-training takes."""

    batch: int
    size: int
    small: int
    pairs: int
    pretrainings: int


# slices: training patients x slices of a volume (paper Sec. V-A, as its numbers of slices count them)
COHORTS = {"BraTS": Cohort(36, 160, 48, 168 * 155, 2), "HECKTOR": Cohort(48, 144, 32, 180 * 144, 1)}


def measured(cohort: Cohort, arguments: argparse.Namespace) -> dict[str, Measured]:
    """The medians of all rows that run here."""
    small: bool = arguments.small
    sizes = argparse.Namespace(
        filters=8 if small else 64,
        batch=cohort.batch // 8 if small else cohort.batch,
        size=cohort.small if small else cohort.size,
        slices=4 if small else 40,
        steps=arguments.steps,
        threads=1,
        device=arguments.device,
    )
    found: dict[str, list[Measured]] = defaultdict(list)
    for _ in range(arguments.rounds):
        for row in (*OURS, "peer", "peer:bf16", "product"):
            try:
                found[row].append(measure(row, sizes))
            except (RuntimeError, McdError) as error:
                print(f"{row}: {str(error)[:300]}\n")
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
    return {row: sorted(ones, key=lambda one: one.seconds)[len(ones) // 2] for row, ones in found.items() if ones}


def line(goal: str, where: str, shown: str, reached: bool) -> None:
    print(f"| {goal} | {where} | {shown} | {'yes' if reached else 'no'} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--steps", type=int, default=100, help="measured ones; as many come before them, and compile")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    of_cohort = {name: measured(cohort, arguments) for name, cohort in COHORTS.items()}
    print("| what | cohort | pairs/s | TFLOP/s |\n|---|---|---|---|")
    hours, floor = 0.0, 0.0
    lines = []
    for name, rows in of_cohort.items():
        operations = rows["dsgan"].operations
        for row, one in rows.items():
            done = one.operations if row == "product" else operations if row in OURS else math.nan
            print(f"| {row} | {name} | {one.speed:.1f} | {done / one.seconds / 1e12:.2f} |")
        best = min((row for row in OURS if row in rows), key=lambda row: rows[row].seconds)
        ours, product = rows[best], rows["product"]
        ceiling = product.operations / product.seconds
        for peer, words, goal in (("peer", "in TF32", 5), ("peer:bf16", "with autocast", 3)):
            times = rows[peer].seconds / ours.seconds
            lines.append(
                (f"{goal} times a CycleGAN-style loop {words}", f"{name}, {best}", f"{times:.2f}", times >= goal)
            )
        share = operations / ours.seconds / ceiling
        lines.append(("45 % of a bf16 matrix product", f"{name}, {best}", f"{share:.0%}", share >= 0.45))
        images = EPOCHS * COHORTS[name].pairs * COHORTS[name].pretrainings
        hours += images / ours.speed / 3600
        batch = ours.speed * ours.seconds
        floor += images / batch * operations / ceiling / 3600
    print("\n| goal | where | measured | reached |\n|---|---|---|---|")
    for one_line in lines:
        line(*one_line)
    line(
        "under 5 hours of pre-training",
        "both cohorts",
        f"{hours:.1f} h, {floor:.1f} h at the product's rate",
        hours < 5,
    )


if __name__ == "__main__":
    main()
