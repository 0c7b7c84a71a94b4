"""Everything about a cohort that would stop or spoil a run later, found in one pass over its files.

Files are read and preprocessed by the workflow's own code, so what passes here passes there. One bad file is one finding, and
the next file is looked at.
"""

import csv
import hashlib
import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import astuple, dataclass, field, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mcd.errors import McdError
from mcd.files import atomic_path
from mcd.imaging.geometry import Grid, array_of
from mcd.imaging.io import read_volume
from mcd.imaging.preprocess import Preprocessed, PreprocessOptions, preprocess_subject
from mcd.subject import Subject

# Our choices. Two modalities share more information as they lie than 20 mm apart: 1.34 to 10 times as much in six real and
# eight simulated patients; shifted by 20 or 40 mm in-plane, upside down, or with another patient's second modality mostly less
# than 1.25 times. A brain has so much more (3.4 at least) that another patient's shows beside the cohort only: it has at
# most 0.35 of the patients' median, and the right one 0.57 at least. docs/own_scans.md has the numbers.
LEAST_GAIN = 1.25
LEAST_SHARE_OF_MEDIAN = 0.4
_ENOUGH_FOR_A_MEDIAN = 4  # patients
_APART_MM = 20.0
_COARSE_MM = 4.0  # finer detail than this says little about where a body lies
_BINS = 32
_FEWEST_VOXELS = 4 * _BINS**2  # fewer leave the joint histogram empty, and any two images seem to share something

LEAST_COVERED = 0.5  # our choice: below half of the reference's part of the crop, most of a slice has one modality only


@dataclass(frozen=True)
class Finding:
    """One row: `severity` is "error" (a run would stop, or be worth nothing) or "warning"; `patient` "" is the cohort."""

    severity: str
    patient: str
    file: str
    problem: str
    remedy: str

    @classmethod
    def of(cls, error: McdError, patient: str, file: str = "") -> "Finding":
        """Take an error's line, "file or key: what is wrong; what to do", apart. `file` goes before what the line names."""
        where, _, rest = str(error).partition(": ")
        problem, separator, remedy = rest.rpartition("; ")
        return cls(
            "error", patient, file or where, problem if separator else rest or where, remedy if separator else ""
        )


@dataclass
class Examined:
    """What one patient's files showed, small enough to send between processes."""

    subject: Subject
    findings: list[Finding] = field(default_factory=list)
    content: dict[str, str] = field(default_factory=dict)  # modality -> hash of its voxels
    codes: set[int] | None = None  # of the label above 0; None where there is none to read
    gains: dict[str, float] = field(default_factory=dict)  # pair -> `gain`


def check_cohort(
    subjects: Sequence[Subject],
    options: PreprocessOptions,
    regions: Mapping[str, Sequence[int]],
    pairs: Sequence[str],
    *,
    jobs: int = 1,
    progress: Callable[[Iterable[Examined]], Iterable[Examined]] = iter,
) -> list[Finding]:
    """Look at every file of every patient; return what was found, patient by patient, then what concerns several.

    Args:
        subjects: as `find_subjects` returns them, with the files that are there.
        regions: region -> the label codes that make it up.
        pairs: two modalities joined by a hyphen, which are compared with one another.
        jobs: patients looked at side by side.
        progress: wraps the patients as they come, for a progress bar.
    """
    examine = partial(examine_subject, options=options, pairs=tuple(pairs))
    if jobs == 1:
        examined = list(progress(map(examine, subjects)))
    else:
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
            try:
                examined = list(progress(pool.map(examine, subjects)))
            except BrokenProcessPool:
                raise McdError("a process was killed, most likely for want of memory; give fewer --jobs") from None
    found = [finding for one in examined for finding in one.findings]
    return [*found, *_duplicates(examined), *_labels(examined, regions), *_misfits(examined)]


