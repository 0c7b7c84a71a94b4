"""Everything about a cohort that would stop or spoil a run later, found in one pass over its files.

Files are read and preprocessed by the workflow's own code, so what passes here passes there. One bad file is one finding, and
the next file is looked at.
"""

import hashlib
import multiprocessing
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from mcd.cohorts.findings import Finding
from mcd.cohorts.fit import gain, misfits
from mcd.errors import McdError, some
from mcd.imaging.alike import absent_regions, empty_region, unlike_others
from mcd.imaging.dicom_label import names_of_codes
from mcd.imaging.geometry import Grid, array_of
from mcd.imaging.io import read_label, read_volume
from mcd.imaging.options import PreprocessOptions
from mcd.imaging.preprocess import Preprocessed, cut_label, preprocess_subject, short_label
from mcd.imaging.raw import share_inside
from mcd.pair import Pair
from mcd.subject import Subject

LEAST_COVERED = 0.5  # our choice: below half of the reference's part of the crop, most of a slice has one modality only

_NUMBERED = re.compile(r"(.*\d.*)[-_.]\d+")  # with a number before the last one, which counts the persons


@dataclass
class Examined:
    """What one patient's files showed, small enough to send between processes."""

    subject: Subject
    findings: list[Finding] = field(default_factory=list)
    content: dict[str, str] = field(default_factory=dict)  # modality -> hash of its voxels
    codes: set[int] | None = None  # of the label above 0; None where there is none to read
    names: dict[int, str] = field(default_factory=dict)  # of codes, where the label gives them names
    gains: dict[Pair, float] = field(default_factory=dict)
    info: dict[str, Any] | None = None  # as preprocessing writes it; None where it failed


def check_cohort(
    subjects: Sequence[Subject],
    options: PreprocessOptions,
    regions: Mapping[str, Sequence[int]],
    pairs: Sequence[Pair],
    *,
    jobs: int = 1,
    progress: Callable[[Iterable[Examined]], Iterable[Examined]] = iter,
) -> list[Finding]:
    """Look at every file of every patient; return what was found, patient by patient, then what concerns several.

    Args:
        subjects: as `find_subjects` returns them, with the files that are there.
        regions: region -> the label codes that make it up.
        pairs: the modalities that are compared with one another.
        jobs: patients examined in parallel.
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
    gains: dict[Pair, list[tuple[Subject, float]]] = defaultdict(list)
    for one in examined:
        for pair, value in one.gains.items():
            if np.isfinite(value):
                gains[pair].append((one.subject, value))
    return [
        *found,
        *_persons(subjects),
        *_duplicates(examined),
        *_labels(examined, regions),
        *_unlike(examined),
        *misfits(gains),
    ]


def examine_subject(subject: Subject, options: PreprocessOptions, pairs: Sequence[Pair] = ()) -> Examined:
    """Read each of a patient's files, then preprocess them together, or one by one where that fails."""
    one = Examined(subject)
    files = {**subject.images, "label": subject.label, "mask": subject.mask}
    grids: dict[str, Grid] = {}
    for name, path in files.items():
        if path is None:
            continue
        try:
            image = _read(one, name, path, options, grids)
            grids[name] = Grid.of(image)
            if name in subject.images:
                one.content[name] = hashlib.sha256(array_of(image).astype(np.float32).data).hexdigest()
            elif name == "label":
                one.codes = _codes(image)
                one.names = {} if options.label_names else names_of_codes(Path(path))
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


def _read(one: Examined, name: str, path: Path, options: PreprocessOptions, grids: Mapping[str, Grid]) -> sitk.Image:
    """Read a file as preprocessing does; what its header contradicts is a finding."""

    def note(text: str) -> None:
        problem, _, remedy = text.removeprefix(f"{path}: ").partition("; ")
        _warn(one, path, problem, remedy)

    reference = next(iter(one.subject.images), "")
    if name == "label" and reference in grids:
        return read_label(path, grids[reference], options.label_names, note=note)
    return read_volume(path, note=note, not_finite="refuse" if name == "label" else options.not_finite)


def _preprocess(one: Examined, subject: Subject, options: PreprocessOptions, pairs: Sequence[Pair]) -> None:
    """Note what preprocessing says of the patient as a whole or, where that fails, of each file with the reference."""
    reference = next(iter(one.subject.images), None)
    if reference not in subject.images:
        return  # everything is measured against it; that it cannot be read is a finding already
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
            pre = preprocess_subject(part, options.model_copy(update={"statistics_region": rules}))
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


