"""The layout of BIDS: `sub-<label>[/ses-<label>]/anat/sub-<label>[_ses-<label>][_<key>-<value>]_<suffix>.nii.gz`.

Each session is a patient's scan, and `sub-<label>` the person. Suffixes name modalities; contrast agent (`ce-`) makes T1CE of
T1w, and `acq-` and `rec-` set apart what would else be one modality. Brain masks (`desc-brain_mask`) and labels (`dseg`,
`label-<name>_mask` or `_roi`, or `msk` as in ISLES) are in `derivatives`, or in a pipeline's folder there, in the same
subfolders. Diffusion series with gradients (`.bval` beside them) are no modality. `participants.tsv` may have a column of
centres (site, centre, center, institution) and scanners.
"""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

from mcd.cohorts.layout import Fault, Layout, Regions, choose_modalities, faults, refuse
from mcd.errors import McdError
from mcd.paths import read_text
from mcd.subject import Subject, check_id

_SUFFIXES = {
    "T1w": "T1",
    "T2w": "T2",
    "FLAIR": "FLAIR",
    "PDw": "PD",
    "T2starw": "T2star",
    "pet": "PET",
    "ct": "CT",
    "adc": "ADC",
    "dwi": "DWI",
}
_ORDER = ("CT", "PET", "T1CE", "T2", "FLAIR", "T1")  # the first is the reference
_ENDINGS = (".nii.gz", ".nii")
_CENTRE, _SCANNER = ("site", "centre", "center", "institution"), ("scanner",)


@dataclass(frozen=True)
class _File:
    path: Path
    session: str  # sub-01 or sub-01_ses-01
    entities: dict[str, str]  # without sub and ses
    suffix: str

    @property
    def modality(self) -> str | None:
        name = _SUFFIXES.get(self.suffix)
        if name is None or self.path.with_name(f"{self.path.name.split('.')[0]}.bval").is_file():
            return None
        name = "T1CE" if name == "T1" and "ce" in self.entities else name
        return name + "".join(self.entities.get(key, "") for key in ("acq", "rec"))

    @property
    def pipeline(self) -> str:
        """The folder below `derivatives` of a file that is there; empty where there is none between it and the subjects."""
        below = self.path.parts[-self.path.parts[::-1].index("derivatives")]
        return "" if below.startswith("sub-") else below

    @property
    def kind(self) -> tuple[str, ...]:
        """What files of derivatives have in common, but for the patient."""
        return (self.pipeline, *(f"{key}-{value}" for key, value in sorted(self.entities.items())), self.suffix)


def subjects(folder: Path, modalities: list[str] | None = None, fault: Fault = refuse) -> list[Subject]:
    """Return every session with an image, sorted by id; the modalities are those of at least half of the sessions.

    Raises `McdError` for a folder without sessions; by way of `fault` for a session that lacks a modality, or that has
    several files (`run-`) of one.
    """
    folder = Path(folder)
    images = [file for file in _files(folder) if file.modality]
    if not images:
        raise McdError(f"{folder}: no sub-<label>/anat with images in it; give the folder of a BIDS data set")
    sessions = sorted({file.session for file in images})
    held = Counter(name for name, _ in {(file.modality or "", file.session) for file in images})
    common = (name for name, count in held.items() if 2 * count >= len(sessions))
    offered = tuple(sorted(common, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)))
    chosen = choose_modalities(modalities, offered, "bids")
    derived = list(_derived(folder))
    labels, masks = (_of_one_kind(derived, wanted, folder, fault) for wanted in (_is_label, _is_brain))
    participants = _participants(folder)
    found = []
    for session in sessions:
        with faults(fault, session):
            check_id(session, str(folder))
        there: dict[str, Path] = {}
        for name in chosen:
            paths = [file.path for file in images if file.session == session and file.modality == name]
            if len(paths) == 1:
                there[name] = paths[0]
            elif paths:
                several = ", ".join(path.name for path in paths)
                fault(
                    McdError(f"{paths[0].parent}: {len(paths)} files of {name} ({several}); keep one of them"), session
                )
            else:
                fault(McdError(f"{folder}: {session} has no {name}; add it, or remove the session"), session)
        person = session.split("_ses-")[0]
        about = participants.get(person, {})
        one = Subject(session, there, label=labels.get(session), mask=masks.get(session))
        centre, scanner = (_first(about, names) for names in (_CENTRE, _SCANNER))
        found.append(replace(one, person=person if person != session else None, centre=centre, scanner=scanner))
    return found


