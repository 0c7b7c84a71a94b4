"""The layout of what an archive (PACS) exports: DICOM files in any folders, all series of a patient in one, or a DICOMDIR.

Who and what is decided by coded fields alone: PatientID tells patients apart (top folders do, where all have the same one), a
study's StudyInstanceUID their examinations, SeriesInstanceUID and Modality the images. Descriptions may hold anything, a
person's name too, and are not read. Localisers and secondary captures are left out. The label is a SEG or RTSTRUCT, else the
one NIfTI, NRRD or MetaImage file in the patient's top folder. Patients are called as the folders that hold all of theirs and
of nobody else, else by numbers.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcd.cohorts.file_names import VOLUME_SUFFIXES
from mcd.cohorts.layout import Fault, Layout, choose_modalities, refuse
from mcd.errors import McdError
from mcd.imaging import contents
from mcd.subject import Subject

_NAMES = {"PT": "PET"}  # DICOM's code -> ours, where they differ
_ORDER = ("CT", "PET")  # the first is the reference
_LABELS = ("SEG", "RTSTRUCT")
_NUMBERED = re.compile(r"P\d{3,}")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@dataclass(frozen=True)
class _Series:
    patient: str
    study: str
    modality: str  # DICOM's code
    files: list[Path]
    alone: bool  # whether no other images lie in its folder

    @property
    def cell(self) -> Path:
        """What a sheet calls it: its folder, or one of its files."""
        return self.files[0].parent if self.alone and len(self.files) > 1 else self.files[0]

    def told(self, folder: Path) -> str:
        return f"{len(self.files)} files, {self.files[0].relative_to(folder)} the first"


def subjects(folder: Path, modalities: list[str] | None = None, fault: Fault = refuse) -> list[Subject]:
    """Return every examination, sorted by id; a patient with one series per modality is one, whatever its studies.

    Raises `McdError` for a folder without a DICOMDIR in which each series has a folder of its own, whose names may tell more
    than codes do; by way of `fault` for a patient who lacks a modality, or has several series of one in a study.
    """
    folder = Path(folder)
    every = list(_series(folder))
    images = [series for series in every if series.modality not in _LABELS]
    labels = [series for series in every if series.modality in _LABELS]
    beside = [path for suffix in VOLUME_SUFFIXES for path in sorted(folder.rglob(f"*{suffix}"))]
    mixed = not all(series.alone for series in images)
    if not images or not (mixed or (_has_dicomdir(folder) and not beside)):
        raise McdError(f"{folder}: no DICOMDIR, and no folder with several DICOM series in it; give that of an export")
    groups = _examinations(folder, images)
    held: dict[str, set[str]] = defaultdict(set)
    for name, (_, group) in groups.items():
        for series in group:
            held[_NAMES.get(series.modality, series.modality)].add(name)
    common = [name for name, holders in held.items() if 2 * len(holders) >= len(groups)]
    offered = tuple(sorted(common, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)))
    chosen = choose_modalities(modalities, offered, "dicom_export")
    found = []
    for name, (person, group) in sorted(groups.items()):
        there: dict[str, Path] = {}
        for modality in chosen:
            fitting = [one for one in group if _NAMES.get(one.modality, one.modality) == modality]
            if len(fitting) == 1:
                there[modality] = fitting[0].cell
            else:
                if fitting:
                    told = " and ".join(one.told(folder) for one in fitting)
                    message = f"{name} has {len(fitting)} series of {modality} ({told}); keep one in the folder"
                else:
                    first = min(one.files[0] for one in group).relative_to(folder)
                    message = f"{name} ({first}) has no series of {modality}; export it, too"
                fault(McdError(f"{folder}: {message}, or write the patient's row of the sheet by hand"), name)
        label = _label_of(group, labels, beside, folder, name, fault)
        found.append(Subject(name, there, label=label, person=person if person != name else None))
    return found


def key(found: Sequence[Subject]) -> list[tuple[str, str, str]]:
    """(id, PatientID, a file) of the patients who were given a number: nothing in the folder says who they are."""
    from mcd.imaging.dicom import codes_of_file  # as in `_series`

    rows = []
    for subject in found:
        cell = next(iter(subject.images.values()))
        file = min(cell.iterdir()) if cell.is_dir() else cell
        if _NUMBERED.fullmatch(subject.person or subject.id) and not any(map(_NUMBERED.fullmatch, file.parts)):
            rows.append((subject.id, codes_of_file(file).patient, str(file)))
    return rows


def _label_of(
    group: list[_Series], labels: list[_Series], beside: list[Path], folder: Path, name: str, fault: Fault
) -> Path | None:
    """The segmentation of an examination: of its studies, else of its patient, else the volume in the patient's top folder."""
    studies, patient = {one.study for one in group}, group[0].patient
    own = [label for label in labels if label.patient == patient]
    fitting = [label for label in own if label.study in studies] or own
    files = [file for label in fitting for file in label.files]
    tops = {_top(folder, one.files[0]) for one in group}
    files = files or [path for path in beside if len(tops) == 1 and _top(folder, path) in tops]
    if len(files) > 1:
        message = f"{name} has {len(files)} segmentations ({files[0].name}, {files[1].name}, ...)"
        fault(McdError(f"{folder}: {message}; keep one, or write the sheet by hand"), name)
    return files[0] if files else None


