"""The index of a cohort: what was found of the raw files, one TSV row per patient.

Columns: subject, one for each modality, label, mask, box (six numbers joined by spaces), split; an empty cell is
"none". A file below the index's own folder is written relative to it, so that a working folder can be moved; others are
absolute. An index therefore reads as a sample sheet too.
"""

import csv
import os
from pathlib import Path

from mcd.cohorts.samplesheet import read_rows
from mcd.errors import McdError
from mcd.files import atomic_path
from mcd.subject import RESERVED, Subject


def write_index(subjects: list[Subject], path: str | Path) -> None:
    """Write one row per patient, in the order given. All patients must have the same modalities (`McdError`)."""
    if not subjects:
        raise McdError(f"{path}: a cohort without patients has no index; check the cohort's folder")
    modalities = list(subjects[0].images)
    base = os.path.abspath(Path(path).parent)

    def cell(file: Path | None) -> str:
        if file is None:
            return ""
        absolute = os.path.abspath(file)
        return os.path.relpath(absolute, base) if absolute.startswith(base + os.sep) else absolute

    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(["subject", *modalities, "label", "mask", "box", "split"])
        for subject in subjects:
            if list(subject.images) != modalities:
                raise McdError(f"{path}: {subject.id} has {list(subject.images)}, the first patient has {modalities}")
            images = [cell(subject.images[modality]) for modality in modalities]
            box = " ".join(str(float(side)) for side in subject.box or ())
            writer.writerow([subject.id, *images, cell(subject.label), cell(subject.mask), box, subject.split or ""])


def read_index(path: str | Path) -> list[Subject]:
    """Return the patients of an index; their files are not looked for. Raises `McdError` for a malformed file."""
    path = Path(path)
    columns, rows = read_rows(path)
    modalities = [column for column in columns if column not in RESERVED]

    def file(cell: str | None) -> Path | None:
        return path.parent / cell if cell else None

    found = []
    for line, row in rows:
        images = {modality: path.parent / row[modality] for modality in modalities}
        try:
            box = tuple(float(side) for side in row.get("box", "").split()) or None
            if box is not None and len(box) != 6:
                raise ValueError("not six")
        except ValueError:
            raise McdError(f"{path}, line {line}, column box: not six numbers; regenerate the index") from None
        found.append(
            Subject(
                row["subject"], images, file(row.get("label")), file(row.get("mask")), box, row.get("split") or None
            )
        )
    return found
