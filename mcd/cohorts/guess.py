"""What a folder of scans seems to hold: modalities, label and mask, guessed from file names and a look into the files.

Nothing is decided for good: what was guessed is shown and written where it can be corrected.
"""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from mcd.cohorts import LAYOUTS, find_layout
from mcd.cohorts.file_contents import Look, codes_of, look_into
from mcd.cohorts.file_names import MODALITY_WORDS, VOLUME_SUFFIXES, find_patterns, find_volumes, words_of
from mcd.errors import McdError
from mcd.imaging import BODY_HU
from mcd.subject import RESERVED

_MASK_WORDS = {"brain", "brainmask", "body", "bodymask", "foreground", "bet"}
_BACKGROUND = 0.05  # share of zeros from which on 0 is taken for background
_LARGEST_CROP = 256  # voxels; beyond this a coarser grid is proposed


@dataclass
class Kind:
    """Files that have the same place in different patients' parts of the folder."""

    pattern: str
    files: dict[str, Path]
    name: str = ""  # the modality
    codes: dict[int, int] = field(default_factory=dict)  # of a label map: code -> in how many patients
    look: Look | None = None  # into the first file that can be read

    @property
    def discrete(self) -> bool:
        """Whether it is a label map or a mask, as far as one file shows."""
        return self.look is not None and self.look.discrete

    @property
    def words(self) -> set[str]:
        return words_of(self.pattern)


@dataclass
class Guess:
    """What a folder seems to hold."""

    folder: Path
    patients: list[str]
    modalities: list[Kind]
    label: Kind | None
    mask: Kind | None
    others: list[tuple[Kind, str]]  # with the reason why they are left out
    size: list[int]  # of the crop in-plane
    spacing: list[float]  # mm
    statistics_region: dict[str, str]  # modality -> rule
    layout: str | None  # the official layout that the folder also has

    @property
    def complete(self) -> list[str]:
        """The patients who have every modality."""
        return [name for name in self.patients if all(name in kind.files for kind in self.modalities)]


def guess_cohort(folder: Path, progress: Callable[[Iterable[str]], Iterable[str]] = iter) -> Guess:
    """Look into `folder` and guess what is what. `progress` wraps the patients whose labels are read.

    Raises `McdError` where there is no volume, or no pattern that two patients share.
    """
    folder = Path(folder)
    kinds = [
        Kind(pattern, files, look=look_into(files))
        for pattern, files in find_patterns(folder, find_volumes(folder)).items()
    ]
    images, discrete = ([kind for kind in kinds if kind.discrete is wanted] for wanted in (False, True))
    if not images:
        raise McdError(f"{folder}: only label maps and masks in it; give the folder that holds the scans, too")
    _name(images)
    modalities, others = _one_each(images)
    label, mask = _label_and_mask(discrete, modalities[0])
    others += [(kind, "another label map or mask") for kind in discrete if kind not in (label, mask)]
    patients = sorted({name for kind in modalities for name in kind.files})
    if label is not None:
        for name in progress(sorted(label.files)):
            for code in codes_of(label.files[name]) or ():
                label.codes[code] = label.codes.get(code, 0) + 1
    size, spacing = _crop(mask.look if mask and mask.look else modalities[0].look)
    rules = {kind.name: _rule(kind.look) for kind in modalities}
    return Guess(folder, patients, modalities, label, mask, others, size, spacing, rules, _official(folder))


def _name(kinds: list[Kind]) -> None:
    """Call each kind of image by the modality that its pattern names, else by the words that the others have not."""
    common = set.intersection(*(kind.words for kind in kinds)) if len(kinds) > 1 else set()
    suffixes = {word for suffix in VOLUME_SUFFIXES for word in words_of(suffix)}
    for number, kind in enumerate(kinds, start=1):
        own = kind.words - common - suffixes
        named = (name for name, words in MODALITY_WORDS.items() if own & set(words))
        words = [word for word in re.split(r"[^A-Za-z0-9]+", kind.pattern) if word.lower() in own]
        kind.name = next(named, "") or "".join(words) or f"M{number}"
        if kind.name.lower() in RESERVED or not isinstance(yaml.safe_load(kind.name), str):
            kind.name = f"M{kind.name}"  # YAML would read 0000 as a number


def _one_each(kinds: list[Kind]) -> tuple[list[Kind], list[tuple[Kind, str]]]:
    """Of kinds of one name the one that most patients have; those that few patients have are left out."""
    order = [*MODALITY_WORDS, *sorted({kind.name for kind in kinds})]
    taken: dict[str, Kind] = {}
    others = []
    for kind in sorted(kinds, key=lambda kind: (-len(kind.files), kind.pattern)):
        if kind.name in taken and not set(kind.files) & set(taken[kind.name].files):  # another format, say
            taken[kind.name].files.update(kind.files)
            taken[kind.name].pattern += f", {kind.pattern}"
        elif kind.name in taken:
            others.append((kind, f"{kind.name} is taken from {taken[kind.name].pattern}"))
        elif taken and len(kind.files) < len(next(iter(taken.values())).files) / 2:
            others.append((kind, "in less than half of the patients"))
        else:
            taken[kind.name] = kind
    return sorted(taken.values(), key=lambda kind: order.index(kind.name)), others


def _label_and_mask(kinds: list[Kind], reference: Kind) -> tuple[Kind | None, Kind | None]:
    """Masks are those whose name says of what; the label is the map that most patients have, one beside the reference first."""

    def rank(kind: Kind) -> tuple[int, int, str]:
        return -len(kind.files), -len(os.path.commonpath([kind.pattern, reference.pattern])), kind.pattern

    masks = sorted((kind for kind in kinds if kind.words & _MASK_WORDS), key=rank)
    labels = sorted((kind for kind in kinds if not kind.words & _MASK_WORDS), key=rank)
    return next(iter(labels), None), next(iter(masks), None)


def _crop(look: Look | None) -> tuple[list[int], list[float]]:
    """The in-plane size and the spacing of a crop that holds what one file shows."""
    if look is None:
        return [160, 160], [1.0, 1.0, 1.0]
    spacing = 1.0
    while max(look.extent) / spacing > _LARGEST_CROP:
        spacing *= 2
    return [max(16, 16 * int(np.ceil(side / spacing / 16))) for side in look.extent], [spacing] * 3


def _rule(look: Look | None) -> str:
    if look is None:
        return "nonzero"
    return "body" if look.lowest < BODY_HU else "nonzero" if look.zeros > _BACKGROUND or look.lowest == 0 else "all"


def _official(folder: Path) -> str | None:
    """The official layout that a folder has, too, if any."""
    for name in LAYOUTS:
        layout = find_layout(name)
        if not layout.needs_sheet:
            try:
                layout.find(folder)
            except (McdError, OSError):
                continue
            return name
    return None
