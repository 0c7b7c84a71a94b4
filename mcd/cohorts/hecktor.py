"""The official layouts of HECKTOR 2021, 2022, 2025 and 2026.

- 2021: `hecktor_nii/<id>_{ct,pt,gtvt}.nii.gz` beside one CSV of bounding boxes, as in 2020;
- 2022: `imagesTr/<id>__{CT,PT}.nii.gz` and `labelsTr/<id>.nii.gz`;
- 2025 and 2026: `<id>/<id>__{CT,PT}.nii.gz` and `<id>/<id>.nii.gz`, in 2025 within `Task 1`.

Since 2022 there is no box, the primary tumour (GTVp) is code 1 and the lymph nodes (GTVn) are code 2. An id begins with its
centre: `CHUM-001`.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from mcd.cohorts.hecktor2020 import boxes_csv, centre_of, read_boxes, with_box
from mcd.cohorts.layout import HEAD_BOX, Fault, Layout, choose_modalities, patients_by_name, refuse
from mcd.errors import McdError
from mcd.subject import Subject

MODALITIES = ("CT", "PET")
_ENDINGS = {"CT": "__CT", "PET": "__PT"}
_REGIONS = {"GTVp": (1,), "GTVn": (2,)}


def _subjects_2021(folder: Path, modalities: list[str] | None = None, fault: Fault = refuse) -> list[Subject]:
    """Return every patient of `folder`, or of `folder/hecktor_nii`, with the box of the CSV."""
    chosen = choose_modalities(modalities, MODALITIES, "hecktor2021")
    place = folder / "hecktor_nii" if (folder / "hecktor_nii").is_dir() else folder
    endings = {"CT": "_ct", "PET": "_pt", "label": "_gtvt"}
    identifiers = _ids(place.glob("*_ct.nii.gz"), "_ct")
    if not identifiers:
        raise McdError(
            f"{folder}: no hecktor_nii/<id>_ct.nii.gz in it; give the folder of HECKTOR 2021 with the patients"
        )
    table = boxes_csv(place, "hecktor2021_bbox_training.csv")
    boxes = read_boxes(table, fault)
    found = patients_by_name(identifiers, lambda one, what: place / f"{one}{endings[what]}.nii.gz", chosen, fault)
    return [with_box(replace(one, centre=centre_of(one.id)), boxes, table, fault) for one in found]


def _subjects_2022(folder: Path, modalities: list[str] | None = None, fault: Fault = refuse) -> list[Subject]:
    """Return every patient of `folder/imagesTr`; the test patients of `imagesTs`, who have no labels, are left out."""
    chosen = choose_modalities(modalities, MODALITIES, "hecktor2022")
    identifiers = _ids((folder / "imagesTr").glob("*__CT.nii.gz"), "__CT")
    if not identifiers:
        raise McdError(
            f"{folder}: no imagesTr/<id>__CT.nii.gz in it; give the folder of HECKTOR 2022 that holds imagesTr"
        )

    def place(one: str, what: str) -> Path:
        return folder / (f"labelsTr/{one}.nii.gz" if what == "label" else f"imagesTr/{one}{_ENDINGS[what]}.nii.gz")

    return _with_centres(identifiers, place, chosen, fault)


def _subjects_2025(folder: Path, modalities: list[str] | None = None, fault: Fault = refuse) -> list[Subject]:
    """Return every patient of `folder`, or of `folder/Task 1`."""
    chosen = choose_modalities(modalities, MODALITIES, "hecktor2025")
    root = folder / "Task 1" if (folder / "Task 1").is_dir() else folder
    identifiers = [path.parent.name for path in root.glob("*/*__CT.nii.gz") if path.name.startswith(path.parent.name)]
    if not identifiers:
        raise McdError(
            f"{folder}: no <id>/<id>__CT.nii.gz in it; give the folder of HECKTOR 2025 that holds the patients"
        )
    return _with_centres(
        identifiers, lambda one, what: root / one / f"{one}{_ENDINGS.get(what, '')}.nii.gz", chosen, fault
    )


def _with_centres(
    identifiers: Iterable[str], place: Callable[[str, str], Path], chosen: tuple[str, ...], fault: Fault
) -> list[Subject]:
    found = patients_by_name(identifiers, place, chosen, fault)
    return [replace(one, centre=centre_of(one.id)) for one in found]


def _ids(paths: Iterable[Path], ending: str) -> list[str]:
    return [re.sub(rf"{ending}\.nii\.gz$", "", path.name) for path in paths]


HECKTOR2021 = Layout(_subjects_2021, MODALITIES, regions=lambda folder: {"GTVt": (1,)})
HECKTOR2022 = Layout(_subjects_2022, MODALITIES, regions=lambda folder: _REGIONS, find_box=HEAD_BOX)
HECKTOR2025 = replace(HECKTOR2022, find=_subjects_2025)
