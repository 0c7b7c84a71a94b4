"""A first sheet and configuration for a folder of scans, guessed from file names and checked by a look into the files.

Each file's path is a patient's part and a *pattern*, the rest with the patient's part as `*`. A pattern that several patients
have is one kind of file: a modality, the label, a mask. Nothing is decided for good: what was guessed is shown and written
where it can be corrected.
"""

import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import yaml

from mcd.cohorts import LAYOUTS
from mcd.errors import McdError
from mcd.files import atomic_path
from mcd.imaging.geometry import array_of
from mcd.imaging.io import read_volume
from mcd.subject import RESERVED, VOLUME_SUFFIXES

# name -> how files call it, in the order that modalities are listed; the first one found is the reference.
_MODALITIES = {
    "CT": ("ct", "ctres", "cect"),
    "PET": ("pet", "pt", "suv", "ptres"),
    "T1CE": ("t1ce", "t1c", "t1gd", "t1post", "t1ca", "t1wce", "ce"),
    "T2": ("t2", "t2w"),
    "FLAIR": ("flair", "t2f", "fla"),
    "T1": ("t1", "t1w", "t1n", "t1pre"),
    "PD": ("pd", "pdw"),
    "ADC": ("adc",),
    "DWI": ("dwi", "trace"),
}
_PAIRS = ("CT-PET", "T1CE-T2", "FLAIR-T1")  # paper Sec. V
_Reading = list[tuple[str | None, str]]  # of each path: the patient, None for a path without one, and the pattern
_MASK_WORDS = {"brain", "brainmask", "body", "bodymask", "foreground", "bet"}
_MOST_CODES = 16  # a volume with more values than this is an image
_AIR_HU = -500.0  # as mcd/imaging/preprocess.py: half-way between air and water
_BACKGROUND = 0.05  # share of zeros from which on 0 is taken for background
_LARGEST_CROP = 256  # voxels; beyond this a coarser grid is proposed


@dataclass
class Kind:
    """Files that have the same place in different patients' parts of the folder."""

    pattern: str
    files: dict[str, Path]
    name: str = ""  # the modality
    codes: dict[int, int] = field(default_factory=dict)  # of a label map: code -> in how many patients
    look: "_Look | None" = None  # into the first file that can be read

    @property
    def discrete(self) -> bool:
        """Whether it is a label map or a mask, as far as one file shows."""
        return self.look is not None and self.look.discrete

    @property
    def words(self) -> set[str]:
        return _words(self.pattern)


@dataclass(frozen=True)
class _Look:
    """What one file shows: few whole numbers or an image, its spacing in-plane and what it takes to hold its content."""

    discrete: bool
    lowest: float
    zeros: float  # share of the voxels
    spacing: float  # mm, the finer one in-plane
    extent: tuple[float, float]  # (x, y) mm of the content


@dataclass
class Guess:
    """What a folder seems to hold."""

    folder: Path
    patients: list[str]
    modalities: list[Kind]
    label: Kind | None
    mask: Kind | None
    others: list[tuple[Kind, str]]  # with the reason why they are left out
    settings: dict[str, object]  # of `preprocessing`
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
    kinds = _kinds(folder, _volumes(folder))
    for kind in kinds:
        kind.look = _look(kind)
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
            for code in _codes(label.files[name]) or ():
                label.codes[code] = label.codes.get(code, 0) + 1
    return Guess(folder, patients, modalities, label, mask, others, _settings(modalities, mask), _official(folder))


def write_guess(guess: Guess, sheet: Path, configuration: Path) -> None:
    """Write a sheet (TSV) of the complete patients and a commented configuration (YAML); neither may be there already."""
    for path in (sheet, configuration):
        if path.exists():
            raise McdError(f"{path}: is there already, and is not overwritten; move it, or choose another --output")
    if not guess.complete:
        raise McdError(
            f"{guess.folder}: no patient has {', '.join(kind.name for kind in guess.modalities)}; add the files"
        )
    columns = {kind.name: kind for kind in guess.modalities}
    columns |= {name: kind for name, kind in (("label", guess.label), ("mask", guess.mask)) if kind}
    lines = ["\t".join(["subject", *columns])]
    for patient, subject in zip(guess.complete, subject_ids(guess.complete), strict=True):
        files = [kind.files.get(patient) for kind in columns.values()]
        lines.append("\t".join([subject, *(str(path.relative_to(guess.folder)) if path else "" for path in files)]))
    for path, text in ((sheet, "\n".join(lines) + "\n"), (configuration, _yaml(guess, sheet))):
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def table_of(guess: Guess) -> list[tuple[str, str, str, str, str]]:
    """Return rows of (guess, pattern, files, patients without, remark) to show."""
    rows = []
    named = [(kind.name, kind) for kind in guess.modalities]
    named += [(name, kind) for name, kind in (("label", guess.label), ("mask", guess.mask)) if kind]
    for name, kind in named:
        missing = [patient for patient in guess.patients if patient not in kind.files]
        codes = ", ".join(f"{code} (in {count})" for code, count in sorted(kind.codes.items()))
        remark = (
            f"codes: {codes or 'none'}" if kind is guess.label else "reference" if kind is guess.modalities[0] else ""
        )
        rows.append((name, kind.pattern, str(len(kind.files)), _some(missing), remark))
    rows += [("left out", kind.pattern, str(len(kind.files)), "", reason) for kind, reason in guess.others]
    return rows


