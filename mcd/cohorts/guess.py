"""What a folder of scans seems to hold: modalities, label and mask, guessed from file names and a look into the files.

Nothing is decided for good: what was guessed is shown and written where it can be corrected, and what cannot be right, or
may as well be something else, is a question.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from mcd.cohorts.file_contents import Look, look_into
from mcd.cohorts.file_names import (
    MODALITY_WORDS,
    VOLUME_SUFFIXES,
    find_patterns,
    find_volumes,
    is_no_id,
    matches,
    modality_in,
    words_of,
)
from mcd.cohorts.proposal import LEFT_OUT, Proposal, Row
from mcd.errors import McdError, some
from mcd.imaging.io import read_volume
from mcd.subject import RESERVED, Subject, check_modality

NONE = "none"
"""In place of a pattern: there is no label, or no mask."""

_MASK_WORDS = {"brain", "brainmask", "body", "bodymask", "foreground", "bet"}
_PARTS = {  # folders into which others have sorted their patients -> the part that they play here
    "train": "train",
    "training": "train",
    "val": "train",
    "valid": "train",
    "validation": "train",
    "test": "test",
    "testing": "test",
}


@dataclass
class Kind:
    """Files that have the same place in different patients' parts of the folder."""

    pattern: str
    files: dict[str, Path]
    name: str = ""  # the modality
    look: Look | None = None  # into the first file that can be read

    @property
    def discrete(self) -> bool:
        """Whether it is a label map or a mask, as far as one file shows."""
        return self.look is not None and self.look.discrete

    @property
    def words(self) -> set[str]:
        return words_of(self.pattern)


@dataclass(frozen=True)
class Answers:
    """What the user said: patterns, in which the first `*` is the patient (`**` of several folders), each other one anything.

    modalities: modality -> pattern, all of them; empty to guess. label, mask: a pattern, `NONE`, or None to guess.
    """

    modalities: Mapping[str, str] = field(default_factory=dict)
    label: str | None = None
    mask: str | None = None

    @property
    def of_files(self) -> bool:
        """Whether any pattern is given, so that no known layout is meant."""
        return bool(self.modalities) or any(text not in (None, NONE) for text in (self.label, self.mask))


_GUESS_ALL = Answers()


def guess_cohort(folder: Path, answers: Answers = _GUESS_ALL) -> Proposal:
    """Look into `folder` and guess what is what, but for what is answered.

    Raises `McdError` where there is no volume, no pattern that two patients share, or an answer that no file fits.
    """
    folder = Path(folder)
    volumes = find_volumes(folder)
    questions: list[str] = []
    if answers.modalities:
        for name in answers.modalities:
            check_modality(name, "--modality")
        modalities = [_answered(folder, volumes, pattern, name) for name, pattern in answers.modalities.items()]
        label, mask = None, None
        others: list[tuple[Kind, str]] = []
    else:
        modalities, label, mask, others = _guessed(folder, volumes, questions)
    if answers.label is not None:
        label = None if answers.label == NONE else _answered(folder, volumes, answers.label, "label")
    elif label is None:
        questions.append(f"which files are the labels? no label map was found: --label PATTERN, or --label {NONE}")
    if answers.mask is not None:
        mask = None if answers.mask == NONE else _answered(folder, volumes, answers.mask, "mask")
    return _proposal(folder, modalities, label, mask, others, questions, bool(answers.modalities))


def _guessed(
    folder: Path, volumes: list[Path], questions: list[str]
) -> tuple[list[Kind], Kind | None, Kind | None, list[tuple[Kind, str]]]:
    """Return modalities, label, mask, and what is left out with the reason why; add to the questions."""
    kinds = [Kind(pattern, files, look=look_into(files)) for pattern, files in find_patterns(folder, volumes).items()]
    shared = sum(len(kind.files) for kind in kinds if len(kind.files) > 1)
    if 2 * shared < len(volumes):
        questions.append(
            f"which files are which? only {shared} of {len(volumes)} volumes are called alike in several patients, such as "
            f"{volumes[0].relative_to(folder)} and {volumes[-1].relative_to(folder)}: --modality NAME=PATTERN for each"
        )
    images, discrete = ([kind for kind in kinds if kind.discrete is wanted] for wanted in (False, True))
    if not images:
        raise McdError(f"{folder}: only label maps and masks in it; give the folder that holds the scans, too")
    _name(images)
    modalities, others = _one_each(folder, images, questions)
    questions += [
        f"which files are {kind.name}? the first ones cannot be read: {_problem(kind)}: --modality NAME=PATTERN for each"
        for kind in modalities
        if kind.look is None
    ]
    label, mask, left = _label_and_mask(discrete, modalities[0], questions)
    return modalities, label, mask, others + [(kind, "another label map or mask") for kind in left]


