"""How the work grows from raw files to Table II: processor seconds of each stage, each time with more of one thing.

    python benchmarks/growth.py FOLDER [--axes patients slices modalities methods draws filters] [--figure growth.png]

A first run simulates eight patients with one modality and trains one small network; each other has 3 or 9 times as much of one
thing (modalities: 2 and 4, a brain has no more). All stages run in this process, as the workflow's jobs would, one after the
other, so that nothing is measured but their work: what Snakemake takes is in benchmarks/dag_building.py, the starts of jobs in
benchmarks/job_starts.py. A slope is that of the line through the logarithms: 0 for what does not grow, 1 for what grows in
proportion, 2 for what grows with the square. Runs that were measured are kept in FOLDER/growth.json.
"""

import argparse
import json
import logging
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from mcd import plan
from mcd.cohorts.simulated import patient_files, write_patient
from mcd.config import Config, load_config
from mcd.files import write_json
from mcd.imaging.preprocess import preprocess_subject, write_preprocessed
from mcd.methods import METHODS
from mcd.prediction.run import predict_test
from mcd.prediction.score import score_predictions
from mcd.pretraining.run import pretrain
from mcd.reporting.figures.style import (
    AUXILIARY,
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    VERMILLION,
    house_style,
)
from mcd.reporting.tables.score_tables import write_table
from mcd.segmentation.run import finetune
from mcd.slices.splits import draw_labels, make_split, write_split
from mcd.slices.write_shards import write_shard

COHORT = "brats"
MODALITIES = ["T2", "FLAIR", "T1CE", "T1"]
TRAINED = ["simclr", "fully_supervised", "rotation", "jigsaw", "exemplar", "byol", "swav", "gl", "mt"]
FACTORS: dict[str, tuple[int, ...]] = {
    "patients": (1, 3, 9),
    "slices": (1, 3, 9),
    "modalities": (1, 2, 4),
    "methods": (1, 3, 9),
    "draws": (1, 3, 9),
    "filters": (1, 3, 9),
}
STAGES = {
    "simulate": AUXILIARY,
    "preprocess": ORANGE,
    "shards": SKY_BLUE,
    "pre-train": BLUE,
    "fine-tune": VERMILLION,
    "predict and score": GREEN,
    "table": PURPLE,
}
Seconds = dict[str, float]
"""Stage -> processor seconds."""


def configuration(axis: str, factor: int) -> Config:
    """The first run's, with `factor` times as much of one thing."""
    times = dict.fromkeys(FACTORS, 1) | {axis: factor}
    cohort = {
        "layout": "brats2018",
        "simulate": {"subjects": 8 * times["patients"], "spacing": {"MR": [4.0, 4.0, 4.0]}},
        "modalities": MODALITIES[: times["modalities"]],
        "pairs": [],
        "regions": {"WT": [1, 2, 4], "TC": [1, 4], "ET": [4]},
        "preprocessing": {"size": [32, 32], "spacing": [5.0, 5.0, 9.0 / times["slices"]]},
        "test": 0.25,
        "batch_size": {"pretraining": 8, "finetuning": {0.5: 8}},
    }
    return load_config(
        {
            "cohorts": {COHORT: cohort},
            "methods": TRAINED[: times["methods"]],
            "label_ratios": [0.5],
            "full_ratios": [],
            "label_draws": times["draws"],
            "filters": 4 * times["filters"],
            "pretraining": {"epochs": 2},
            "finetuning": {"epochs": 5, "learning_rate": 0.005, "warmup_epochs": 1},
            "compute": {"device": "cpu"},
        }
    )


