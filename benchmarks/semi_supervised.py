"""What semi-supervised methods gain over their controls, on patients whom no study is judged by.

    snakemake --configfile configs/study_choice.yaml --directory runs/study_choice --cores 2 shards
    python benchmarks/semi_supervised.py --config configs/study_choice.yaml --run runs/study_choice \\
        --output runs/semi_supervised

fine-tunes once for each method, seed, draw of the labelled patients, modality and label ratio, for as many steps as show each
as many labelled slices with a target (`mcd.segmentation.length`), and prints a Markdown table: the mean DSC of the cohort's
test patients by column, and the mean of the paired differences from the method's control, which learns from the same labelled
slices and from no others, with its 95 % interval over trainings and patients. Goes on where it was stopped.
"""

import argparse
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from pathlib import Path

import numpy as np
import torch
import yaml
from tqdm import tqdm
from transfer_variations import Finetuning, Place, scores

from mcd import plan
from mcd.config import load_config
from mcd.evaluation.statistics import effects
from mcd.files import read_json
from mcd.pair import Pair

CONTROLS = {
    "supervised_content": "fully_supervised",
    "mt_control": "supervised_content",
    "mt": "mt_control",
    "dtml": "supervised_content",
    "sass": "supervised_content",
    "bcp": "supervised_content",
    "unimatch": "supervised_content",
}
"""A method -> what it is compared with."""


def trained(place: Place, method: str, seed: int, steps: float) -> list[list[list[float]]]:
    """DSC (draws, columns, patients) of one seed; the columns are modalities at label ratios."""
    torch.set_num_threads(1)
    length = Finetuning(f"{steps:g} times the steps", steps=steps)
    columns = list(product(place.config.label_ratios, Pair(place.pair).modalities))
    return [
        [
            read_json(scores(place, None, length, seed, draw, modality, ratio, method=method))
            for ratio, modality in columns
        ]
        for draw in range(place.config.label_draws)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="folder in which the workflow made shards and splits")
    parser.add_argument("--output", type=Path, required=True, help="folder for the scores")
    parser.add_argument("--methods", nargs="+", choices=CONTROLS, default=list(CONTROLS), metavar="NAME")
    parser.add_argument("--steps", type=float, default=1.0, help="length, as a multiple of the configuration's")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    config = load_config(yaml.safe_load(arguments.config.read_text(encoding="utf-8")))
    place = Place(config, arguments.run, arguments.output)
    methods = list(
        dict.fromkeys(["fully_supervised", *(CONTROLS[method] for method in arguments.methods), *arguments.methods])
    )
    with ProcessPoolExecutor(arguments.processes, multiprocessing.get_context("spawn")) as pool:
        jobs = {
            (method, seed): pool.submit(trained, place, method, seed, arguments.steps)
            for seed, method in product(config.seeds, methods)
        }
        for job in tqdm(as_completed(jobs.values()), total=len(jobs), unit="method"):
            job.result()
    found = {
        method: np.array([draw for seed in config.seeds for draw in jobs[method, seed].result()], dtype=np.float64)
        for method in methods
    }
    columns = product(config.label_ratios, Pair(place.pair).modalities)
    heads = [f"{plan.percent(ratio)} %, {name}" for ratio, name in columns]
    print(f"{len(found['fully_supervised'])} trainings each\n")
    print(f"| method | {' | '.join(heads)} | compared with | gain | better |\n{'|---' * (len(heads) + 4)}|")
    for method in methods:
        cells = [f"{value:.3f}" for value in found[method].mean((0, 2))]
        row = f"| {method} | {' | '.join(cells)} |"
        if method in CONTROLS:
            differences = found[method] - found[CONTROLS[method]]
            gain = effects(differences.mean(1)[:, :, None]).means()
            (low,), (high,) = gain.interval()
            better = f"{int((differences.mean((1, 2)) > 0).sum())} of {len(differences)}"
            row += f" {CONTROLS[method]} | {gain.value[0]:+.3f} ({low:+.3f} to {high:+.3f}) | {better} |"
        else:
            row += "  |  |  |"
        print(row, flush=True)


if __name__ == "__main__":
    main()
