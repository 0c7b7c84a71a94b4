"""A patient's raw files, read together: on one lattice where their headers mean one, and with what lies outside known."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mcd.digests import digest
from mcd.errors import McdError
from mcd.imaging.geometry import Grid
from mcd.imaging.io import Note, read_label, read_volume
from mcd.imaging.options import PreprocessOptions
from mcd.subject import Subject


@dataclass(frozen=True)
class RawVolumes:
    """A patient's volumes as their files have them.

    images: per modality. outside: (uint8, 1) where an image's file says "no value here", per modality that has such voxels;
    the image holds its background there. label: uint8 codes. mask: uint8, 1 inside. grids: as the files say, `label` among
    them. notes: of what was read although its header contradicts itself. digests: of each image's voxels, as they were read.
    """

    images: dict[str, sitk.Image]
    label: sitk.Image | None
    mask: sitk.Image | None
    outside: dict[str, sitk.Image] = field(default_factory=dict)
    grids: dict[str, Grid] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)


def read_raw(subject: Subject, options: PreprocessOptions) -> RawVolumes:
    """Read a patient's files.

    Volumes whose headers mean one lattice but for rounding are put on the very same one: a nearest neighbour that is as near as
    another one must be chosen alike in an image and in its label.
    Raises `McdError` as `mcd.imaging.io.read_volume` does, and for a label that is not of whole numbers in 0..255.
    """
    notes: list[str] = []

    def note_of(name: str, path: Path) -> Note:
        return lambda text: notes.append(
            f"{name}: {text.removeprefix(f'{path}: ')}"
        )  # pages show no paths of patients' files

    images = {
        name: read_volume(path, note=note_of(name, path), not_finite=options.not_finite)
        for name, path in subject.images.items()
    }
    grids = {name: Grid.of(image) for name, image in images.items()}
    digests = {name: digest([sitk.GetArrayViewFromImage(image).data]) for name, image in images.items()}
    outside = {}
    for name, image in images.items():
        gaps = np.isnan(sitk.GetArrayViewFromImage(image))
        if gaps.any():
            outside[name] = grids[name].image(gaps)
            if gaps.all():
                raise McdError(f"{subject.images[name]}: no voxel is a finite number; give another image")
            images[name] = _filled(image, gaps, options.rule(name))
    reference = next(iter(grids.values()))
    label = mask = None
    if subject.label:
        read = read_label(subject.label, reference, options.label_names, note=note_of("label", subject.label))
        label = whole_numbers(read, subject.label)
        grids["label"] = Grid.of(label)
    if subject.mask:
        inside = read_volume(subject.mask, note=note_of("mask", subject.mask), not_finite=options.not_finite)
        mask = inside > 0.5  # 0.99999997 is inside, too
    known: list[Grid] = []
    for name, image in images.items():
        images[name] = snapped(image, known)
        if name in outside:
            outside[name] = Grid.of(images[name]).image(sitk.GetArrayViewFromImage(outside[name]))
        known.append(Grid.of(images[name]))
    label = embedded(label, known) if label is not None else None
    mask = embedded(mask, known) if mask is not None else None
    return RawVolumes(images, label, mask, outside, grids, notes, digests)


def _filled(image: sitk.Image, gaps: np.ndarray, rule: str) -> sitk.Image:
    """Return an image with its background where it has no value: 0 by the rule "nonzero", else its lowest value."""
    values = sitk.GetArrayFromImage(image)
    values[gaps] = 0 if rule == "nonzero" else values[~gaps].min()
    return Grid.of(image).image(values)


def whole_numbers(label: sitk.Image, path: object) -> sitk.Image:
    """Return a label as uint8 codes: float codes are rounded; `McdError` unless they are whole numbers in 0..255."""
    values = sitk.GetArrayViewFromImage(label)
    if values.dtype == np.uint8:
        return label
    codes = np.zeros(values.shape, dtype=np.uint8)
    for plane, into in zip(values, codes, strict=True):  # a whole body's label has a hundred million voxels
        rounded = np.rint(plane) if plane.dtype.kind == "f" else plane
        if np.abs(plane - rounded).max() > 1e-3:
            raise McdError(f"{path}: not every voxel is a whole number; give a label map of codes, not probabilities")
        if rounded.min() < 0 or rounded.max() > 255:
            low, high = float(values.min()), float(values.max())
            raise McdError(f"{path}: codes from {low:g} to {high:g}; renumber the label within 0 to 255")
        into[...] = rounded
    return Grid.of(label).image(codes)


def share_inside(label: sitk.Image, grid: Grid) -> float | None:
    """Return the share of a label's voxels above 0 whose centres lie in a voxel of `grid`; None where there is none above 0."""
    own, values = Grid.of(label), sitk.GetArrayViewFromImage(label)
    ends = grid.index(own.world(np.vstack([np.zeros(3), np.eye(3)])))
    first, steps = ends[0], ends[1:] - ends[0]  # the index on `grid` of voxel (0, 0, 0), and of a step along x, y and z
    x, y = np.arange(own.size[0]), np.arange(own.size[1])[:, None]
    inside = total = 0
    for z, plane in enumerate(values):
        labelled = plane != 0
        count = int(np.count_nonzero(labelled))
        if count:
            for axis, size in enumerate(grid.size):
                index = first[axis] + steps[0, axis] * x + steps[1, axis] * y + steps[2, axis] * z
                labelled &= (index >= -0.5) & (index < size - 0.5)
            inside += int(np.count_nonzero(labelled))
            total += count
    return inside / total if total else None


def snapped(image: sitk.Image, known: list[Grid]) -> sitk.Image:
    """Return `image` on the first of the known grids that is its own but for rounding; itself where none is."""
    grid = Grid.of(image)
    for other in known:
        if grid.size == other.size and grid.start_on(other) == (0, 0, 0):
            return other.image(sitk.GetArrayViewFromImage(image))
    return image


def embedded(image: sitk.Image, known: list[Grid]) -> sitk.Image:
    """Return a label or mask on the first known grid of whose lattice it is a part, with 0 around; itself where there is none.

    What reaches beyond that grid keeps it as it is: it would be cut off.
    """
    grid = Grid.of(image)
    for other in known:
        start = grid.start_on(other)
        if start is None:
            continue
        stop = np.add(start, grid.size)
        if min(start) < 0 or (stop > other.size).any():
            continue
        whole = np.zeros(other.shape, sitk.GetArrayViewFromImage(image).dtype)
        x, y, z = (slice(first, last) for first, last in zip(start, stop.tolist(), strict=True))
        whole[z, y, x] = sitk.GetArrayViewFromImage(image)
        return other.image(whole)
    return image
