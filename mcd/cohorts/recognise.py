"""Which of the known layouts a folder has: each is asked for its patients."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mcd.cohorts import LAYOUTS, find_layout
from mcd.cohorts.proposal import Proposal, Row
from mcd.errors import McdError
from mcd.subject import Subject


def recognise(folder: Path, nearly: list[str] | None = None) -> Proposal | None:
    """Return what a folder holds, if it, or the only folder in it, has a layout of which half of the patients are complete.

    `nearly` gets what is wrong with the patients of a layout of which fewer are.
    """
    asked = folder
    for folder in _chain(asked):
        for name in reversed(
            LAYOUTS
        ):  # those of other packages first, and BraTS 2019, which has the folders of 2018, before it
            layout = find_layout(name)
            if layout.needs_sheet:
                continue
            faults: dict[str, str] = {}

            def note(error: McdError, subject: str, faults: dict[str, str] = faults) -> None:
                faults.setdefault(subject, str(error))

            try:
                subjects = layout.find(folder, None, note)
                regions = layout.regions(folder) if layout.regions else {}
            except (McdError, OSError):
                continue
            complete = [subject for subject in subjects if subject.id not in faults]
            if complete and 2 * len(complete) >= len(subjects):
                remark = f"the folder has the official layout {name}"
                rows = list(_rows(asked, subjects))
                return Proposal(asked, complete, faults, rows, regions=regions, remarks=[remark], layout=name)
            if nearly is not None:
                nearly += faults.values()
    return None


def _chain(folder: Path) -> Iterator[Path]:
    """The folder, and the one below it as long as there is only one: archives unpack into folders of folders."""
    while True:
        yield folder
        below = [path for path in sorted(folder.iterdir()) if not path.name.startswith((".", "__"))]
        if len(below) != 1 or not below[0].is_dir():
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
