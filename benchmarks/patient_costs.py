"""The cost of a patient before training, at the paper's size: core seconds, memory and disk space of each rule.

    python benchmarks/patient_costs.py FOLDER

simulates a patient of each cohort at the official spacing, preprocesses it as configs/paper.yaml says, draws it, writes a
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

from mcd.config import load_config

PER_SHARD = 16
PATIENT = "SIM0001"  # as `simulated_subjects` calls the first


def simulate(layout: str, folder: Path) -> None:
    from mcd.cohorts.simulated import patient_files, write_patient

    write_patient(layout, patient_files(layout, folder / "raw", PATIENT), PATIENT, seed=0, noise=1.0, spacing={})


def preprocess(layout: str, folder: Path, modalities: list[str], options: dict[str, Any]) -> None:
    from mcd.cohorts.simulated import simulated_subjects
    from mcd.imaging.options import PreprocessOptions
    from mcd.imaging.preprocess import preprocess_subject, write_preprocessed

    (subject,) = simulated_subjects(layout, folder / "raw", modalities, 1, seed=0)
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
