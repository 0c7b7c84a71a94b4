"""A user's own cohort: a tab-separated sheet with one row per patient.

Columns: `subject`, one for each modality, and where wanted `label`, `mask`, `box`, `split` (train, test or validation),
`patient` (whose scan it is), `centre` and `scanner`. A cell of the others holds a volume's file (NIfTI, NRRD, MetaImage) or a
folder with one DICOM series. Names of columns are matched whatever their case; one that is nearly a known name is refused, and
any other is named in a warning and ignored.
"""

import csv
import difflib
import logging
import math
from collections.abc import Collection, Mapping
from io import StringIO
from pathlib import Path

from mcd.cohorts.layout import Fault, Layout, faults, refuse
from mcd.errors import McdError
from mcd.paths import expand, file_and_channel, read_text
from mcd.subject import ORIGIN, RESERVED, Subject, check_id, check_modality, origin_in, regions_in

SPLITS = ("train", "test", "validation")
COLUMNS = ("subject", "label", "regions", "mask", "box", "split", *ORIGIN)
"""Columns of our own, beside one per modality."""

_NEAR = 0.75  # of difflib's ratio: one letter of five exchanged, left out or added

log = logging.getLogger(__name__)


def subjects(
    sheet: Path,
    modalities: list[str] | None = None,
    fault: Fault = refuse,
    root: Path | None = None,
    *,
    complete: bool = True,
) -> list[Subject]:
    """Return the patients of `sheet`, sorted by id.

    `modalities` names the columns that hold images (None: every column but those of `RESERVED`);
    the first is the reference. A relative path counts from `root`, or from the sheet's own folder. A patient has all of them if
    `complete`, else one at least.
    Raises `McdError` naming the sheet, the line (the header is line 1), the column and the remedy; a mistake in a row goes
    to `fault`, and where that returns, the patient has the files that are there.
    """
    sheet = Path(sheet)
    columns, rows = _known(sheet, *read_rows(sheet, fault), modalities)
    chosen = list(modalities) if modalities else [name for name in columns if name not in RESERVED]
    if not chosen:
        raise McdError(f"{sheet}: no column of images; add one per modality, for example CT and PET")
    for modality in chosen:
        check_modality(modality, str(sheet))
        if modality not in columns:
            raise McdError(f"{sheet}: no column {modality!r} (there are: {', '.join(columns)}); add or rename it")
    base = Path(root) if root is not None else sheet.parent
    found: list[Subject] = []
    for line, row in rows:
        where = f"{sheet}, line {line}"
        identifier = row["subject"]
        with faults(fault, identifier):
            check_id(identifier, f"{where}, column subject")
        if identifier in (subject.id for subject in found):
            fault(
                McdError(f"{where}, column subject: {identifier} appears twice; keep one row per patient"), identifier
            )
        split = row.get("split") or None
        if split not in (None, *SPLITS):
            message = f"{where}, column split: {split!r} is not allowed; write train, test, validation or nothing"
            fault(McdError(message), identifier)
        box = None
        with faults(fault, identifier):
            box = box_in(row.get("box") or "", f"{where}, column box")
        origin = origin_in(row)
        if origin["person"]:
            with faults(fault, identifier):
                check_id(origin["person"], f"{where}, column patient")
        paths = {}
        for column in (*chosen, "label", "mask"):
            if row.get(column):
                with faults(fault, identifier):
                    place = f"{where}, column {column}"
                    paths[column] = _existing(expand(row[column], place, base), place)
            elif complete and column in chosen:
                message = f"{where}, column {column}: empty; give the image's file or remove the row"
                fault(McdError(message), identifier)
        images = {modality: paths[modality] for modality in chosen if modality in paths}
        if not any(row.get(column) for column in chosen) and not complete:
            fault(McdError(f"{where}: no image; give one of {', '.join(chosen)}, or remove the row"), identifier)
        label, mask = paths.get("label"), paths.get("mask")
        regions = regions_of(row)
        if regions and not row.get("label"):
            message = f"{where}, column regions: says what a label holds, and there is none; give the label, or nothing"
            fault(McdError(message), identifier)
        found.append(
            Subject(identifier, images, label=label, mask=mask, box=box, split=split, regions=regions, **origin)
        )
    if not found:
        raise McdError(f"{sheet}: no row below the header; add one per patient")
    return sorted(found, key=lambda subject: subject.id)


