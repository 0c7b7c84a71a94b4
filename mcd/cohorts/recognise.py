"""Which of the known layouts a folder has: each is asked for its patients."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from mcd.cohorts import LAYOUTS, find_layout
from mcd.cohorts.proposal import Proposal, Row
from mcd.errors import McdError
from mcd.subject import Subject

_MOST_DATA_SETS = 20  # folders that are looked into: more are patients


def recognise(folder: Path) -> tuple[list[Proposal], list[str]]:
    """Return what a folder holds by each layout that it has; or what is wrong with the patients of those that it nearly has.

    It has a layout if half of the patients are complete, in the folder itself or in the only one within it. Raises `McdError`
    for a DICOM export of which fewer are.
    """
    nearly: list[str] = []
    for place in _chain(folder):
        found, coded = [], []
        for name in reversed(
            LAYOUTS
        ):  # other packages' first, and BraTS 2019, which has the folders of 2018, before it
            proposal = None if find_layout(name).needs_sheet else _as_layout(name, place, folder)
            if proposal and proposal.subjects and len(proposal.subjects) >= len(proposal.left_out):
                found.append(proposal)
            elif proposal:
                nearly += proposal.left_out.values()
                if find_layout(name).key:
                    coded.append(proposal)
        if found:
            return found, []
        if coded:
            raise McdError(_incomplete(coded[0]))
        _check_one_data_set(place)
    return [], nearly


def _incomplete(proposal: Proposal) -> str:
    """Why most patients of a folder that is sorted by codes cannot be used: its files' names say nothing more."""
    count = len(proposal.subjects) + len(proposal.left_out)
    problem, _, remedy = next(iter(proposal.left_out.values())).rpartition("; ")
    where, _, first = problem.partition(": ")
    return (
        f"{where}: {len(proposal.left_out)} of {count} patients have not one series of each modality: {first}; {remedy}"
    )


def _check_one_data_set(place: Path) -> None:
    """Raise `McdError` for a folder of data sets, whose patients would be taken for those of one."""
    below = [path for path in sorted(place.iterdir()) if path.is_dir() and not path.name.startswith((".", "__"))]
    if 1 < len(below) <= _MOST_DATA_SETS:
        names = [name for name in LAYOUTS if not find_layout(name).needs_sheet]
        held = [path for path in below if any(_has_patients(_as_layout(name, path, place)) for name in names)]
        if len(held) > 1:
            raise McdError(
                f"{place}: several data sets in it ({', '.join(path.name for path in held)}); give one of them"
            )


def _has_patients(proposal: Proposal | None) -> bool:
    """Whether there are several: one patient's files may have a form, too."""
    return proposal is not None and len(proposal.subjects) > 1


def _as_layout(name: str, place: Path, folder: Path) -> Proposal | None:
    """What `place`, in the `folder` that was asked for, holds by one layout; None where it has another one."""
    layout = find_layout(name)
    faults: dict[str, str] = {}

    def note(error: McdError, subject: str) -> None:
        faults.setdefault(subject, str(error))

    try:
        subjects = layout.find(place, None, note)
        regions = layout.regions(place) if layout.regions else {}
    except (McdError, OSError):
        return None
    of_cohort = faults.pop("", None)
    complete = [subject for subject in subjects if subject.id not in faults]
    told = (
        "sorted by DICOM codes: patient, study, series, modality"
        if layout.key
        else f"the folder has the official layout {name}"
    )
    remarks = [told, *([of_cohort] if of_cohort else [])]
    rows = [replace(row, pattern="") if layout.key else row for row in _rows(folder, subjects)]
    return Proposal(folder, complete, faults, rows, regions=regions, remarks=remarks, layout=name)


def _chain(folder: Path) -> Iterator[Path]:
    """The folder, and the one below it as long as there is only one: archives unpack into folders of folders."""
    while True:
        yield folder
        below = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))]
        if len(below) != 1:
            return
        folder = below[0]


def _rows(folder: Path, subjects: list[Subject]) -> Iterator[Row]:
    names = list(dict.fromkeys(name for subject in subjects for name in subject.images))
    files = {name: {one.id: one.images[name] for one in subjects if name in one.images} for name in names}
    files |= {what: {one.id: path for one in subjects if (path := getattr(one, what))} for what in ("label", "mask")}
    for what, paths in files.items():
        if paths:
            without = [one.id for one in subjects if one.id not in paths]
            remark = "reference" if what == names[0] else ""
            example = _relative(folder, paths[min(paths)])
            yield Row(what, _pattern(folder, paths), example, len(paths), without, remark)


def _relative(folder: Path, path: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _pattern(folder: Path, paths: dict[str, Path]) -> str:
    """How most of some files are called, with the patient as `*`."""
    patterns: Counter[str] = Counter()
    for name, path in paths.items():
        pattern = _relative(folder, path)
        for part in (name, *(entity for entity in name.split("_") if entity.startswith(("sub-", "ses-")))):
            pattern = pattern.replace(part, "*")
        patterns[pattern] += 1
    return patterns.most_common(1)[0][0]
