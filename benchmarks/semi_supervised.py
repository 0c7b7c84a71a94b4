"""What semi-supervised methods gain over their controls, on patients whom no study is judged by.

    snakemake --configfile configs/study_choice.yaml --directory runs/study_choice --cores 2 shards
    python benchmarks/semi_supervised.py --config configs/study_choice.yaml --run runs/study_choice \\
        --output runs/semi_supervised

fine-tunes once for each method, seed, draw of the labelled patients, modality and label ratio, for as many steps as show each
as many labelled slices with a target (`mcd.segmentation.length`), and prints a Markdown table: the mean DSC of the cohort's
test patients by column, and the mean of the paired differences from the method's control, which learns from the same labelled
slices and from no others, with its 95 % interval over seeds and patients (a seed's draws are averaged). Goes on where it was
stopped.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product

import numpy as np
from tqdm import tqdm
from transfer_variations import Finetuning, gain, heads, parser, place_of, trained

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


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--methods", nargs="+", choices=CONTROLS, default=list(CONTROLS), metavar="NAME")
    options.add_argument("--steps", type=float, default=1.0, help="length, as a multiple of the configuration's")
    arguments = options.parse_args()
    place = place_of(arguments)
    length = Finetuning(f"{arguments.steps:g} times the steps", steps=arguments.steps)
    seeds = place.config.seeds
    methods = list(
        dict.fromkeys(["fully_supervised", *(CONTROLS[method] for method in arguments.methods), *arguments.methods])
    )
    with ProcessPoolExecutor(arguments.processes, multiprocessing.get_context("spawn")) as pool:
        jobs = {
            (method, seed): pool.submit(trained, place, "", length, seed, method)
            for seed, method in product(seeds, methods)
        }
        for job in tqdm(as_completed(jobs.values()), total=len(jobs), unit="method"):
            job.result()
    found = {method: np.array([jobs[method, seed].result() for seed in seeds], dtype=np.float64) for method in methods}
    names = heads(place)
    print(f"{len(seeds)} seeds with {place.config.label_draws} draws each\n")
    print(f"| method | {' | '.join(names)} | compared with | gain | better |\n{'|---' * (len(names) + 4)}|")
    for method in methods:
        cells = [f"{value:.3f}" for value in found[method].mean((0, 1, 3))]
        control = CONTROLS.get(method)
        cells += [control, gain(found[method] - found[control])] if control else ["", "", ""]
        print(f"| {method} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
