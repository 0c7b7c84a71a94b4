"""What the paths of a folder's files tell: which part of each is the patient, and which files are of one kind.

Each file's path is a patient's part and a *pattern*, the rest with the patient's part as `*`. A pattern that several patients
have is one kind of file: a modality, the label, a mask.
"""

import os
import re
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from mcd.errors import McdError
from mcd.imaging.contents import DICOM, held_by

VOLUME_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")

# name -> how files call it, in the order that modalities are listed; the first one found is the reference.
MODALITY_WORDS = {
    "CT": ("ct", "ctres", "cect"),
    "PET": ("pet", "pt", "suv", "ptres"),
    "T1CE": ("t1ce", "t1c", "t1gd", "t1post", "t1ca", "t1wce", "ce", "gd", "post"),
    "T2": ("t2", "t2w"),
    "FLAIR": ("flair", "t2f", "fla"),
    "T1": ("t1", "t1w", "t1n", "t1pre"),
    "PD": ("pd", "pdw"),
    "ADC": ("adc",),
    "DWI": ("dwi", "trace"),
}
# What folders inside a data set are called, and patients are not.
_STRUCTURE_WORDS = {
    *(
        "anat",
        "func",
        "dwi",
        "fmap",
        "perf",
        "images",
        "imagestr",
        "imagests",
        "labels",
        "labelstr",
        "labelsts",
        "masks",
    ),
    *("mri", "mr", "dicom", "nifti", "nii", "train", "training", "val", "valid", "validation", "test", "testing"),
    *(
        "derivatives",
        "sourcedata",
        "rawdata",
        "raw",
        "data",
        "scans",
        "ses",
        "session",
        "manual",
        "seg",
        "segmentations",
    ),
}
# What folders of one examination are called: a date, a session, a visit.
_SESSION = re.compile(
    r"(?<!\d)(\d{4}[-_.]?\d{2}[-_.]?\d{2}|\d{2}[-_.]\d{2}[-_.]\d{4})(?!\d)|ses|visit|study|base|follow", re.IGNORECASE
)
_WORD_END = r"[_. -]+"
_TOLD_FIRST = ("FLAIR", *MODALITY_WORDS)  # T2-FLAIR is FLAIR
_KNOWN_WORDS = {word for words in MODALITY_WORDS.values() for word in words}
_Reading = list[tuple[str | None, str]]  # of each path: the patient, None for a path without one, and the pattern


def find_volumes(folder: Path) -> list[Path]:
    """Every volume below `folder`: files by their suffix, and folders that hold DICOM slices."""
    if not folder.is_dir():
        raise McdError(f"{folder}: no such folder; give the folder that holds the scans")
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files = sorted(Path(place) / name for name in names if not name.startswith("."))
        if Path(place) != folder and any(map(_is_dicom, files)):
            found.append(Path(place))
        found += [path for path in files if path.name.endswith(VOLUME_SUFFIXES)]
    if not found:
        raise McdError(
            f"{folder}: no volume in it ({', '.join(VOLUME_SUFFIXES)}, or folders of DICOM slices); give another"
        )
    return found


def _is_dicom(path: Path) -> bool:
    """Whether a file is a DICOM object, and not the list of those on a medium."""
    try:
        return path.name.upper() != "DICOMDIR" and held_by(path) == DICOM
    except McdError:  # a pipe, or no right to read it
        return False


def find_patterns(folder: Path, volumes: list[Path]) -> dict[str, dict[str, Path]]:
    """Return pattern -> patient -> file.

    The patient is a folder at some depth, or how the file names begin, whichever explains the paths better.
    Raises `McdError` where no two patients share a pattern.
    """
    paths = [path.relative_to(folder) for path in volumes]
    depth = max(len(path.parts) for path in paths) - 1
    longest = max(len(re.split(_WORD_END, _stem(path))) for path in paths)
    readings = [_by_folder(paths, level) for level in range(depth)] + [_by_name(paths)]
    readings += [_by_session(paths, level) for level in range(depth - 1)]
    readings += [_by_words(paths, count, last) for last in (False, True) for count in range(1, longest)]
    best = max(readings, key=_plausibility)
    if not _plausibility(best):
        raise McdError(
            f"{folder}: no pattern that two patients share; sort the files into one folder per patient, with the same names in "
            "each, or say which files are which: --modality NAME=PATTERN for each, and --label PATTERN"
        )
    found: dict[str, dict[str, Path]] = {}
    for (name, pattern), path in zip(best, volumes, strict=True):
        if name is not None:
            found.setdefault(pattern, {})[name] = path
    return found


def _by_folder(paths: list[Path], level: int) -> _Reading:
    """The patient is the folder at `level`; where the name of a file has it, too, it is `*` there as well."""
    found: _Reading = []
    for path in paths:
        if len(path.parts) - 1 <= level:
            found.append((None, str(path)))
            continue
        patient = path.parts[level]
        whole = re.compile(rf"(?<![A-Za-z0-9]){re.escape(patient)}(?![A-Za-z0-9])")
        found.append((patient, "/".join(whole.sub("*", part) for part in path.parts)))
    return found


