"""Cohorts of raw files."""

import argparse
from collections.abc import Callable
from pathlib import Path

SHOWN = 15
"""Most rows of a table on the terminal."""


def add_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare this module's commands by `command(name, function, help)`."""
    sub = command("simulate", _simulate, "Write a simulated cohort's raw files in an official layout.")
    sub.add_argument("layout", choices=["brats2018", "hecktor2020"])
    sub.add_argument("folder", type=Path)
    sub.add_argument("--subjects", type=int, default=4)
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--noise", type=float, default=1.0, help="factor on the scanners' noise")

    sub = command(
        "grouping", _grouping, "Rank the ways to pair modalities by how different they look (paper Sec. V-C)."
    )
    source = sub.add_mutually_exclusive_group(required=True)
    source.add_argument("--shards", type=Path, nargs="+", help="of one cohort")
    source.add_argument("--subjects", type=Path, help="a folder of preprocessed patients, each a folder")
    sub.add_argument("--split", type=Path, help="look at its training patients only")
    sub.add_argument("--modalities", nargs="+", help="default: all")
    sub.add_argument("--output", type=Path, help="CSV of all pairings")


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


def _grouping(options: argparse.Namespace) -> None:
    import pandas as pd
    from tqdm import tqdm

    from mcd.evaluation.grouping import explain, rank_pairings
    from mcd.files import atomic_path
    from mcd.slices.volumes import preprocessed_volumes, shard_volumes

    volumes = shard_volumes if options.shards else preprocessed_volumes
    patients = volumes(options.shards or options.subjects, options.split, options.modalities)
    table = rank_pairings(tqdm(patients, unit="patient", leave=False))
    if options.output:
        with atomic_path(options.output) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
    with pd.option_context("display.float_format", "{:.3f}".format, "display.width", None):
        print(table.drop(columns=["ci_low", "ci_high"]).head(SHOWN).fillna("").to_string(index=False))
    if len(table) > SHOWN:
        print(f"... and {len(table) - SHOWN} more" + ("" if options.output else "; --output FILE writes them all"))
    print(f"\n{explain(table)}")