def examine_subject(subject: Subject, options: PreprocessOptions, pairs: Sequence[str] = ()) -> Examined:
    """Read each of a patient's files, then preprocess them together, or one by one where that fails."""
    one = Examined(subject)
    files = {**subject.images, "label": subject.label, "mask": subject.mask}
    grids: dict[str, Grid] = {}
    for name, path in files.items():
        if path is None:
            continue
        try:
            image = read_volume(path)
            grids[name] = Grid.of(image)
            if name in subject.images:
                one.content[name] = hashlib.sha256(array_of(image).astype(np.float32).data).hexdigest()
            elif name == "label":
                one.codes = _codes(image)
                if subject.images and (reference := next(iter(subject.images))) in grids:
                    _check_label_inside(one, image, grids[reference], reference)
        except McdError as error:
            one.findings.append(Finding.of(error, subject.id))
        except (
            Exception
        ) as error:  # a file may be broken in a way that nobody has thought of; the next ones still count
            one.findings.append(_unexpected(error, subject.id, path))
    if one.codes == set():
        _warn(one, subject.label, "the label is empty", "draw it; for a patient without a tumour this is right")
    _check_lost_geometry(one, grids)
    if subject.mask is None or "mask" in grids:
        readable = {name: path for name, path in subject.images.items() if name in grids}
        whole = replace(subject, images=readable, label=subject.label if "label" in grids else None)
        _preprocess(one, whole, options, pairs)
    return one


