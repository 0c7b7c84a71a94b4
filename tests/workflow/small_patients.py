"""Seven small patients in files of their own, the sheet that lists them, and a configuration that trains next to nothing."""

import json
from pathlib import Path
from typing import Any

from mcd.imaging.geometry import Grid
from mcd.imaging.write_volume import write_volume
from mcd.testing.cohort import tiny_subject

CONFIGURATION = {
    "cohorts": {
        "mine": {
            "layout": "samplesheet",
            "modalities": ["A", "B"],
            "pairs": ["A-B"],
            "regions": {"core": [1], "whole": [1, 2]},
            "preprocessing": {"size": [32, 32], "spacing": [1, 1, 2]},
            "test": 2,
            "batch_size": {"pretraining": 4, "finetuning": {0.5: 4}},
        }
    },
    "methods": ["fully_supervised", "mt", "multi_condos"],
    "label_ratios": [1.0],
    "full_ratios": [],
    "curve_ratios": [0.5],
    "filters": 2,
    "pretraining": {"epochs": 1, "steps_per_epoch": 1},
    "finetuning": {"epochs": 1, "steps_per_epoch": 1, "warmup_epochs": 0},
    "algorithms": {"dsgan": {"discriminator_filters": 2}},
    "compute": {"device": "cpu"},
}


def make_scans(folder: Path) -> Path:
    """Write each patient's two modalities and label; return the folder."""
    for number in range(7):
        made = tiny_subject(number)
        grid = Grid.from_json(made.info["grid"])
        for name, volume in made.volumes.items():
            write_volume(grid.image(volume), folder / f"p{number}_{name}.nii.gz")
        assert made.label is not None
        write_volume(grid.image(made.label), folder / f"p{number}_label.nii.gz")
    return folder


def write_configuration(folder: Path, scans: Path, labelled: int, **changes: Any) -> str:
    """A sheet in which the first so many have a label and odd ones are of the north, and its configuration, whose path is
    returned.
    """
    rows = ["subject\tA\tB\tlabel\tcentre"]
    for number in range(7):
        label = f"p{number}_label.nii.gz" if number < labelled else ""
        centre = "north" if number % 2 else "south"
        rows.append(f"p{number}\tp{number}_A.nii.gz\tp{number}_B.nii.gz\t{label}\t{centre}")
    (folder / "sheet.tsv").write_text("\n".join(rows) + "\n")
    config = {**json.loads(json.dumps(CONFIGURATION)), **changes}
    config["cohorts"]["mine"] |= {"sheet": str(folder / "sheet.tsv"), "folder": str(scans)}
    (folder / "mine.yaml").write_text(json.dumps(config))
    return str(folder / "mine.yaml")
