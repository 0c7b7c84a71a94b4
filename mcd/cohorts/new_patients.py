"""Patients to be segmented, who are in no cohort: those of a sheet, or of a folder."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from mcd.cohorts.file_names import MODALITY_WORDS, find_volumes, matches, modality_in, words_of
from mcd.cohorts.guess import subject_ids
from mcd.cohorts.samplesheet import read_rows, subjects
from mcd.errors import McdError, some
from mcd.subject import Subject

log = logging.getLogger(__name__)

Faults = list[tuple[str, McdError]]
"""(id, what is wrong) of patients who cannot be segmented; each id once, and "" for a row of a sheet without one."""


def patients_of_sheet(sheet: Path, modalities: Sequence[str]) -> tuple[list[Subject], Faults]:
    """Return the patients of a sheet who have an image of one of the modalities at least, and the others' faults.

    Raises `McdError` for a sheet that cannot be read, and one without a column for any of the modalities.
    """
    found: Faults = []

    def note(error: McdError, subject: str) -> None:
        if not any(subject == name if subject else str(error) == str(other) for name, other in found):
            found.append((subject, error))  # the first: others may follow from it, and rows are read twice

    columns = [column.lower() for column in read_rows(sheet, note)[0]]
    chosen = [modality for modality in modalities if modality.lower() in columns]
    if not chosen:
        raise McdError(f"{sheet}: no column {' or '.join(modalities)}; name the columns of images after the modalities")
    patients = subjects(sheet, chosen, note, complete=False)
    faulty = {identifier for identifier, _ in found}
    return [patient for patient in patients if patient.id not in faulty], found


def patients_of_folder(
    folder: Path, modalities: Sequence[str], patterns: Mapping[str, str], mask: str | None = None
) -> tuple[list[Subject], Faults]:
    """Return the patients of a folder, sorted by id, and the faults of those who have no image, or several of a modality.

    Args:
        patterns: modality -> which files it is, as in `mcd init-cohort`: the path below the folder, whose first `*` is the
            patient. Without any, each folder in `folder` is a patient, and an image is the volume whose path names the
            modality, or the only one where there is one modality.
        mask: likewise, of the masks.

    Raises:
        McdError: for a folder without volumes, or without a single patient, and a pattern that no file fits.
    """
    volumes = find_volumes(folder)
    if patterns:
        files = {modality: _fitting(folder, volumes, pattern, modality) for modality, pattern in patterns.items()}
    else:
        files = _named(folder, volumes, modalities)
    masks = _fitting(folder, volumes, mask, "mask") if mask else {}
    names = sorted({name for held in files.values() for name in held})
    found: list[Subject] = []
    faults: Faults = []
    for name, identifier in zip(names, subject_ids(names), strict=True):
        held = {modality: paths[name] for modality, paths in files.items() if paths.get(name)}
        given = {**held, "mask": masks[name]} if name in masks else held
        several = next((what for what, paths in given.items() if len(paths) > 1), None)
        if several:
            shown = some([str(path.relative_to(folder)) for path in given[several]])
            option = "--mask " if several == "mask" else f"--image {several}="
            words = f"{name} has several files for {several} ({shown}); name one by {option}PATTERN"
        elif not held:
            words = f"no volume of {name} is called {' or '.join(modalities)}; say which by --image MODALITY=PATTERN"
        elif mask and name not in masks:
            words = f"no file of {name} fits --mask {mask}; add it"
        else:
            images = {modality: paths[0] for modality, paths in held.items()}
            found.append(Subject(identifier, images, mask=masks[name][0] if mask else None))
            continue
        faults.append((identifier, McdError(f"{folder}: {words}")))
    if not found and not patterns:
        _check_level(folder, names)
    return found, faults


def _fitting(folder: Path, volumes: Sequence[Path], pattern: str, what: str) -> dict[str, list[Path]]:
    """Patient -> the files that a pattern fits."""
    option = f"--mask {pattern}" if what == "mask" else f"--image {what}={pattern}"
    if "*" not in pattern:
        raise McdError(f"{option}: has no * for the patient; give such as '*/{pattern}'")
    found: dict[str, list[Path]] = defaultdict(list)
    for path in volumes:
        if patient := matches(pattern, str(path.relative_to(folder))):
            found[patient].append(path)
    if not found:
        raise McdError(f"{option}: no volume in {folder} is called so; the first * is the patient")
    return dict(found)


def _named(folder: Path, volumes: Sequence[Path], modalities: Sequence[str]) -> dict[str, dict[str, list[Path]]]:
    """Modality -> patient, a folder in `folder` -> the volumes whose path within it names the modality, none or several."""
    held: dict[str, list[Path]] = defaultdict(list)
    loose = []
    for path in volumes:
        first, *rest = path.relative_to(folder).parts
        if rest or path.is_dir():
            held[first].append(path)
        else:
            loose.append(path.name)
    if not held:
        raise McdError(
            f"{folder}: no folder for each patient in it, but volumes ({some(loose)}); say which are which, with * for the "
            f"patient: --image {modalities[0]}='*_{modalities[0].lower()}.nii.gz'"
        )
    if loose:
        log.warning("%s: volumes beside the patients' folders, which are not used: %s", folder, some(loose))

    def of(modality: str, name: str) -> list[Path]:
        if len(modalities) == 1 and len(held[name]) == 1:
            return held[name]
        words = {path: words_of("/".join(path.relative_to(folder).parts[1:])) for path in held[name]}
        if modality in MODALITY_WORDS:
            return [path for path in held[name] if modality_in(words[path]) == modality]
        return [path for path in held[name] if modality.lower() in words[path]]

    return {modality: {name: of(modality, name) for name in held} for modality in modalities}


def _check_level(folder: Path, names: Sequence[str]) -> None:
    """Raise `McdError` where the patients may be in the folders of a folder, and not in itself."""
    deeper = [name for name in names if sum(path.is_dir() for path in (folder / name).iterdir()) > 1]
    if deeper:
        raise McdError(
            f"{folder}: no patient in it by names; if its folders ({some(deeper)}) hold the patients' folders, give one of "
            "them; if they are the patients, say which files are which by --image MODALITY=PATTERN"
        )