def _problem(kind: Kind) -> str:
    """Why the first file of a kind cannot be read."""
    try:
        read_volume(kind.files[min(kind.files)])
    except McdError as error:
        return str(error).partition(";")[0]
    return "unknown"


def _answered(folder: Path, volumes: list[Path], pattern: str, name: str) -> Kind:
    """The files of a user's pattern. Raises `McdError` where there is none, or one patient has several."""
    option = f"--{name}" if name in ("label", "mask") else f"--modality {name}="
    found: dict[str, Path] = {}
    for path in volumes:
        patient = matches(pattern, str(path.relative_to(folder)))
        if patient is None:
            continue
        if patient in found:
            both = " and ".join(str(one.relative_to(folder)) for one in (found[patient], path))
            raise McdError(f"{option}{pattern}: {both} are both of {patient}; give a pattern of one file per patient")
        found[patient] = path
    if not found:
        raise McdError(f"{option}{pattern}: no volume in {folder} is called so; the first * is the patient")
    return Kind(pattern, found, name)


def _name(kinds: list[Kind]) -> None:
    """Call each kind of image by the modality that its pattern names, else by the words that the others have not."""
    common = set.intersection(*(kind.words for kind in kinds)) if len(kinds) > 1 else set()
    suffixes = {word for suffix in VOLUME_SUFFIXES for word in words_of(suffix)}
    for number, kind in enumerate(kinds, start=1):
        own = kind.words - common - suffixes
        words = [word for word in re.split(r"[^A-Za-z0-9]+", kind.pattern) if word.lower() in own]
        of_file = words_of(kind.pattern.rpartition("/")[2]) - suffixes
        kind.name = modality_in(own) or modality_in(of_file) or "".join(words) or f"M{number}"
        if kind.name.lower() in RESERVED or not isinstance(yaml.safe_load(kind.name), str):
            kind.name = f"M{kind.name}"  # YAML would read 0000 as a number


def _one_each(folder: Path, kinds: list[Kind], questions: list[str]) -> tuple[list[Kind], list[tuple[Kind, str]]]:
    """Of kinds of one name the one that most patients have; those that few patients have are left out."""
    order = [*MODALITY_WORDS, *sorted({kind.name for kind in kinds})]
    taken: dict[str, Kind] = {}
    others = []
    for kind in sorted(kinds, key=lambda kind: (-len(kind.files), kind.pattern)):
        if kind.name in taken and not set(kind.files) & set(taken[kind.name].files):  # another format, or folder
            _merge(taken[kind.name], kind)
        elif kind.name in taken:
            first = taken[kind.name]
            others.append((kind, f"{kind.name} is taken from {first.pattern}"))
            both = set(kind.files) & set(first.files)
            if 2 * len(both) >= len(first.files):
                one, other = (each.files[min(both)].relative_to(folder) for each in (first, kind))
                questions.append(
                    f"which files are {kind.name}? {len(both)} patients have two, such as {one} and {other}: "
                    f"--modality {kind.name}='{first.pattern}' or another name for each"
                )
        elif taken and len(kind.files) < len(next(iter(taken.values())).files) / 2:
            others.append((kind, "in less than half of the patients"))
        else:
            taken[kind.name] = kind
    return sorted(taken.values(), key=lambda kind: order.index(kind.name)), others


def _merge(kind: Kind, other: Kind) -> None:
    kind.files.update(other.files)
    kind.pattern += f", {other.pattern}"


def _label_and_mask(
    kinds: list[Kind], reference: Kind, questions: list[str]
) -> tuple[Kind | None, Kind | None, list[Kind]]:
    """Return label, mask and the others; add to the questions where two may as well be the label.

    Masks are those whose name says of what; the label is the map that most patients have, one beside the reference first.
    """

    def rank(kind: Kind) -> tuple[int, int, int]:
        images = reference.pattern.split(", ")
        beside = max(len(os.path.commonpath([kind.pattern, one])) for one in images)
        alike = max(len(os.path.commonprefix([kind.pattern, one])) for one in images)  # noqa: RUF071, letters are meant
        return -len(kind.files), -beside, -alike

    kinds = sorted(kinds, key=lambda kind: (rank(kind), kind.pattern))
    masks = [kind for kind in kinds if kind.words & _MASK_WORDS]
    labels = [kind for kind in kinds if kind not in masks]
    ranks = [rank(kind) for kind in labels]
    masks, labels = _joined(masks), _joined(labels)
    if len(labels) > 1 and ranks[0] == ranks[1] == rank(labels[1]):
        one, other = (kind.pattern for kind in labels[:2])
        questions.append(f"which files are the labels? {one} or {other}, or another: --label '{one}'")
    return next(iter(labels), None), next(iter(masks), None), labels[1:] + masks[1:]


