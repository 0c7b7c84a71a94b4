"""Cohorts of raw files."""

import argparse
from collections.abc import Callable
from pathlib import Path


def add_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare this module's commands by `command(name, function, help)`."""
    sub = command("simulate", _simulate, "Write a simulated cohort's raw files in an official layout.")
    sub.add_argument("layout", choices=["brats2018", "hecktor2020"])
    sub.add_argument("folder", type=Path)
    sub.add_argument("--subjects", type=int, default=4)
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--noise", type=float, default=1.0, help="factor on the scanners' noise")


def _simulate(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from mcd.cohorts import hecktor2020
    from mcd.cohorts.find import simulated_subjects
    from mcd.cohorts.simulated.head_neck import bounding_box
    from mcd.cohorts.simulated.write import write_brain, write_head_neck

    brain = options.layout == "brats2018"
    modalities = ["T1", "T1CE", "T2", "FLAIR"] if brain else ["CT", "PET"]
    subjects = simulated_subjects(options.layout, options.folder, modalities, options.subjects)
    for subject in tqdm(subjects, unit="patient"):
        files = {name: str(path) for name, path in {**subject.images, "label": subject.label}.items()}
        (write_brain if brain else write_head_neck)(
            files, subject.id, seed=options.seed, noise=options.noise, spacing={}
        )
    if not brain:
        boxes = {subject.id: bounding_box(subject.id, seed=options.seed) for subject in subjects}
        hecktor2020.write_boxes(boxes, options.folder / hecktor2020.BOXES)