def subject_ids(names: list[str]) -> list[str]:
    """Return ids that may stand in file names; names that become alike get a number."""
    ids: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip("_.-") or "patient"
        number, free = 2, plain
        while free in ids:
            free, number = f"{plain}_{number}", number + 1
        ids.append(free)
    return ids


def _volumes(folder: Path) -> list[Path]:
    """Every volume below `folder`: files by their suffix, and folders that hold DICOM slices."""
    if not folder.is_dir():
        raise McdError(f"{folder}: no such folder; give the folder that holds the scans")
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files = sorted(Path(place) / name for name in names if not name.startswith("."))
        if Path(place) != folder and any(_is_dicom(path) for path in files[:3]):
            found.append(Path(place))
        else:
            found += [path for path in files if path.name.endswith(VOLUME_SUFFIXES)]
    if not found:
        raise McdError(
            f"{folder}: no volume in it ({', '.join(VOLUME_SUFFIXES)}, or folders of DICOM slices); give another"
        )
    return found


def _is_dicom(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _kinds(folder: Path, volumes: list[Path]) -> list[Kind]:
    """Find what of the paths is the patient: a folder at some depth, or how the file names begin; the rest is the pattern."""
    paths = [path.relative_to(folder) for path in volumes]
    depth = max(len(path.parts) for path in paths) - 1
    readings = [_by_folder(paths, level) for level in range(depth)] + [_by_name(paths)]
    best = max(readings, key=_plausibility)
    if not _plausibility(best):
        raise McdError(
            f"{folder}: no pattern that two patients share; sort the files into one folder a patient, with the same names in "
            "each, or write the sheet by hand (docs/own_scans.md)"
        )
    kinds: dict[str, Kind] = {}
    for (name, pattern), path in zip(best, volumes, strict=True):
        if name is not None:
            kinds.setdefault(pattern, Kind(pattern, {})).files[name] = path
    return list(kinds.values())


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


def _cuts(path: Path) -> list[tuple[str, str]]:
    """The ways to cut a name without its suffix in two, before a word."""
    stem = _stem(path)
    return [(stem[: cut.start()], stem[cut.start() :]) for cut in re.finditer(r"[_.-]", stem) if cut.start()]


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
    known = {word for words in _MODALITIES.values() for word in words}
    like_ids = sum(0 if _words(name) & known else 1 if any(map(str.isdigit, name)) else 0.5 for name in names)
    return shared / len(reading) * like_ids / len(names)


def _stem(path: Path) -> str:
    suffix = next((suffix for suffix in VOLUME_SUFFIXES if path.name.endswith(suffix)), "")
    return path.name.removesuffix(suffix)


def _words(text: str) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", text.lower())) - {""}


def _look(kind: Kind) -> _Look | None:
    for name in sorted(kind.files)[:3]:
        try:
            image = sitk.DICOMOrient(read_volume(kind.files[name]), "LPS")
        except McdError:
            continue  # `mcd check-cohort` will tell
        values = array_of(image)
        content = values > _AIR_HU if values.min() < _AIR_HU else values != 0
        spans = [
            np.flatnonzero(content.any(axis=(0, 3 - axis)))[[0, -1]] if content.any() else (0, 0) for axis in (2, 1)
        ]
        sides = image.GetSpacing()[:2]
        extent = tuple(float(span[1] - span[0] + 1) * side for span, side in zip(spans, sides, strict=True))
        discrete = _codes(kind.files[name]) is not None
        return _Look(discrete, float(values.min()), float((values == 0).mean()), min(sides), (extent[0], extent[1]))
    return None


def _codes(path: Path) -> set[int] | None:
    """The codes above 0 of a label map; None for an image, and for what cannot be read."""
    try:
        values = np.unique(array_of(read_volume(path)))
    except McdError:
        return None
    if len(values) > _MOST_CODES or values.min() < -1e-3 or np.abs(values - np.rint(values)).max() > 1e-3:
        return None
    return {int(code) for code in np.rint(values) if code > 0.5}


def _name(kinds: list[Kind]) -> None:
    """Call each kind of image by the modality that its pattern names, else by the words that the others have not."""
    common = set.intersection(*(kind.words for kind in kinds)) if len(kinds) > 1 else set()
    suffixes = {word for suffix in VOLUME_SUFFIXES for word in _words(suffix)}
    for number, kind in enumerate(kinds, start=1):
        own = kind.words - common - suffixes
        named = (name for name, words in _MODALITIES.items() if own & set(words))
        words = [word for word in re.split(r"[^A-Za-z0-9]+", kind.pattern) if word.lower() in own]
        kind.name = next(named, "") or "".join(words) or f"M{number}"
        if kind.name.lower() in RESERVED or not isinstance(yaml.safe_load(kind.name), str):
            kind.name = f"M{kind.name}"  # YAML would read 0000 as a number


def _one_each(kinds: list[Kind]) -> tuple[list[Kind], list[tuple[Kind, str]]]:
    """Of kinds of one name the one that most patients have; those that hardly any patient has are left out."""
    order = [*_MODALITIES, *sorted({kind.name for kind in kinds})]
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
    """Masks are those whose name says of what; of label maps the one that most patients have, beside the reference first."""

    def rank(kind: Kind) -> tuple[int, int, str]:
        return -len(kind.files), -len(os.path.commonpath([kind.pattern, reference.pattern])), kind.pattern

    masks = sorted((kind for kind in kinds if kind.words & _MASK_WORDS), key=rank)
    labels = sorted((kind for kind in kinds if not kind.words & _MASK_WORDS), key=rank)
    return next(iter(labels), None), next(iter(masks), None)


def _settings(modalities: list[Kind], mask: Kind | None) -> dict[str, object]:
    """Crop, spacing and regions that fit what the first files show."""
    rules = {kind.name: _rule(kind.look) for kind in modalities}
    settings: dict[str, object] = {"size": [160, 160], "spacing": [1.0, 1.0, 1.0], "statistics_region": rules}
    look = mask.look if mask and mask.look else modalities[0].look
    if look:
        spacing = 1.0
        while max(look.extent) / spacing > _LARGEST_CROP:
            spacing *= 2
        settings["size"] = [max(16, 16 * int(np.ceil(side / spacing / 16))) for side in look.extent]
        settings["spacing"] = [spacing] * 3
    return settings


def _rule(look: _Look | None) -> str:
    if look is None:
        return "nonzero"
    return "body" if look.lowest < _AIR_HU else "nonzero" if look.zeros > _BACKGROUND or look.lowest == 0 else "all"


def _official(folder: Path) -> str | None:
    """The official layout that a folder has, too, if any."""
    for name, layout in LAYOUTS.items():
        if name != "samplesheet":
            try:
                layout.subjects(folder)
            except (McdError, OSError):
                continue
            return name
    return None


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _yaml(guess: Guess, sheet: Path) -> str:
    names = [kind.name for kind in guess.modalities]
    pairs = [pair for pair in _PAIRS if set(pair.split("-")) <= set(names)]
    single = [name for name in names if name not in "-".join(pairs).split("-")]
    pairs += [f"{first}-{second}" for first, second in zip(single[::2], single[1::2], strict=False)]
    codes = sorted(guess.label.codes) if guess.label else []
    regions = {"target": codes or [1]} | ({f"code{code}": [code] for code in codes} if 1 < len(codes) < 8 else {})
    left_out = [patient for patient in guess.patients if patient not in guess.complete]
    rules = ", ".join(f"{name}: {rule}" for name, rule in guess.settings["statistics_region"].items())  # type: ignore[attr-defined]
    lines = [
        f"# A first configuration for {json.dumps(str(guess.folder))}, guessed by `mcd init-cohort`: correct it, then",
        "# `mcd check-cohort --config` this file. Every key is explained in docs/configuration.md.",
        "",
        "cohorts:",
        f"  {cohort_name(guess.folder)}:",
    ]
    if guess.layout:
        lines.append(
            f"    # the folder also has the official layout: `layout: {guess.layout}` with `folder` needs no sheet"
        )
    if left_out:
        lines.append(f"    # left out of the sheet, for they lack a modality: {_some(left_out)}")
    lines += [
        "    layout: samplesheet",
        f"    sheet: {json.dumps(os.path.abspath(sheet))}",
        f"    folder: {json.dumps(os.path.abspath(guess.folder))} # the sheet's paths count from here",
        f"    modalities: [{', '.join(names)}] # the first is the reference: its axes are the common grid's",
        f"    pairs: [{', '.join(pairs)}] # pre-trained together: take those that look least alike (paper Sec. V-C)",
        "    regions: # name -> codes of the label map; regions may overlap",
        *(f"      {name}: {list_}" for name, list_ in regions.items()),
        "    preprocessing:",
        f"      size: {guess.settings['size']} # voxels of the crop in-plane, multiples of 16: holds what one patient showed",
        f"      spacing: {guess.settings['spacing']} # mm",
        f"      statistics_region: {{{rules}}} # nonzero, body (CT) or all; a mask goes before it",
        "",
        "# What stands nowhere has the paper's value: 64 filters, 200 epochs of pre-training, which want a GPU.",
        "# For a first try on a CPU take away the marks:",
        "# filters: 8",
        "# pretraining: {epochs: 3}",
        "# finetuning: {epochs: 10, learning_rate: 0.005, warmup_epochs: 1}",
    ]
    return "\n".join(lines) + "\n"


def cohort_name(folder: Path) -> str:
    """Return a name for the cohort that the configuration allows."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", folder.resolve().name).strip("_") or "cohort"