def _check_preprocessed(one: Examined, pre: Preprocessed, pairs: Sequence[Pair]) -> None:
    one.info = pre.info
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
    if problem := cut_label(pre.info):
        _warn(one, one.subject.label, problem, "enlarge size, or change centre")
    said = {finding.file for finding in one.findings}
    if (problem := short_label(pre.info)) and str(one.subject.label) not in said:  # else of another sign of the same
        remedy = "check the label's header: a label without one has voxels of 1 mm, wherever it was drawn"
        _warn(one, one.subject.label, problem, remedy)
    for pair in pairs:
        if set(pair.modalities) <= pre.volumes.keys():
            one.gains[pair] = gain(pre, *pair.modalities)


def _codes(label: sitk.Image) -> set[int]:
    values = np.unique(np.concatenate([np.unique(plane) for plane in sitk.GetArrayViewFromImage(label)]))
    return {int(code) for code in np.rint(values.astype(float)) if code > 0}


def _check_label_inside(one: Examined, label: sitk.Image, reference: Grid, name: str) -> None:
    inside = share_inside(label, reference)
    if inside is not None and inside < 1:
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


def _persons(subjects: Sequence[Subject]) -> list[Finding]:
    """Ids such as BraTS-GLI-00000-000 and BraTS-GLI-00000-001 are most likely scans of one person."""
    if any(subject.person for subject in subjects):
        return []
    scans: dict[str, list[str]] = defaultdict(list)
    for subject in subjects:
        if match := _NUMBERED.fullmatch(subject.id):
            scans[match[1]].append(subject.id)
    alike = sorted(name for names in scans.values() if len(names) > 1 for name in names)
    if not alike or len(scans) == 1:  # one stem for all is the cohort's name
        return []
    problem = f"the ids of {len(alike)} patients differ from another's in the last number only: {some(alike)}"
    remedy = "where they are scans of one person, give all of them its name in the sheet's column patient"
    return [Finding("warning", "", "", problem, remedy)]


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
    if all(one.subject.label is None for one in examined):
        found.append(
            Finding("warning", "", "", "no patient has a label", "add labels to fine-tune; to pre-train needs none")
        )
    wanted = {code for codes in regions.values() for code in codes}
    holders: dict[int, list[str]] = defaultdict(list)
    for one in examined:
        for code in one.codes or ():
            holders[code].append(one.subject.id)
    for code in sorted(set(holders) - wanted):
        called = ", ".join(dict.fromkeys(one.names[code] for one in examined if one.names.get(code)))
        shown = f"{code} ({called})" if called else code
        problem = f"code {shown} is in no region, and in {len(holders[code])} labels: {some(holders[code])}"
        found.append(Finding("warning", "", "", problem, "add it to `regions`, if it is not meant to be background"))
    found += _names_that_differ(examined)
    if any(one.codes is not None for one in examined):
        for region in absent_regions(regions, holders):
            empty = empty_region(region, regions[region])
            found.append(Finding("error", "", "", empty.problem, empty.remedy))
    return found


def _names_that_differ(examined: Sequence[Examined]) -> list[Finding]:
    """Codes of DICOM labels are numbers of segments or regions of interest, which a clinic counts anew for each patient."""
    called: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for one in examined:
        for code in (one.codes or set()) & one.names.keys():
            called[code][one.names[code].strip().casefold()].append(one.subject.id)
    found = []
    for code, names in sorted(called.items()):
        if len(names) > 1:
            each = "; ".join(f"{name or 'without a name'} in {some(patients)}" for name, patients in names.items())
            remedy = "where these are different things, choose them by name: preprocessing: {label_names: {NAME: CODE}}"
            found.append(Finding("warning", "", "", f"code {code} of the labels has several names: {each}", remedy))
    return found


def _unlike(examined: Sequence[Examined]) -> list[Finding]:
    """What sets patients apart that preprocessing took without an error."""
    subjects = {one.subject.id: one.subject for one in examined}
    found = unlike_others({one.subject.id: one.info for one in examined if one.info is not None})
    return [
        Finding(
            "warning",
            unlike.patient,
            str(subjects[unlike.patient].images[unlike.modality]) if unlike.patient else "",
            unlike.problem,
            unlike.remedy,
        )
        for unlike in found
    ]


def _warn(one: Examined, path: Path | None, problem: str, remedy: str) -> None:
    one.findings.append(Finding("warning", one.subject.id, str(path), problem, remedy))


def _unexpected(error: Exception, patient: str, path: Path | None) -> Finding:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return Finding("error", patient, str(path or ""), f"not usable ({reason})", "export or convert it again")