def _by_session(paths: list[Path], level: int) -> _Reading:
    """The patient is a folder at `level` and a session's in it, both as `**`: P01/2020-01-31/ct.nii.gz is **/ct.nii.gz."""
    found: _Reading = []
    for path in paths:
        if len(path.parts) - 2 <= level or not _SESSION.search(path.parts[level + 1]):
            found.append((None, str(path)))
            continue
        patient = path.parts[level]
        rest = [part.replace(patient, "*") for part in path.parts[level + 2 :]]
        found.append((f"{patient}/{path.parts[level + 1]}", "/".join([*path.parts[:level], "**", *rest])))
    return found


def _by_name(paths: list[Path]) -> _Reading:
    """The patient is how the name begins: as much of it as leaves an ending that most names of the folder have."""
    begins: dict[tuple[Path, str], set[str]] = defaultdict(set)  # (folder, ending without the suffix) -> beginnings
    for path in paths:
        for begin, end in _cuts(path):
            begins[path.parent, end].add(begin)
    chosen = {}
    for path in paths:
        held = [(len(begins[path.parent, end]), len(end), begin) for begin, end in _cuts(path)]
        if held and max(held)[0] > 1:
            chosen[path] = max(held)[2]
    known = set(chosen.values())
    found: _Reading = []
    for path in paths:
        stem = _stem(path)
        begin = stem if stem in known else chosen.get(path, stem)  # the label of case_01_0000.nii.gz is case_01.nii.gz
        found.append((begin, str(path.parent / f"*{path.name[len(begin) :]}")))
    return found


def _by_words(paths: list[Path], count: int, last: bool) -> _Reading:
    """The patient is the first `count` words of the name, P01_CT_image and P01_CT_mask, or the `last` ones, CT P01."""
    found: _Reading = []
    for path in paths:
        stem, suffix = _stem(path), path.name[len(_stem(path)) :]
        ends = [cut for cut in re.finditer(_WORD_END, stem) if cut.start()]
        if len(ends) < count:
            found.append((stem, str(path.parent / f"*{suffix}")))
        elif last:
            cut = ends[-count].end()
            found.append((stem[cut:], str(path.parent / f"{stem[:cut]}*{suffix}")))
        else:
            cut = ends[count - 1].start()
            found.append((stem[:cut], str(path.parent / f"*{stem[cut:]}{suffix}")))
    return found


def _cuts(path: Path) -> list[tuple[str, str]]:
    """The ways to cut a name without its suffix in two, before a word."""
    stem = _stem(path)
    return [(stem[: cut.start()], stem[cut.start() :]) for cut in re.finditer(_WORD_END, stem) if cut.start()]


def _plausibility(reading: _Reading) -> float:
    """How well a reading of the paths explains them, 0 to 1: patterns that all patients have, ids that look like ids."""
    holders: dict[str, list[str]] = defaultdict(list)
    for name, pattern in reading:
        if name is not None:
            holders[pattern].append(name)
    names = {name for held in holders.values() for name in held}
    if len(names) < 2:
        return 0.0
    shared = sum(len(held) ** 2 / len(names) for held in holders.values() if len(set(held)) == len(held))
    like_ids = sum(
        0 if words_of(name) & _KNOWN_WORDS or is_no_id(name) else 1 if any(map(str.isdigit, name)) else 0.5
        for name in names
    )
    return shared / len(reading) * like_ids / len(names)


def _stem(path: Path) -> str:
    suffix = next((suffix for suffix in VOLUME_SUFFIXES if path.name.endswith(suffix)), "")
    return path.name.removesuffix(suffix)


def is_no_id(name: str) -> bool:
    """Whether a name is that of a folder or a modality rather than a patient's: anat, imagesTr, ses-01, PET."""
    words = words_of(name)
    return name.lower().startswith(("ses-", "run-")) or (bool(words) and words <= _STRUCTURE_WORDS | _KNOWN_WORDS)


def matches(pattern: str, path: str) -> str | None:
    """Return the patient of a path that one of some patterns fits (separated by ", "), or None.

    The first `*` of a pattern is the patient, `**` over several folders; each other one is anything within a name.
    """
    for one in pattern.split(", "):
        before, *rest = one.removeprefix("./").split("*")
        name = "[^/]+"
        if len(rest) > 1 and not rest[0]:
            name, rest = ".+", rest[1:]
        after = "[^/]*".join(map(re.escape, rest))
        found = re.fullmatch(f"{re.escape(before)}({name}){after}", path) if rest else None
        if found:
            return found[1]
    return None


def modality_in(words: Collection[str]) -> str | None:
    """Return the modality that some words name; None where none of them does."""
    return next((name for name in _TOLD_FIRST if set(MODALITY_WORDS[name]) & set(words)), None)


def words_of(text: str) -> set[str]:
    """Return the words of a path in lower case: what stands between anything but letters and digits."""
    return set(re.split(r"[^a-z0-9]+", text.lower())) - {""}
