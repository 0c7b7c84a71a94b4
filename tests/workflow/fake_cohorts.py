"""Trees of empty files in the official layouts, for dry runs: `python fake_cohorts.py FOLDER`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from mcd.cohorts import brats2018, hecktor2020

PATIENTS = {"hecktor": 201, "brats": 210}
"""Of the paper (Sec. V)."""

DECATHLON = {
    "Task01_BrainTumour": (484, ["FLAIR", "T1w", "t1gd", "T2w"], ["edema", "non-enhancing tumor", "enhancing tumour"]),
    "Task05_Prostate": (32, ["T2", "ADC"], ["PZ", "TZ"]),
}
"""Folder -> labelled patients, channels, labels, as its `dataset.json` says."""


def make(folder: Path, patients: Mapping[str, int] = PATIENTS) -> None:
    """Write `folder`/hecktor and `folder`/brats with so many patients, and `folder`/data with the Decathlon's."""
    for layout, name in ((hecktor2020, "hecktor"), (brats2018, "brats")):
        for number in range(patients[name]):
            subject = layout.files(folder / name, f"P{number:03d}")
            for path in (*subject.images.values(), subject.label):
                assert path is not None
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    for name, (count, channels, labels) in DECATHLON.items():
        place = folder / "data" / name
        entries = [
            {part: f"./{part}sTr/P{number:03d}.nii.gz" for part in ("image", "label")} for number in range(count)
        ]
        for path in (place / file for entry in entries for file in entry.values()):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        numbered = (dict(enumerate(names)) for names in (channels, ["background", *labels]))
        content = {**dict(zip(("modality", "labels"), numbered, strict=True)), "training": entries}
        (place / "dataset.json").write_text(json.dumps(content))
    box = (0.0, 144.0, 0.0, 144.0, 0.0, 144.0)
    hecktor2020.write_boxes(
        {f"P{number:03d}": box for number in range(patients["hecktor"])}, folder / "hecktor" / hecktor2020.BOXES
    )


if __name__ == "__main__":
    make(Path(sys.argv[1]))