def write_findings(findings: Sequence[Finding], path: str | Path) -> None:
    """Write a CSV with one row a finding."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([column.name for column in fields(Finding)])
        writer.writerows(astuple(finding) for finding in findings)


def print_findings(findings: Sequence[Finding]) -> None:
    """Print errors, then warnings, as tables."""
    for severity in ("error", "warning"):
        rows = [astuple(finding)[1:] for finding in findings if finding.severity == severity]
        if rows:
            print_table([f"{severity}s: patient", *(column.name for column in fields(Finding)[2:])], rows)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with aligned columns, and an empty line after it."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, ["-" * width for width in widths], *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()


def gain(pre: Preprocessed, first: str, second: str) -> float:
    """Return how many times the mutual information of two modalities as they lie is that of the two 20 mm apart.

    The mean over both directions of every axis that is long enough; within either one's region. NaN where there is too
    little to tell.
    """
    sides = pre.grid.spacing[::-1]
    steps = [max(1, round(_COARSE_MM / side)) for side in sides]
    coarse = tuple(slice(None, None, step) for step in steps)
    one, other = ((pre.volumes[name][coarse], pre.regions[name][coarse]) for name in (first, second))
    apart = [round(_APART_MM / (side * step)) for side, step in zip(sides, steps, strict=True)]
    shifts = [
        tuple(sign * voxels if axis == along else 0 for axis in range(3))
        for along, voxels in enumerate(apart)
        if 0 < voxels < one[0].shape[along] // 2
        for sign in (1, -1)
    ]
    here = _mutual_information(one, other, (0, 0, 0))
    displaced = [_mutual_information(one, other, shift) for shift in shifts]
    return here / float(np.mean(displaced)) if displaced and np.mean(displaced) > 0 else float("nan")


def _mutual_information(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray], shift: tuple[int, ...]
) -> float:
    """The mutual information in nats of two (volume, region), the second moved by `shift` voxels; NaN for too few."""
    ahead = tuple(slice(max(0, voxels), min(0, voxels) or None) for voxels in shift)
    behind = tuple(slice(max(0, -voxels), min(0, -voxels) or None) for voxels in shift)
    inside = one[1][ahead] | other[1][behind]
    if inside.sum() < _FEWEST_VOXELS:
        return float("nan")
    joint = np.histogram2d(one[0][ahead][inside], other[0][behind][inside], bins=_BINS)[0]
    joint /= joint.sum()
    return _entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1)) - _entropy(joint)


def _entropy(shares: np.ndarray) -> float:
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def _preprocess(one: Examined, subject: Subject, options: PreprocessOptions, pairs: Sequence[str]) -> None:
    """Note what preprocessing says of the patient as a whole or, where that fails, of each file with the reference."""
    reference = next(iter(one.subject.images), None)
    if reference not in subject.images:
        return  # everything is measured against it, and that it cannot be read stands in the table
    parts = [subject, replace(subject, images={reference: subject.images[reference]}, label=None)]
    parts += [
        replace(subject, images={reference: subject.images[reference], name: path}, label=None)
        for name, path in subject.images.items()
        if name != reference
    ]
    parts += [replace(parts[1], label=subject.label)] if subject.label else []
    seen: set[str] = set()
    for part in parts:
        rules = {name: options.rule(name) for name in part.images}  # a rule for a modality that is not there is refused
        try:
            pre = preprocess_subject(part, replace(options, statistics_region=rules))
        except Exception as error:
            if str(error) not in seen:
                seen.add(str(error))
                one.findings.append(_preprocessing_failed(error, subject))
            if part is parts[1]:
                return  # what the reference lacks, every other part would lack again
        else:
            if part is subject:
                _check_preprocessed(one, pre, pairs)
                return


def _preprocessing_failed(error: Exception, subject: Subject) -> Finding:
    if not isinstance(error, McdError):
        return _unexpected(error, subject.id, None)
    files = [str(path) for name, path in subject.images.items() if str(error).startswith(f"{name} of {subject.id}: ")]
    return Finding.of(error, subject.id, files[0] if files else "")


def _check_preprocessed(one: Examined, pre: Preprocessed, pairs: Sequence[str]) -> None:
    covered = {name: numbers["covered"] for name, numbers in pre.info["statistics"].items()}
    reference = next(iter(covered))
    for name, share in covered.items():
        if share < LEAST_COVERED * covered[reference]:
            problem = f"covers {share:.0%} of the crop, {reference} {covered[reference]:.0%}"
            _warn(one, one.subject.images[name], problem, "check its field of view; a smaller size may leave it out")
    for name, registration in pre.info["registration"].items():
        if registration["problem"]:
            problem = f"not registered on {reference}: {registration['problem']}"
            _warn(one, one.subject.images[name], problem, "look at both in a viewer, and move one near the other")
    lost = pre.info["label"]["lost"] if pre.info["label"] else 0.0
    if lost > 0:
        problem = f"{lost:.1%} of the label's voxels lie outside the crop"
        _warn(one, one.subject.label, problem, "enlarge size, or change centre")
    for pair in pairs:
        first, second = pair.split("-")
        if first in pre.volumes and second in pre.volumes:
            one.gains[pair] = gain(pre, first, second)


def _codes(label: sitk.Image) -> set[int]:
    values = np.unique(sitk.GetArrayViewFromImage(label))
    return {int(code) for code in np.rint(values.astype(float)) if code > 0}


def _check_label_inside(one: Examined, label: sitk.Image, reference: Grid, name: str) -> None:
    index = np.argwhere(sitk.GetArrayViewFromImage(label))[:, ::-1]
    if not len(index):
        return
    inside = float(reference.contains(reference.index(Grid.of(label).world(index))).mean())
    if inside < 1:
        remedy = "check its header: a label lies in the world of the first modality"
        _warn(one, one.subject.label, f"{1 - inside:.1%} of the label's voxels lie outside {name}", remedy)


def _check_lost_geometry(one: Examined, grids: Mapping[str, Grid]) -> None:
    """A label or mask that was saved without its header has an image's size and lies elsewhere."""
    for name in ("label", "mask"):
        if name not in grids:
            continue
        alike = {image: grid for image, grid in grids.items() if image != name and grid.size == grids[name].size}
        corners = np.asarray([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]) * (np.asarray(grids[name].size) - 1)
        moved = {
            image: float(np.linalg.norm(grid.world(corners) - grids[name].world(corners), axis=1).max())
            for image, grid in alike.items()
        }
        if moved and min(moved.values()) > max(grids[name].spacing):
            image = min(moved, key=lambda image: moved[image])
            problem = f"the {name} has the size of {image}, but a corner lies {moved[image]:.1f} mm elsewhere"
            remedy = f"if it was drawn on {image}, copy that image's origin, spacing and direction"
            _warn(one, getattr(one.subject, name), problem, remedy)


