"""How the work grows, from raw files to Table II: processor seconds of small runs, each with more of one thing.

    python benchmarks/growth.py FOLDER [--axes patients slices modalities methods draws filters] [--figure growth.png]

Every run simulates its patients in FOLDER/<axis><factor> and runs the workflow in two parts: to the shards, then to the table.
A run that was measured is read from FOLDER/growth.json, so that the script can be stopped. Since a run has a fixed price
(Snakemake, starts of torch), what counts is how what is added grows: of factors 1, 3 and 9, the slope is log3 of
(cost(9) - cost(3)) / (cost(3) - cost(1)): 1 where what is added grows in proportion, 2 where it grows with the square.
"""

import argparse
import json
import math
import os
import resource
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from mcd.files import write_json
from mcd.reporting.figures.style import AUXILIARY, BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY_BLUE, VERMILLION, house_style

ROOT = Path(__file__).parents[1]
PARTS = {"raw to shards": "shards", "shards to table": "results/table2.csv"}
MODALITIES = ["T2", "FLAIR", "T1CE", "T1"]
METHODS = ["fully_supervised", "rotation", "jigsaw", "exemplar", "simclr", "byol", "swav", "gl", "mt"]
FACTORS: dict[str, tuple[int, ...]] = dict.fromkeys(("patients", "slices", "methods", "draws", "filters"), (1, 3, 9))
FACTORS["modalities"] = (1, 2, 4)  # a brain has no more
Found = dict[str, dict[int, dict[str, float]]]
"""Axis -> factor -> part -> processor seconds."""

COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY_BLUE)


def configuration(axis: str, factor: int) -> dict[str, Any]:
    """The first run, with `factor` times as much of one thing."""
    times = dict.fromkeys(FACTORS, 1) | {axis: factor}
    return {
        "cohorts": {
            "brats": {
                "layout": "brats2018",
                "simulate": {"subjects": 8 * times["patients"], "seed": 0, "spacing": {"MR": [4.0, 4.0, 4.0]}},
                "modalities": MODALITIES[: times["modalities"]],
                "pairs": [],
                "regions": {"WT": [1, 2, 4], "TC": [1, 4], "ET": [4]},
                "preprocessing": {"size": [32, 32], "spacing": [5.0, 5.0, 9.0 / times["slices"]]},
                "test": 0.25,
                "batch_size": {"pretraining": 8, "finetuning": {0.5: 8}},
            }
        },
        "methods": METHODS[: times["methods"]],
        "label_ratios": [0.5],
        "full_ratios": [],
        "label_draws": times["draws"],
        "filters": 4 * times["filters"],
        "pretraining": {"epochs": 2},
        "finetuning": {"epochs": 10, "learning_rate": 0.005, "warmup_epochs": 1},
        "compute": {"device": "cpu", "threads": 1},
    }


def measure(folder: Path, settings: dict[str, Any]) -> dict[str, float]:
    """Processor seconds of each part of a run, with everything that it starts."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    seconds = {}
    for part, target in PARTS.items():
        line = [sys.executable, "-m", "snakemake", target, "--cores", "1", "--quiet"]
        line += ["--configfile", str(folder / "config.yaml"), "--directory", str(folder)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(line, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr[-3000:])
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds[part] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    shutil.rmtree(folder)
    return seconds


def slope(factors: tuple[int, ...], costs: list[float]) -> float:
    """The exponent with which what is added grows from step to step."""
    added = [later - earlier for earlier, later in pairwise(costs)]
    ratio = factors[1] / factors[0]
    return math.log(added[1] / added[0]) / math.log(ratio) if min(added) > 0 else 0.0


@house_style()
def draw(found: Found, path: Path) -> None:
    """Each part's cost against the factor, both relative to the first run, beside the line of what grows in proportion."""
    figure = Figure(figsize=(7.1, 2.8), layout="constrained")
    for axis, part in zip(figure.subplots(1, len(PARTS), sharey=True), PARTS, strict=True):
        axis.plot([1, 9], [1, 9], color=AUXILIARY, linestyle=":", label="in proportion")
        for colour, (name, runs) in zip(COLOURS, found.items(), strict=False):
            factors, costs = tuple(runs), [seconds[part] for seconds in runs.values()]
            label = f"{name}: {slope(factors, costs):.1f}"
            axis.plot(factors, [cost / costs[0] for cost in costs], marker="o", color=colour, label=label)
        axis.set(xscale="log", yscale="log", title=part, xlabel="times as many")
        for ticks in (axis.xaxis, axis.yaxis):
            ticks.set_major_locator(FixedLocator([1, 2, 3, 4, 9, 27]))
            ticks.set_major_formatter("{x:g}")
            ticks.set_minor_locator(NullLocator())
        axis.legend(title="slope of what is added")
    figure.axes[0].set_ylabel("times the processor seconds", color=BLACK)
    figure.savefig(path, dpi=200)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--axes", nargs="+", choices=list(FACTORS), default=list(FACTORS))
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    kept = arguments.folder / "growth.json"
    measured: dict[str, dict[str, float]] = json.loads(kept.read_text()) if kept.exists() else {}
    found: Found = {}
    for axis in arguments.axes:
        for factor in FACTORS[axis]:
            name = f"{axis}{factor}" if factor > 1 else "first"
            if name not in measured:
                measured[name] = measure((arguments.folder / name).resolve(), configuration(axis, factor))
                write_json(kept, measured)
            found.setdefault(axis, {})[factor] = measured[name]
    print("| | part | first | more | still more | slope |\n" + "|---" * 6 + "|")
    for axis, runs in found.items():
        for part in PARTS:
            costs = [seconds[part] for seconds in runs.values()]
            cells = [f"{cost:.0f}" for cost in costs] + [f"{slope(tuple(runs), costs):.2f}"]
            print(f"| {axis}, {' '.join(map(str, runs))} | {part} | {' | '.join(cells)} |")
    if arguments.figure:
        draw(found, arguments.figure)


if __name__ == "__main__":
    main()
