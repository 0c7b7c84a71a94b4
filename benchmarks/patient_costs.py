"""What a patient costs before training, at the paper's size: a core's seconds, memory and disk of each rule's work.

    python benchmarks/patient_costs.py FOLDER

simulates a patient of either cohort at the official spacing, preprocesses it as configs/paper.yaml says, draws it, writes a
shard of 16 copies, and reads that shard as a pre-training does. Each step is a process of its own. Prints a Markdown table.
"""

import argparse
import multiprocessing
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from mcd.cohorts import LAYOUTS
from mcd.config import load_config

PER_SHARD = 16


def simulate(layout: str, folder: Path) -> None:
    from mcd.simulation.write import write_brain, write_head_neck

    subject = LAYOUTS[layout].files(folder / "raw", "P")
    files = {**subject.images, "label": subject.label}
    for path in files.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    write = write_brain if layout == "brats2018" else write_head_neck
    write({name: str(path) for name, path in files.items()}, "P", seed=0, noise=1.0, spacing={})


def preprocess(layout: str, folder: Path, modalities: list[str], options: dict[str, Any]) -> None:
    from dataclasses import replace

    from mcd.imaging.preprocess import PreprocessOptions, preprocess_subject, write_preprocessed
    from mcd.simulation.head_neck.patient import bounding_box

    subject = LAYOUTS[layout].files(folder / "raw", "P")
    box = bounding_box("P", seed=0) if layout == "hecktor2020" else None
    subject = replace(subject, images={name: subject.images[name] for name in modalities}, box=box)
    write_preprocessed(preprocess_subject(subject, PreprocessOptions(**options)), folder / "subject")


def draw(folder: Path) -> None:
    from mcd.imaging.qc import draw_qc

    draw_qc(folder / "subject", folder / "qc.png")


def shard(folder: Path) -> None:
    from mcd.slices.write_shards import write_shard

    write_shard(folder / "0.h5", {f"P{number:02d}": folder / "subject" for number in range(PER_SHARD)})


def read(folder: Path, pair: list[str]) -> None:
    from mcd.slices.batches import SliceSet
    from mcd.slices.shards import Shards

    with Shards([folder / "0.h5"]) as shards:
        SliceSet(shards, [f"P{number:02d}" for number in range(PER_SHARD)], pair)


def _measured(queue: Any, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    started = time.monotonic()
    function(*arguments)
    used = resource.getrusage(resource.RUSAGE_SELF)
    queue.put((used.ru_utime + used.ru_stime, time.monotonic() - started, used.ru_maxrss / 1024))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    base = parser.parse_args().folder
    config = load_config(yaml.safe_load((Path(__file__).parents[1] / "configs/paper.yaml").read_text()))
    processes = multiprocessing.get_context("spawn")  # each starts as a job does, and its peak of memory is its own
    print("| cohort | step | core seconds | wall seconds | peak MB | writes MB |\n|---|---|---|---|---|---|")
    for name, cohort in config.cohorts.items():
        folder = base / name
        shutil.rmtree(folder, ignore_errors=True)
        steps: list[tuple[str, Callable[..., None], tuple[Any, ...], str]] = [
            ("simulate a patient", simulate, (cohort.layout, folder), "raw"),
            (
                "`preprocess_subject`",
                preprocess,
                (cohort.layout, folder, cohort.modalities, cohort.preprocessing.model_dump()),
                "subject",
            ),
            ("`draw_qc`", draw, (folder,), "qc.png"),
            (f"`write_shard`, {PER_SHARD} patients", shard, (folder,), "0.h5"),
            (f"hold {PER_SHARD} patients' pairs", read, (folder, cohort.pairs[0].split("-")), ""),
        ]
        for label, function, arguments, made in steps:
            queue = processes.Queue()
            process = processes.Process(target=_measured, args=(queue, function, arguments))
            process.start()
            process.join()
            cpu, wall, memory = queue.get(timeout=1)
            path = folder / made
            files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file() and made]
            size = sum(each.stat().st_size for each in files) / 1e6
            print(f"| {name} | {label} | {cpu:.1f} | {wall:.1f} | {memory:.0f} | {size:.1f} |", flush=True)


if __name__ == "__main__":
    main()