def _joined(kinds: list[Kind]) -> list[Kind]:
    """Merge with the first those of its file name that other patients have: train/*/seg.nii.gz and test/*/seg.nii.gz."""
    if not kinds:
        return []
    first, rest = kinds[0], []
    for kind in kinds[1:]:
        if _last(kind) == _last(first) and not set(kind.files) & set(first.files):
            _merge(first, kind)
        else:
            rest.append(kind)
    return [first, *rest]


def _last(kind: Kind) -> str:
    return kind.pattern.split(", ")[0].rpartition("/")[2]


def _proposal(
    folder: Path,
    modalities: list[Kind],
    label: Kind | None,
    mask: Kind | None,
    others: list[tuple[Kind, str]],
    questions: list[str],
    answered: bool,
) -> Proposal:
    patients = sorted({name for kind in modalities for name in kind.files})
    complete = [name for name in patients if all(name in kind.files for kind in modalities)]
    left_out = {
        name: f"no {', '.join(kind.name for kind in modalities if name not in kind.files)}"
        for name in patients
        if name not in complete
    }
    if not answered and len(patients) < 2:
        questions.append(f"is {patients[0]} the only patient? --modality NAME=PATTERN for each, with * for the patient")
    if not answered and sum(map(is_no_id, patients)) * 2 > len(patients):
        questions.append(
            f"are {some(patients)} patients? the names are those of folders or modalities: --modality NAME=PATTERN for each"
        )
    if 2 * len(complete) < len(patients):
        names = ", ".join(kind.name for kind in modalities)
        questions.append(
            f"only {len(complete)} of {len(patients)} patients have {names}; name those to take: --modality NAME=PATTERN"
        )

    def row(what: str, kind: Kind, remark: str = "") -> Row:
        example = str(kind.files[min(kind.files)].relative_to(folder))
        without = [name for name in patients if name not in kind.files] if what != LEFT_OUT else []
        return Row(what, kind.pattern, example, len(kind.files), without, remark)

    rows = [row(kind.name, kind) for kind in modalities]
    rows[0] = replace(rows[0], remark="reference")
    for what, kind in (("label", label), ("mask", mask)):
        if kind:
            rows.append(row(what, kind))
    rows += [row(LEFT_OUT, kind, reason) for kind, reason in others]
    parts = _parts(folder, {name: modalities[0].files[name] for name in complete})
    remarks = ["who tests follows from the folders; patients of a validation folder train"] if parts else []
    if unseen := [name for name, part in parts.items() if part == "test" and not (label and name in label.files)]:
        parts, remarks = {}, [f"no label to test on, so these train unless you remove them: {', '.join(unseen)}"]
    subjects = [
        Subject(
            identifier,
            {kind.name: kind.files[name] for kind in modalities},
            label=label.files.get(name) if label else None,
            mask=mask.files.get(name) if mask else None,
            person=subject_ids([name.partition("/")[0]])[0] if "/" in name else None,
            split=parts.get(name),
        )
        for name, identifier in zip(complete, subject_ids(complete), strict=True)
    ]
    return Proposal(folder, subjects, left_out, rows, questions=questions, remarks=remarks)


def _parts(folder: Path, files: Mapping[str, Path]) -> dict[str, str]:
    """Patient -> train or test, where all lie in folders that say so and both parts have some."""
    found = {
        name: next((_PARTS[part.lower()] for part in path.relative_to(folder).parts if part.lower() in _PARTS), None)
        for name, path in files.items()
    }
    if None in found.values() or set(found.values()) != {"train", "test"}:
        return {}
    return {name: part for name, part in found.items() if part}


def subject_ids(names: list[str]) -> list[str]:
    """Return ids that may stand in file names; names that become alike get a number."""
    ids: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_.-") or "patient"
        number, free = 2, plain
        while free in ids:
            free, number = f"{plain}_{number}", number + 1
        ids.append(free)
    return ids
