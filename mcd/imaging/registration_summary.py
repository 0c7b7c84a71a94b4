"""What became of a cohort's registrations, from its preprocessed folders: a table, and the patients to look at.

Apart from the registration itself: the configuration, and the workflow at its end, need no image library.
"""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mcd.files import atomic_path, read_json

REGISTRATIONS = ("off", "rigid", "affine")
"""What may be done to bring a modality onto the reference; `affine` is rigid first."""

COLUMNS = (
    "patient",
    "modality",
    "reference",
    "kind",
    "similarity_before",
    "similarity_after",
    "displacement_mm",
    "flagged",
    "problem",
)


def registrations(folders: Iterable[str | Path]) -> list[dict[str, Any]]:
    """Return one row per patient and registered modality, with the keys COLUMNS; `flagged` is 1 where there is a `problem`."""
    rows = []
    for folder in folders:
        info = read_json(Path(folder) / "info.json")
        for modality, found in info.get("registration", {}).items():
            row = {"patient": info["subject"], "modality": modality, "reference": info["modalities"][0]}
            row |= {"flagged": int(bool(found["problem"])), **found}
            rows.append({column: row[column] for column in COLUMNS})
    return rows


def write_summary(folders: Iterable[str | Path], path: str | Path) -> list[str]:
    """Write the table of a cohort's folders as CSV; return a sentence for each flagged registration."""
    rows = registrations(folders)
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return flagged(rows)


def flagged(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Return a sentence for each registration that was not taken as it came out."""
    return [
        f"{row['patient']}: {row['modality']} on {row['reference']}: {row['problem']}" for row in rows if row["flagged"]
    ]