def _duplicates(examined: Sequence[Examined]) -> list[Finding]:
    first: dict[str, tuple[str, str]] = {}
    found = []
    for one in examined:
        for modality, content in one.content.items():
            patient, other = first.setdefault(content, (one.subject.id, modality))
            if (patient, other) != (one.subject.id, modality):
                problem = f"the same voxels as {other} of {patient}"
                remedy = (
                    "give the right file"
                    if patient == one.subject.id
                    else "keep one of the two, or give the right file"
                )
                found.append(Finding("error", one.subject.id, str(one.subject.images[modality]), problem, remedy))
    return found


def _labels(examined: Sequence[Examined], regions: Mapping[str, Sequence[int]]) -> list[Finding]:
    """What the labels of a cohort must have in common."""
    found = []
    unlabelled = [one.subject for one in examined if one.subject.label is None]
    if len(unlabelled) == len(examined):
        found.append(
            Finding("warning", "", "", "no patient has a label", "add labels to fine-tune; to pre-train needs none")
        )
    elif unlabelled:
        problem = f"{len(unlabelled)} of {len(examined)} patients have no label: {_some(s.id for s in unlabelled)}"
        found.append(Finding("error", "", "", problem, "give all patients of a cohort a label, or none"))
    wanted = {code for codes in regions.values() for code in codes}
    holders: dict[int, list[str]] = defaultdict(list)
    for one in examined:
        for code in one.codes or ():
            holders[code].append(one.subject.id)
    for code in sorted(set(holders) - wanted):
        problem = f"code {code} stands in no region; it is in {len(holders[code])} labels: {_some(holders[code])}"
        found.append(Finding("warning", "", "", problem, "add it to `regions`, if it is not meant to be background"))
    if any(one.codes is not None for one in examined):
        for region, codes in regions.items():
            if not set(codes) & set(holders):
                problem = f"region {region}: none of its codes ({', '.join(map(str, codes))}) is in any label"
                found.append(Finding("error", "", "", problem, "correct `regions`"))
    return found


def _misfits(examined: Sequence[Examined]) -> list[Finding]:
    """The patients whose modalities share suspiciously little."""
    gains: dict[str, list[tuple[Subject, float]]] = defaultdict(list)
    for one in examined:
        for pair, value in one.gains.items():
            if np.isfinite(value):
                gains[pair].append((one.subject, value))
    found = []
    for pair, values in gains.items():
        usual = float(np.median([value for _, value in values])) if len(values) >= _ENOUGH_FOR_A_MEDIAN else 0.0
        first, second = pair.split("-")
        for subject, value in values:
            if value < max(LEAST_GAIN, LEAST_SHARE_OF_MEDIAN * usual):
                beside = f", {usual:.1f} in the cohort's median" if usual else ""
                problem = f"fits {first} hardly better than 20 mm away ({value:.2f} times the information{beside})"
                remedy = "look at both in a viewer: not registered, flipped, or another patient's?"
                found.append(Finding("warning", subject.id, str(subject.images[second]), problem, remedy))
    return found


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _warn(one: Examined, path: Path | None, problem: str, remedy: str) -> None:
    one.findings.append(Finding("warning", one.subject.id, str(path), problem, remedy))


def _unexpected(error: Exception, patient: str, path: Path | None) -> Finding:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return Finding("error", patient, str(path or ""), f"not usable ({reason})", "export or convert it again")
