"""The index of a cohort: what was found of the raw files, one TSV row per patient.

Columns: subject, one for each modality, label, mask, box (six numbers joined by spaces), split, and regions (names joined by
spaces), patient, centre and scanner where any patient has them; an empty cell is "none". A file below the index's own folder is
written relative to it, so that a working folder can be moved; others are absolute. An index therefore reads as a sample sheet
too.
"""

import csv
import os
from pathlib import Path

from mcd.cohorts.samplesheet import box_in, read_rows, regions_of
from mcd.errors import McdError
from mcd.files import atomic_path
from mcd.subject import ORIGIN, RESERVED, Subject, origin_in


def write_index(subjects: list[Subject], path: str | Path, root: str | Path | None = None) -> None:
    """Write one row per patient, in the order given. All patients must have the same modalities (`McdError`).

    With `root` a sheet: paths below it are relative to it, and what nobody has is no column.
    """
    if not subjects:
        raise McdError(f"{path}: a cohort without patients has no index; check the cohort's folder")
    modalities = list(subjects[0].images)
    fields = {"regions": "regions", **ORIGIN}
    known = {column: field for column, field in fields.items() if any(getattr(subject, field) for subject in subjects)}
    base = os.path.abspath(root if root is not None else Path(path).parent)

    def cell(file: Path | None) -> str:
        if file is None:
            return ""
        absolute = os.path.abspath(file)
        return os.path.relpath(absolute, base) if absolute.startswith(base + os.sep) else absolute

    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        rows = [["subject", *modalities, "label", "mask", "box", "split", *known]]
        for subject in subjects:
            if list(subject.images) != modalities:
                raise McdError(f"{path}: {subject.id} has {list(subject.images)}, the first patient has {modalities}")
            images = [cell(subject.images[modality]) for modality in modalities]
            box = " ".join(str(float(side)) for side in subject.box or ())
            held = {"regions": " ".join(subject.regions or ())}
            origin = [held.get(field) or getattr(subject, field) or "" for field in known.values()]
            files = [*images, cell(subject.label), cell(subject.mask)]
            rows.append([subject.id, *files, box, subject.split or "", *origin])
        if root is not None:
            used = [column[0] in modalities or any(column[1:]) for column in zip(*rows, strict=True)]
            rows = [[cell for cell, wanted in zip(row, used, strict=True) if wanted] for row in rows]
        writer.writerows(rows)


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
        box = box_in(row.get("box", ""), f"{path}, line {line}, column box")
        files = file(row.get("label")), file(row.get("mask"))
        regions = regions_of(row)
        part = row.get("split") or None
        found.append(Subject(row["subject"], images, *files, box, part, regions=regions, **origin_in(row)))
    return found