def _top(folder: Path, path: Path) -> str:
    """The folder directly below `folder` that holds a file; empty for `folder` itself."""
    return path.relative_to(folder).parts[0] if path.parent != folder else ""


def _examinations(folder: Path, images: list[_Series]) -> dict[str, tuple[str, list[_Series]]]:
    """Id -> (person, series): a patient, or each of a patient's studies where a modality is there twice."""
    patients: dict[str, list[_Series]] = defaultdict(list)
    for series in images:
        patients[series.patient].append(series)
    names = _names(folder, patients)
    found = {}
    for patient, group in sorted(patients.items(), key=lambda item: names[item[0]]):
        person, codes = names[patient], [one.modality for one in group]
        if len(set(codes)) == len(codes):
            found[person] = (person, group)
            continue
        studies: dict[str, list[_Series]] = defaultdict(list)
        for one in sorted(group, key=lambda one: one.files[0]):
            studies[one.study].append(one)
        for number, part in enumerate(studies.values(), start=1):
            found[f"{person}_{number}" if len(studies) > 1 else person] = (person, part)
    return found


def _names(folder: Path, patients: dict[str, list[_Series]]) -> dict[str, str]:
    """What patients are called: their folder, where each has one and no two become alike, else P001 and so on."""
    tops = {patient: {_top(folder, file) for one in group for file in one.files} for patient, group in patients.items()}
    plain = {patient: re.sub(r"[^A-Za-z0-9_.-]+", "_", min(places)).strip("_.-") for patient, places in tops.items()}
    apart = len(set(plain.values())) == len(patients) and all(len(places) == 1 for places in tops.values())
    if apart and all(plain.values()):
        return plain
    order = sorted(patients, key=lambda patient: min(one.files[0] for one in patients[patient]))
    return {patient: f"P{number:03d}" for number, patient in enumerate(order, start=1)}  # as `_NUMBERED`


def _has_dicomdir(folder: Path) -> bool:
    return any(path.name.upper() == "DICOMDIR" for pattern in ("*", "*/*") for path in folder.glob(pattern))


def _series(folder: Path) -> Iterator[_Series]:
    """Every series of images, segmentations or contours below a folder, by its codes."""
    from mcd.imaging.dicom import codes_of_file  # here alone: pydicom takes a fifth of a second

    found: dict[tuple[str, str, str, str, Path], list[Path]] = defaultdict(list)
    for path in _dicom_files(folder):
        codes = codes_of_file(path)
        if codes.localiser or codes.kind.startswith(_SECONDARY_CAPTURE):
            continue
        if codes.image or codes.modality in _LABELS:
            found[codes.patient, codes.study, codes.series, codes.modality, path.parent].append(path)
    tops = {_top(folder, files[0]) for files in found.values()}
    anonymous = len({patient for patient, *_ in found}) == 1 and len(tops) > 1
    images = [place for *_, modality, place in found if modality not in _LABELS]
    for (patient, study, _, modality, place), files in found.items():
        who = _top(folder, files[0]) if anonymous else patient
        yield _Series(who, study, modality, sorted(files), images.count(place) == 1)


def _dicom_files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place) / name
            if name.startswith(".") or name.upper() == "DICOMDIR" or name.endswith(VOLUME_SUFFIXES):
                continue
            try:
                if contents.held_by(path) == contents.DICOM:
                    yield path
            except McdError:  # a pipe, or no right to read it
                continue


LAYOUT = Layout(subjects, regions=lambda folder: {}, key=key)