def _files(folder: Path, below: str = "") -> Iterator[_File]:
    """Every volume of a subject's subfolders, by its entities."""
    for pattern in (f"{below}sub-*/*/*", f"{below}sub-*/ses-*/*/*"):
        for path in sorted(folder.glob(pattern)):
            ending = next((ending for ending in _ENDINGS if path.name.endswith(ending)), None)
            if ending is None or path.name.startswith("."):
                continue
            *pairs, suffix = path.name.removesuffix(ending).split("_")
            entities = dict(pair.split("-", 1) for pair in pairs if "-" in pair)
            session = f"sub-{entities.pop('sub', '')}" + (f"_ses-{entities.pop('ses')}" if "ses" in entities else "")
            yield _File(path, session, entities, suffix)


def _derived(folder: Path) -> Iterator[_File]:
    for below in ("", "*/"):
        yield from _files(folder / "derivatives", below)


def _is_brain(file: _File) -> bool:
    return file.suffix == "mask" and file.entities.get("desc", file.entities.get("label")) == "brain"


def _is_label(file: _File) -> bool:
    return file.suffix in ("dseg", "msk", "roi") or (file.suffix == "mask" and not _is_brain(file))


def _of_one_kind(
    files: list[_File], wanted: Callable[[_File], bool], folder: Path, fault: Fault = refuse
) -> dict[str, Path]:
    """Session -> file, of the kind that most sessions have; where two have as many, none, and `McdError` by way of `fault`."""
    kinds = Counter(file.kind for file in files if wanted(file))
    if not kinds:
        return {}
    (first, count), *others = kinds.most_common()
    if others and others[0][1] == count:
        both = " and ".join("/".join(kind).strip("/") for kind in (first, others[0][0]))
        fault(McdError(f"{folder / 'derivatives'}: {both} may both be meant; move one of them elsewhere"), "")
        return {}
    return {file.session: file.path for file in files if wanted(file) and file.kind == first}


def _participants(folder: Path) -> dict[str, dict[str, str]]:
    """The rows of `participants.tsv` by person, columns in lower case."""
    path = folder / "participants.tsv"
    if not path.is_file():
        return {}
    rows = csv.DictReader(StringIO(read_text(path), newline=""), delimiter="\t")
    plain = ({str(key).lower(): (value or "").strip() for key, value in row.items() if key} for row in rows)
    return {row["participant_id"]: row for row in plain if row.get("participant_id")}


def _first(about: dict[str, str], names: tuple[str, ...]) -> str | None:
    return next((about[name] for name in names if about.get(name, "n/a") not in ("", "n/a")), None)


def regions(folder: Path) -> Regions:
    """Return the names of a segmentation's look-up table (`dseg.tsv`), or of the one thing that a mask shows."""
    found = _of_one_kind(list(_derived(Path(folder))), _is_label, Path(folder), lambda error, subject: None)
    label = next(iter(found.values()), None)
    if label is None:
        return {}
    file = next(one for one in _derived(Path(folder)) if one.path == label)
    if file.suffix != "dseg":
        return {re.sub(r"[^A-Za-z0-9]+", "_", file.entities.get("label", file.entities.get("desc", "lesion"))): (1,)}
    stem = label.name.removesuffix(".gz").removesuffix(".nii")
    pipeline = Path(folder) / "derivatives" / file.pipeline
    for table in (label.with_name(f"{stem}.tsv"), pipeline / "dseg.tsv", *sorted(pipeline.glob("*_dseg.tsv"))):
        if table.is_file():
            rows = csv.DictReader(StringIO(read_text(table), newline=""), delimiter="\t")
            named = {
                row.get("name") or "": int(row.get("index") or 0)
                for row in rows
                if (row.get("index") or "").isdecimal()
            }
            return {re.sub(r"[^A-Za-z0-9]+", "_", name): (code,) for name, code in named.items() if name and code}
    return {}


LAYOUT = Layout(subjects, regions=regions)
