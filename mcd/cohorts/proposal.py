"""What a first sheet and configuration say of a folder of scans, and what is left to ask before they can be written."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from pkgutil import resolve_name

import numpy as np

from mcd.cohorts.file_contents import Look, codes_of, look_into
from mcd.cohorts.layout import Regions
from mcd.errors import McdError, some
from mcd.imaging import BODY_HU
from mcd.imaging.dicom_label import names_of_codes
from mcd.imaging.options import plain_name
from mcd.subject import Subject

Progress = Callable[[Sequence[str], str], Iterable[str]]
"""(patients' names that a loop goes through, what each step is) -> the same names, with a progress bar, say."""

LEFT_OUT = "left out"
"""What a row says of files that are not used."""

MAX_REGIONS = 8  # of a configuration
_BACKGROUND = 0.05  # share of zeros from which on 0 is taken for background
_LARGEST_CROP = 256  # voxels; beyond this a coarser grid is proposed
_LOOKED_AT = 5  # patients, spread over the cohort


@dataclass(frozen=True)
class Row:
    """One row of the table that is shown: what some files are taken for."""

    what: str
    pattern: str  # * is the patient; empty where files are found by what they hold
    example: str
    files: int
    without: Sequence[str] = ()  # patients
    remark: str = ""

    def cells(self) -> tuple[str, ...]:
        return (
            self.what,
            self.pattern or "by its DICOM codes",
            self.example,
            str(self.files),
            some(self.without),
            self.remark,
        )


@dataclass(frozen=True)
class Proposal:
    """A cohort as it may be in the folder.

    subjects: those who have every modality. left_out: id -> why, in words that may name the patient. codes: of the labels
    above 0 -> in how many patients. names: of what DICOM labels hold -> in how many patients, the commonest first.
    regions: as a layout names them; none where they go by the codes. questions: what has to be answered first.
    remarks: for the configuration. layout: the official layout that the folder has, if any.
    """

    folder: Path
    subjects: list[Subject]
    left_out: dict[str, str]
    rows: list[Row]
    regions: Regions = field(default_factory=dict)
    codes: dict[int, int] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    layout: str | None = None
    size: list[int] = field(default_factory=lambda: [160, 160])  # of the crop in-plane
    spacing: list[float] = field(default_factory=lambda: [1.0, 1.0, 1.0])  # mm
    statistics_region: dict[str, str] = field(default_factory=dict)  # modality -> rule

    @property
    def modalities(self) -> list[str]:
        return list(self.subjects[0].images) if self.subjects else []


def with_contents(proposal: Proposal, progress: Progress) -> Proposal:
    """Return a proposal with what the files hold: the codes of all labels, the crop and how to tell background."""
    names = names_in_labels(proposal.subjects)
    codes = codes_in_labels(proposal.subjects, progress) if not names else dict(enumerate(names.values(), start=1))
    spread = np.linspace(0, len(proposal.subjects) - 1, _LOOKED_AT).round().astype(int)
    shown = [proposal.subjects[index] for index in sorted(set(spread.tolist()))]
    reference = proposal.modalities[0]
    whole = [look_into({subject.id: subject.mask or subject.images[reference]}) for subject in shown]
    size, spacing = _crop([look for look in whole if look], [subject.box for subject in shown if subject.box])
    rules = {name: _rule(look_into({one.id: one.images[name] for one in shown})) for name in proposal.modalities}
    return replace(proposal, codes=codes, names=names, size=size, spacing=spacing, statistics_region=rules)


def codes_in_labels(subjects: Sequence[Subject], progress: Progress) -> dict[int, int]:
    """Return code above 0 -> how many patients have it in their labels."""
    labels = {subject.id: subject.label for subject in subjects if subject.label}
    found: dict[int, int] = {}
    for name in progress(list(labels), "label"):
        for code in codes_of(labels[name]) or ():
            found[code] = found.get(code, 0) + 1
    return found


def names_in_labels(subjects: Sequence[Subject]) -> dict[str, int]:
    """Return what segments or regions of interest are called -> how many patients have one so called, the commonest first.

    Empty unless all labels are DICOM objects and all in them have names, which are compared whatever their case.
    """
    counts: Counter[str] = Counter()
    spelt: dict[str, str] = {}
    for subject in subjects:
        if not subject.label:
            continue
        try:
            called = [name.strip() for name in names_of_codes(subject.label).values()]
        except McdError:  # `mcd check-cohort` reports it
            continue
        if not called or not all(called):
            return {}
        counts.update({plain_name(name) for name in called})
        spelt.update({plain_name(name): name for name in reversed(called) if plain_name(name) not in spelt})
    return {spelt[name]: count for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))}


def with_boxes(proposal: Proposal, find_box: str, progress: Progress) -> Proposal:
    """Return a proposal whose patients have the boxes that are found in their images; one without is named in a remark."""
    find = resolve_name(find_box)
    by_id = {subject.id: subject for subject in proposal.subjects}
    found, without = [], []
    for name in progress(list(by_id), "box"):
        try:
            box = find(by_id[name])
        except McdError:  # `mcd check-cohort` reports a file that cannot be read
            box = None
        found.append(replace(by_id[name], box=box))
        if box is None:
            without.append(name)
    first = next((" ".join(map(str, one.box)) for one in found if one.box), "")
    row = Row("box", "found in the PET, x1 x2 y1 y2 z1 z2", first, len(found) - len(without), without)
    rows = [*proposal.rows, row]
    remarks = list(proposal.remarks)
    if first:
        remarks.append("boxes were found in the PET, by the brain: look at the QC pictures, and correct the column box")
    if without:
        remarks.append(f"no box was found for {', '.join(without)}: give one in the column box")
    return replace(proposal, subjects=found, rows=rows, remarks=remarks)


def _crop(looks: Sequence[Look], boxes: Sequence[tuple[float, ...]]) -> tuple[list[int], list[float]]:
    """The in-plane size and the spacing of a crop that holds the boxes, or what some files show.

    The spacing is their own, the median: nothing is made up between thick slices. In-plane it is the finer of both, unless the
    crop would be too large; slices lie no closer than the pixels in them.
    """
    own = np.median([look.spacing for look in looks], axis=0) if looks else np.ones(3)
    extents = [(box[1] - box[0], box[3] - box[2]) for box in boxes] or [look.extent for look in looks]
    sides = np.max(extents, axis=0) if extents else np.full(2, 160.0)
    pixel, slices = float(own[:2].min()), float(own[2])
    while sides.max() / pixel > _LARGEST_CROP:
        pixel *= 2
    spacing = [float(f"{side:.3g}") for side in (pixel, pixel, max(pixel, slices))]
    return [max(16, 16 * int(np.ceil(side / spacing[0] / 16))) for side in sides], spacing


def _rule(look: Look | None) -> str:
    if look is None:
        return "nonzero"
    return "body" if look.lowest < BODY_HU else "nonzero" if look.zeros > _BACKGROUND or look.lowest == 0 else "all"
