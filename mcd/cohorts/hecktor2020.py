"""The official layout of HECKTOR 2020: `<id>/<id>_{ct,pt,ct_gtvt}.nii.gz` beside one CSV of bounding boxes.

The CSV has the columns PatientID, x1, x2, y1, y2, z1, z2: a box of 144 mm a side in mm, in LPS world coordinates.
It lies in the cohort's folder or in the folder above.
"""

import csv
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path

from mcd.cohorts.layout import Fault, Layout, Simulator, choose_modalities, faults, patients_by_name, refuse
from mcd.errors import McdError
from mcd.files import atomic_path
from mcd.paths import read_text
from mcd.subject import Subject

MODALITIES = ("CT", "PET")
BOXES = "hecktor2020_bounding_boxes.csv"  # the name that we write; any single *bbox* or *bounding* CSV is read
_ENDINGS = {"CT": "ct", "PET": "pt", "label": "ct_gtvt"}
_COLUMNS = ("x1", "x2", "y1", "y2", "z1", "z2")


def files(folder: Path, subject_id: str) -> Subject:
    """Return where the files of one patient are by convention, existing or not (without the box, a row of the CSV)."""
    images = {modality: _file(folder, subject_id, modality) for modality in MODALITIES}
    return Subject(subject_id, images, label=_file(folder, subject_id, "label"))


def _file(folder: Path, subject_id: str, what: str) -> Path:
    return Path(folder) / subject_id / f"{subject_id}_{_ENDINGS[what]}.nii.gz"


def subjects(folder: Path, modalities: list[str] | None = None, fault: Fault = refuse) -> list[Subject]:
    """Return every patient of `folder`, sorted by id; a patient without a `ct_gtvt` file has no label.

    Raises `McdError` when there is no patient, when one lacks a modality, or when one has no box in the CSV; the
    latter two by way of `fault`.
    """
    folder = Path(folder)
    chosen = choose_modalities(modalities, MODALITIES, "hecktor2020")
    patients = sorted(
        path.name
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.is_dir() and any(path.glob(f"{path.name}_*.nii.gz"))
    )
    if not patients:
        raise McdError(
            f"{folder}: no <id>/<id>_ct.nii.gz in it; give the folder of HECKTOR 2020 that holds the patients"
        )
    table = boxes_csv(folder)
    boxes = read_boxes(table, fault)
    found = patients_by_name(patients, partial(_file, folder), chosen, fault)
    return [with_box(replace(one, centre=centre_of(one.id)), boxes, table, fault) for one in found]


def with_box(patient: Subject, boxes: Mapping[str, tuple[float, ...]], table: Path, fault: Fault) -> Subject:
    """Return a patient with its row of the CSV; `McdError` by way of `fault` where it has none."""
    if patient.id not in boxes:
        fault(McdError(f"{table}: no row for PatientID {patient.id}; add its box or remove the patient"), patient.id)
    return replace(patient, box=boxes.get(patient.id))


def centre_of(identifier: str) -> str | None:
    """Return the centre with whose letters an id begins: CHUS of CHUS001, MDA of MDA-010."""
    letters = re.match(r"CH[A-Z]{2}(?=\d)|[A-Z]+(?=-)", identifier)
    return letters[0] if letters else None


def read_boxes(table: Path, fault: Fault = refuse) -> dict[str, tuple[float, ...]]:
    """Return (x1, x2, y1, y2, z1, z2) in mm by patient. Raises `McdError` for a missing column; a row goes to `fault`."""
    boxes: dict[str, tuple[float, ...]] = {}
    try:
        rows = csv.DictReader(StringIO(read_text(table), newline=""), strict=True)
        for column in ("PatientID", *_COLUMNS):
            if column not in (rows.fieldnames or ()):
                raise McdError(f"{table}: no column {column}; the header is PatientID,{','.join(_COLUMNS)}")
        for row in rows:
            identifier = (row["PatientID"] or "").strip()
            where = f"{table}, line {rows.line_num}"
            with faults(fault, identifier):
                if identifier in boxes:
                    raise McdError(f"{where}: PatientID {identifier} appears twice; keep one row per patient")
                boxes[identifier] = _box(row, where)
    except csv.Error as error:
        raise McdError(f"{table}: not a CSV file ({error}); save it again") from None
    return boxes


def _box(row: Mapping[str, str], where: str) -> tuple[float, ...]:
    try:
        box = tuple(float(row[column]) for column in _COLUMNS)
        if not all(map(math.isfinite, box)):
            raise ValueError("not finite")
    except (TypeError, ValueError):
        raise McdError(
            f"{where}: the box of {row['PatientID']} is not six numbers; give {', '.join(_COLUMNS)} in mm"
        ) from None
    if not all(low < high for low, high in zip(box[::2], box[1::2], strict=True)):
        raise McdError(f"{where}: the box of {row['PatientID']} is empty; x1 < x2, y1 < y2 and z1 < z2 must hold")
    return box


def write_boxes(boxes: Mapping[str, tuple[float, ...]], table: Path) -> None:
    """Write the CSV that `read_boxes` reads."""
    with atomic_path(table) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("PatientID", *_COLUMNS))
        writer.writerows((identifier, *box) for identifier, box in boxes.items())


def boxes_csv(folder: Path, named: str = BOXES) -> Path:
    """The bounding-box CSV beside the patients: the conventional name, else any single *bbox* or *bounding* CSV."""
    for place in (folder, folder.resolve().parent):
        if (place / named).is_file():
            return place / named
        candidates = sorted(
            path for path in place.glob("*.csv") if "bbox" in path.name.lower() or "bounding" in path.name.lower()
        )
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            names = ", ".join(path.name for path in candidates)
            raise McdError(f"{place}: several bounding-box CSVs ({names}); keep one, or name the right one {named}")
    raise McdError(f"{folder}: no bounding-box CSV in it or in the folder above; put {named} there")


def _write_boxes_of(subjects: list[Subject], table: Path) -> None:
    write_boxes({subject.id: subject.box for subject in subjects if subject.box}, table)


LAYOUT = Layout(
    subjects,
    MODALITIES,
    simulator=Simulator(
        files,
        "mcd.simulation.head_neck.drawing:simulate_head_neck",
        scanners=("CT", "PET"),
        box="mcd.simulation.head_neck.patient:bounding_box",
        cohort_files={BOXES: _write_boxes_of},
    ),
    regions=lambda folder: {"GTVt": (1,)},
)