def _known(
    sheet: Path,
    columns: list[str],
    rows: list[tuple[int, dict[str, str]]],
    modalities: Collection[str] | None,
) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Return columns and rows with the known columns called as they are known; say which others there are.

    Raises `McdError` for a column that comes twice in another case, and one that is nearly a known name.
    """
    known = [*COLUMNS, *(modalities or ())]
    names = {column: next((name for name in known if name.lower() == column.lower()), column) for column in columns}
    for name in names.values():
        if list(names.values()).count(name) > 1:
            raise McdError(f"{sheet}: the column {name!r} appears twice; keep one")
    others = [column for column, name in names.items() if name not in known]
    for column in others:
        near = difflib.get_close_matches(column.lower(), RESERVED, 1, _NEAR)
        if near and column.lower() not in RESERVED:
            raise McdError(
                f"{sheet}: the column {column!r} is nearly {near[0]!r}; rename it to that, or to something else"
            )
    if others and modalities:
        log.warning("%s: columns that are not used: %s", sheet, ", ".join(others))
    renamed = [(line, {names[column]: cell for column, cell in row.items()}) for line, row in rows]
    return list(names.values()), renamed


def read_rows(sheet: Path, fault: Fault = refuse) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Return the column names and (line number, cells by column) of a tab-separated file without its blank lines.

    Raises `McdError` when the file is missing, not a tab-separated text or has no `subject` column; a line with another
    number of cells goes to `fault`, and is left out.
    """
    try:
        reader = csv.reader(StringIO(read_text(sheet), newline=""), delimiter="\t")
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise McdError(f"{sheet}: not a tab-separated text ({error}); save it again") from None
    if not lines:
        raise McdError(f"{sheet}: empty; the header has the column subject and one column per modality")
    columns = lines[0][1]
    if len(columns) == 1 and ("," in columns[0] or ";" in columns[0]):
        raise McdError(f"{sheet}: the header has no tab; save the sheet tab-separated, not comma-separated")
    if len(columns) == 1 and len(columns[0].split()) > 2:
        raise McdError(f"{sheet}: the header has blanks and no tab; save the sheet tab-separated")
    while not columns[-1] and all(len(cells) < len(columns) or not cells[len(columns) - 1] for _, cells in lines[1:]):
        columns = columns[:-1]  # tabs at the ends of lines, as spreadsheets leave them
    lines = [(line, cells[: len(columns)] if not any(cells[len(columns) :]) else cells) for line, cells in lines]
    columns = ["subject" if column.lower() == "subject" else column for column in columns]
    if "subject" not in columns:
        raise McdError(f"{sheet}: no column 'subject' (there are: {', '.join(columns)}); add or rename it")
    for column in columns:
        if columns.count(column) > 1:
            raise McdError(f"{sheet}: the column {column!r} appears twice; keep one")
    rows = []
    for line, cells in lines[1:]:
        if len(cells) == len(columns):
            rows.append((line, dict(zip(columns, cells, strict=True))))
        else:
            message = f"{sheet}, line {line}: {len(cells)} cells for {len(columns)} columns; check the tabs"
            fault(McdError(message), cells[0])
    return columns, rows


def box_in(cell: str, where: str) -> tuple[float, ...] | None:
    """Return the six numbers of a cell, x1 x2 y1 y2 z1 z2 in mm; None for an empty one, `McdError` for another."""
    try:
        box = tuple(float(number) for number in cell.split())
    except ValueError:
        box = (math.nan,)
    if box and (len(box) != 6 or not all(map(math.isfinite, box))):
        raise McdError(f"{where}: {cell!r} is not six numbers; give x1 x2 y1 y2 z1 z2 in mm, with blanks between")
    if not all(low < high for low, high in zip(box[::2], box[1::2], strict=True)):
        raise McdError(f"{where}: {cell!r} is empty; x1 < x2, y1 < y2 and z1 < z2 must hold")
    return box or None


def regions_of(row: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the regions that a row says its label holds, names with blanks between; None, for all, where it names none."""
    return regions_in((row.get("regions") or "").split())


def _existing(path: Path, where: str) -> Path:
    if not file_and_channel(path)[0].exists():
        raise McdError(
            f"{where}: {path} does not exist; correct the path (relative ones count from the sheet or the root)"
        )
    return path


LAYOUT = Layout(subjects, needs_sheet=True)
