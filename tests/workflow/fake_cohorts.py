"""Trees of empty files in the official layouts, for dry runs: `python fake_cohorts.py FOLDER`."""

import sys
from collections.abc import Mapping
from pathlib import Path

from mcd.cohorts import brats2018, hecktor2020

PATIENTS = {"hecktor": 201, "brats": 210}
"""Of the paper (Sec. V)."""


def make(folder: Path, patients: Mapping[str, int] = PATIENTS) -> None:
    """Write `folder`/hecktor and `folder`/brats with so many patients."""
    for layout, name in ((hecktor2020, "hecktor"), (brats2018, "brats")):
        for number in range(patients[name]):
            subject = layout.files(folder / name, f"P{number:03d}")
            for path in (*subject.images.values(), subject.label):
                assert path is not None
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    box = (0.0, 144.0, 0.0, 144.0, 0.0, 144.0)
    hecktor2020.write_boxes(
        {f"P{number:03d}": box for number in range(patients["hecktor"])}, folder / "hecktor" / hecktor2020.BOXES
    )


if __name__ == "__main__":
    make(Path(sys.argv[1]))
