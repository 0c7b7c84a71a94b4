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


def make_scans(folder: Path, third: bool = False) -> Path:
    """Write each patient's two modalities, or a third, C, and label; return the folder."""
    for number in range(7):
        made = tiny_subject(number)
        if third:
            made.volumes["C"] = -made.volumes["A"]
        grid = Grid.from_json(made.info["grid"])
        for name, volume in made.volumes.items():
            write_volume(grid.image(volume), folder / f"p{number}_{name}.nii.gz")
        assert made.label is not None
        write_volume(grid.image(made.label), folder / f"p{number}_label.nii.gz")
    return folder


def write_configuration(
    folder: Path, scans: Path, labelled: int, own: dict[str, Any] | None = None, **changes: Any
) -> str:
    """A sheet in which the first so many have a label and odd ones are of the north, and its configuration, whose path is
    returned. `own`: changes of the cohort; `changes`: of the rest.
    """
    config = {**json.loads(json.dumps(CONFIGURATION)), **changes}
    cohort = config["cohorts"]["mine"]
    cohort |= {"sheet": str(folder / "sheet.tsv"), "folder": str(scans), **(own or {})}
    rows = ["\t".join(["subject", *cohort["modalities"], "label", "centre"])]
    for number in range(7):
        label = f"p{number}_label.nii.gz" if number < labelled else ""
        centre = "north" if number % 2 else "south"
        images = (f"p{number}_{modality}.nii.gz" for modality in cohort["modalities"])
        rows.append("\t".join([f"p{number}", *images, label, centre]))
    (folder / "sheet.tsv").write_text("\n".join(rows) + "\n")
    (folder / "mine.yaml").write_text(json.dumps(config))
    return str(folder / "mine.yaml")