def measure(config: Config, folder: Path) -> Seconds:
    """What every stage of a run takes."""
    seconds: Seconds = defaultdict(float)

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        started = time.process_time()
        yield
        seconds[name] += time.process_time() - started

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    cohort = config.cohorts[COHORT]
    assert cohort.simulate is not None
    subjects = plan.patients(config, COHORT, folder / "raw")
    folders = {subject.id: folder / "subjects" / subject.id for subject in subjects}
    settings = cohort.simulate.model_dump(include={"seed", "noise", "spacing"})
    for subject in subjects:
        with stage("simulate"):
            write_patient(
                cohort.layout, patient_files(cohort.layout, folder / "raw", subject.id), subject.id, **settings
            )
        with stage("preprocess"):
            write_preprocessed(preprocess_subject(subject, cohort.preprocessing), folders[subject.id])
    shards = [folder / f"{number}.h5" for number in range(-(-len(subjects) // cohort.subjects_per_shard))]
    splits = [folder / f"draw{draw}.json" for draw in range(config.label_draws)]
    with stage("shards"):
        for number, shard in enumerate(shards):
            first = number * cohort.subjects_per_shard
            names = list(folders)[first : first + cohort.subjects_per_shard]
            write_shard(shard, {name: folders[name] for name in names})
        split = make_split(plan.origin(config, COHORT, subjects), 0)
        for draw, path in enumerate(splits):
            write_split(draw_labels(split, COHORT, 0, draw) if draw else split, path)
    scores: list[Path] = []
    for run in plan.configured_runs(config):
        data: dict[str, Any] = {"shards": shards, "split": splits[run.draw]}
        made = METHODS[run.method].pretraining
        pretrained = folder / f"{made}-{run.modality}.pt" if made else None
        if made and pretrained and not pretrained.exists():
            with stage("pre-train"):
                task = plan.pretraining_task(config, COHORT, plan.pretrained_on(config, run), made, run.seed)
                pretrain(task, shards=shards, split=splits[0], output=pretrained, compute=config.compute)
        model, predictions = folder / "model.pt", folder / "predictions.h5"
        with stage("fine-tune"):
            of_run = plan.finetuning_task(config, COHORT, run.method, run.modality, run.ratio, run.seed)
            finetune(of_run, **data, pretrained=pretrained, output=model, compute=config.compute)
        scores.append(folder / f"scores{len(scores)}.csv")
        columns: dict[str, Any] = {"cohort": COHORT, "pair": run.pair, "modality": run.modality, "method": run.method}
        columns |= {"label_ratio": run.ratio, "seed": run.seed, "draw": run.draw}
        with stage("predict and score"):
            predict_test(**data, model=model, predictions=predictions, compute=config.compute)
            score_predictions(**data, predictions=predictions, scores=scores[-1], columns=columns)
    with stage("table"):
        table = plan.comparisons(config)["table2"]
        written = (folder / f"table{ending}" for ending in (".csv", "_long.csv", ".html", ".json"))
        write_table(scores, table.spec, *written)
    shutil.rmtree(folder)
    return dict(seconds)


def slope(factors: list[int], costs: list[float]) -> float:
    """Of the line through the logarithms."""
    return float(np.polyfit(np.log(factors), np.log(costs), 1)[0])


@house_style()
def draw(found: dict[str, dict[int, Seconds]], path: Path) -> None:
    """A panel for each axis: every stage's cost against the factor, both relative to the first run."""
    figure = Figure(figsize=(7.1, 4.4), layout="constrained")
    panels = figure.subplots(2, 3, sharey=True).flat
    for panel, (axis, runs) in zip(panels, found.items(), strict=False):
        factors = list(runs)
        panel.plot(factors, factors, color=BLACK, linestyle=":", label="in proportion")
        for stage, colour in STAGES.items():
            costs = [run[stage] for run in runs.values()]
            relative = [cost / costs[0] for cost in costs]
            panel.plot(factors, relative, marker="o", color=colour, label=stage)
        panel.set(xscale="log", yscale="log", title=f"{axis} (times as many)")
        for ticks in (panel.xaxis, panel.yaxis):
            ticks.set_major_locator(FixedLocator([1, 2, 3, 4, 9, 27, 81]))
            ticks.set_major_formatter("{x:g}")
            ticks.set_minor_locator(NullLocator())
    figure.supylabel("times the processor seconds", size="medium")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=200)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--axes", nargs="+", choices=list(FACTORS), default=list(FACTORS))
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    logging.disable()
    kept = arguments.folder / "growth.json"
    measured: dict[str, Seconds] = json.loads(kept.read_text()) if kept.exists() else {}
    found: dict[str, dict[int, Seconds]] = {}
    for axis in arguments.axes:
        for factor in FACTORS[axis]:
            name = f"{axis}{factor}" if factor > 1 else "first"
            if name not in measured:
                if name == "first":
                    measure(
                        configuration(axis, factor), arguments.folder / "warm"
                    )  # the first of everything takes longer
                measured[name] = measure(configuration(axis, factor), arguments.folder / name)
                write_json(kept, measured)
            found.setdefault(axis, {})[factor] = measured[name]
    print(f"| slope with | {' | '.join(STAGES)} | all |\n" + "|---" * (len(STAGES) + 2) + "|")
    for axis, runs in found.items():
        costs = [[run[stage] for run in runs.values()] for stage in STAGES]
        cells = [
            f"{slope(list(runs), of_stage):.2f}"
            for of_stage in [*costs, [sum(each) for each in zip(*costs, strict=True)]]
        ]
        print(f"| {axis}, {', '.join(map(str, runs))} | {' | '.join(cells)} |")
    first = [f"{measured['first'][stage]:.2f}" for stage in STAGES]
    print(f"| seconds, first run | {' | '.join(first)} | {sum(measured['first'].values()):.1f} |")
    if arguments.figure:
        draw(found, arguments.figure)


if __name__ == "__main__":
    main()
