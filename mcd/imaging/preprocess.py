"""From a patient's raw files to the volumes that the networks see: one grid, one crop, z-scored intensities.

The paper's Sec. V: 1 mm isotropic voxels by nearest neighbour, an in-plane crop, clipping to the 1st and 99th
percentile, z-score over the non-zero region. The statistics are those of the cropped volume: what a network sees.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from mcd.errors import McdError
from mcd.files import access_mode, explained, read_json, sync, write_json
from mcd.imaging.geometry import Grid, array_of, nearest, resample
from mcd.imaging.io import read_volume
from mcd.imaging.options import PreprocessOptions
from mcd.imaging.raw import read_raw, share_inside
from mcd.imaging.registration import (
    WORKING_MM,
    Registration,
    coarse,
    register,
    surroundings,
    window,
)
from mcd.imaging.write_volume import write_volume
from mcd.leftovers import sweep, temporary_prefix
from mcd.subject import Subject
from mcd.version import code_version

INTERPOLATIONS = {"nearest": sitk.sitkNearestNeighbor, "linear": sitk.sitkLinear, "bspline": sitk.sitkBSpline}

LABEL_COVERS = 0.95
"""Share of the first modality's part of the crop that a label has to cover (our choice: a voxel more or less is no loss)."""

# Our choice: of a body's parts in a crop (two legs) each is kept that has a quarter of the largest one's voxels; a couch
# or a head rest has less.
_SMALLEST_PART = 0.25
_COARSE_MM = 3.0  # the body is found at this spacing where only its bounding box is wanted


@dataclass(frozen=True)
class Preprocessed:
    """A patient's volumes on one cropped grid.

    volumes: (z, y, x) float32 per modality, z-scored inside the region, 0 outside. label: (z, y, x) uint8 raw codes.
    regions: (z, y, x) booleans per modality, where there is content. grid: of all of them. info: what `info.json` says.
    """

    volumes: dict[str, np.ndarray]
    label: np.ndarray | None
    regions: dict[str, np.ndarray]
    grid: Grid
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def region(self) -> np.ndarray:
        """(z, y, x) booleans: where any modality has content."""
        return np.logical_or.reduce(list(self.regions.values()))


def preprocess_subject(subject: Subject, options: PreprocessOptions) -> Preprocessed:
    """Read, register where asked, resample, crop and normalise one patient (paper Sec. V, "data pre-processing").

    The first modality is the reference: its axes, turned to the nearest of left-posterior-superior, are those of the
    common grid, so that slices are axial. Label and mask lie in the reference's world. A registration that does not raise
    the similarity leaves a modality where its file has it, which `info["warnings"]` says.
    Raises `McdError` for unreadable files, an empty region, a constant image, labels that are not whole numbers in
    0..255, a label outside the crop, or a modality that does not overlap the crop.
    """
    rules = options.statistics_region
    for modality in rules if isinstance(rules, dict) else ():
        if modality not in subject.images:
            raise McdError(f"statistics_region: no modality {modality!r}; there are {', '.join(subject.images)}")
    raw = read_raw(subject, options)
    images, label, mask = raw.images, raw.label, raw.mask
    grid = _crop_grid(subject, next(iter(images.items())), mask, options)
    mask_there = nearest(mask, grid) > 0 if mask is not None else None
    registrations = _register(images, grid, mask, options)

    volumes, regions, statistics = {}, {}, {}
    for modality, image in images.items():
        transform = registrations[modality].transform if modality in registrations else None
        there = nearest(image, grid, transform, outside=np.nan)
        if modality in raw.outside:
            there[nearest(raw.outside[modality], grid, transform) > 0] = np.nan
        if np.isnan(there).all():
            raise McdError(
                f"{subject.images[modality]}: the {modality} of {subject.id} does not overlap the crop; "
                "check its header, the bounding box, or switch registration on"
            )
        values = there
        if options.interpolation != "nearest":
            kind = INTERPOLATIONS[options.interpolation]
            values = array_of(resample(_around(image, grid, transform), grid, transform, kind, outside=np.nan))
        covered = ~(np.isnan(there) | np.isnan(values))
        rule = "mask" if mask_there is not None else options.rule(modality)
        region = covered & (mask_there if mask_there is not None else _region(there, rule, options.body_threshold))
        volumes[modality], numbers = _normalise(values, region, options, f"{modality} of {subject.id}", rule)
        regions[modality] = region
        statistics[modality] = {"region": rule, "covered": float(covered.mean()), **numbers}

    info: dict[str, Any] = {
        "subject": subject.id,
        "mcd_version": code_version(),
        "modalities": list(volumes),
        "options": options.model_dump(),
        "boxed": subject.box is not None,
        "grid": grid.to_json(),
        "raw_grids": {name: found.to_json() for name, found in raw.grids.items()},
        "raw_digests": raw.digests,
        "registration": {modality: found.to_json() for modality, found in registrations.items()},
        "statistics": statistics,
        "label": None,
        "warnings": [
            *raw.notes,
            *(
                f"{modality} left unregistered: {found.problem}"
                for modality, found in registrations.items()
                if found.problem
            ),
        ],
    }
    codes = None
    if label is not None:
        codes = nearest(label, grid)
        info["label"] = _describe_label(label, codes, grid, subject)
        if cut := cut_label(info):
            info["warnings"].append(cut)
        seen = next(iter(info["statistics"].values()))["covered"]
        if (share := _covered(label, grid)) < LABEL_COVERS * seen:
            info["label"]["covered"] = round(share, 6)
            info["warnings"].append(short_label(info))
        if not codes.any():
            info["warnings"].append("the label is empty")
    return Preprocessed(volumes, codes, regions, grid, info)


def cut_label(info: Mapping[str, Any]) -> str:
    """How much of the label that a patient's `info.json` describes lies outside the crop; nothing if none does."""
    lost = info["label"]["lost"] if info["label"] else 0.0
    share = f"{lost:.1%}" if lost >= 0.0005 else "less than 0.1%"
    return f"{share} of the label's voxels lie outside the crop" if lost > 0 else ""


def short_label(info: Mapping[str, Any]) -> str:
    """What is to be said of a preprocessed patient whose label ends before the first modality does; nothing of others."""
    covered = (info["label"] or {}).get("covered")
    if covered is None:
        return ""
    reference, numbers = next(iter(info["statistics"].items()))
    return f"the label covers {covered:.0%} of the crop, {reference} {numbers['covered']:.0%}: beyond, all counts as background"


def write_preprocessed(pre: Preprocessed, folder: str | Path) -> None:
    """Write `<MODALITY>.nii.gz`, `label.nii.gz` (where labelled) and `info.json`; the folder appears whole or not.

    An older folder of that name is replaced, with all that is in it.
    """
    folder = Path(folder)
    with explained(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        sweep(folder.parent)
        temporary = tempfile.TemporaryDirectory(prefix=f"{temporary_prefix()}{folder.name}-", dir=folder.parent)
    with temporary:
        new, old = Path(temporary.name) / "new", Path(temporary.name) / "old"
        new.mkdir()
        new.chmod(access_mode(images=True, folder=True))
        try:
            for modality, volume in pre.volumes.items():
                write_volume(pre.grid.image(volume), new / f"{modality}.nii.gz")
            if pre.label is not None:
                write_volume(pre.grid.image(pre.label), new / "label.nii.gz")
            write_json(new / "info.json", pre.info, sealed=True)
        except McdError as error:  # by the name that the reader knows
            raise McdError(str(error).replace(str(new), str(folder))) from None
        with explained(folder):
            if folder.exists():
                os.replace(folder, old)  # a folder that is not empty cannot be replaced in one step
            os.replace(new, folder)
            sync(folder.parent)


def read_preprocessed(folder: str | Path) -> Preprocessed:
    """Return what `write_preprocessed` wrote; a region is where its volume is not 0. Raises `McdError` for gaps and damage."""
    folder = Path(folder)
    info = read_json(folder / "info.json")
    try:
        modalities, labelled, grid = list(info["modalities"]), info["label"] is not None, Grid.from_json(info["grid"])
    except (KeyError, TypeError, ValueError):
        raise McdError(
            f"{folder}: info.json is not that of a preprocessed patient; delete the folder to regenerate it"
        ) from None
    volumes = {modality: array_of(read_volume(folder / f"{modality}.nii.gz")) for modality in modalities}
    label = array_of(read_volume(folder / "label.nii.gz")) if labelled else None
    if any(volume.shape != grid.shape for volume in [*volumes.values(), *([] if label is None else [label])]):
        raise McdError(
            f"{folder}: its volumes and info.json are of different sizes; delete the folder to regenerate it"
        )
    regions = {modality: volume != 0 for modality, volume in volumes.items()}
    return Preprocessed(volumes, label, regions, grid, info)


def _crop_grid(
    subject: Subject, reference: tuple[str, sitk.Image], mask: sitk.Image | None, options: PreprocessOptions
) -> Grid:
    """Return the common grid: on the patient's box, else all slices of the reference with an in-plane crop."""
    modality, image = reference
    whole = Grid.of(sitk.DICOMOrient(image, "LPS")).respaced(options.spacing)
    size, spacing = np.asarray(options.size), np.asarray(whole.spacing)
    if subject.box is not None:
        low, high = np.asarray(subject.box[::2]), np.asarray(subject.box[1::2])
        slices = max(1, round(float(high[2] - low[2]) / spacing[2]))
        voxels = np.append(size, slices)
        start = whole.index((low + high)[None] / 2)[0] - (voxels - 1) / 2
        return whole.cropped(tuple(start.tolist()), tuple(voxels.tolist()))
    middle = (np.asarray(whole.size) - 1) / 2
    if options.centre == "region":
        middle = whole.index(_region_centre(modality, image, mask, options, subject.id)[None])[0]
    # A whole number of voxels keeps the raw voxels where they have the spacing already (BraTS): nothing is moved.
    start = np.round(middle[:2] - (size - 1) / 2 + 1e-6).astype(int)
    return whole.cropped((*start.tolist(), 0), (*size.tolist(), whole.size[2]))


def _register(
    images: dict[str, sitk.Image], grid: Grid, mask: sitk.Image | None, options: PreprocessOptions
) -> dict[str, Registration]:
    """Register each modality that is to be on the first one, where the crop is: what lies far from it need not fit."""
    reference, *others = images
    kinds = {modality: options.registration_of(modality) for modality in others}
    if all(kind == "off" for kind in kinds.values()):
        return {}

    def content(modality: str, image: sitk.Image) -> np.ndarray:
        if mask is not None:
            return array_of(resample(mask, Grid.of(image))) > 0
        return _region(sitk.GetArrayViewFromImage(image), options.rule(modality), options.body_threshold)

    place = grid.respaced((WORKING_MM,) * 3)
    fixed = resample(coarse(images[reference]), place, interpolation=sitk.sitkLinear, outside=np.nan)
    covered = ~np.isnan(array_of(fixed))
    fixed = place.image(np.nan_to_num(array_of(fixed), nan=float(np.nanmin(array_of(fixed)))))
    region = covered & content(reference, fixed)
    fixed = window(fixed, region, options.percentiles)
    found = {}
    for modality, kind in kinds.items():
        if kind != "off":
            moving = coarse(images[modality])
            its_region = content(modality, moving)
            moving = window(moving, its_region, options.percentiles)
            found[modality] = register(fixed, moving, covered & surroundings(region, place), its_region, kind)
    return found


def _region_centre(
    modality: str, image: sitk.Image, mask: sitk.Image | None, options: PreprocessOptions, subject_id: str
) -> np.ndarray:
    """Return the world point (x, y, z) in mm amid the bounding box of the mask or of the reference's region."""
    rule = "mask" if mask is not None else options.rule(modality)
    place = mask if mask is not None else image
    if rule == "body":  # connected components of a whole CT take seconds, of a coarse one hardly any time
        place = sitk.Shrink(place, [max(1, int(_COARSE_MM / side)) for side in place.GetSpacing()])
    values = sitk.GetArrayViewFromImage(place)
    region = _region(values, "nonzero" if rule == "mask" else rule, options.body_threshold)
    if not region.any():
        raise McdError(_no_region(rule, f"{modality} of {subject_id}"))
    bounds = [np.flatnonzero(region.any(axis=tuple({0, 1, 2} - {axis})))[[0, -1]] for axis in (2, 1, 0)]
    return Grid.of(place).world(np.mean(bounds, axis=1)[None])[0]


def _region(values: np.ndarray, rule: str, body_threshold: float) -> np.ndarray:
    """Return (z, y, x) booleans: the voxels of a raw volume that a rule counts as content."""
    if rule == "nonzero":
        return values != 0
    if rule == "all":
        return np.ones(values.shape, dtype=bool)
    from scipy import ndimage  # here alone: half of this module's import time, and only a body needs it

    parts, count = ndimage.label(values > body_threshold)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    body = (sizes >= _SMALLEST_PART * max(1, sizes.max()))[parts]
    # Slice by slice: in three dimensions the airways are open to the outside and would stay holes.
    return np.stack([ndimage.binary_fill_holes(plane) for plane in body])


def _around(image: sitk.Image, grid: Grid, transform: sitk.Transform | None, margin: int = 8) -> sitk.Image:
    """Return the part of `image` that `grid` needs, and `margin` voxels more: B-splines cost by the whole image."""
    corners = grid.world(grid.corners)
    if transform is not None:
        corners = np.asarray([transform.TransformPoint(corner.tolist()) for corner in corners])
    index = Grid.of(image).index(corners)
    low = np.maximum(0, np.floor(index.min(axis=0)).astype(int) - margin)
    high = np.minimum(image.GetSize(), np.ceil(index.max(axis=0)).astype(int) + margin + 1)
    return sitk.RegionOfInterest(image, (high - low).tolist(), low.tolist())


def _normalise(
    values: np.ndarray, region: np.ndarray, options: PreprocessOptions, name: str, rule: str
) -> tuple[np.ndarray, dict[str, float]]:
    """Return the clipped, z-scored volume (0 outside the region) and the numbers used, in the raw unit."""
    content = values[region].astype(np.float64)
    if not content.size:
        raise McdError(_no_region(rule, name))
    low, high = np.percentile(content, options.percentiles)
    np.clip(content, low, high, out=content)
    mean, sd = content.mean(), content.std()
    if not sd > 1e-6 * max(abs(low), abs(high)):
        raise McdError(f"{name}: constant over its region (all {mean:g} after clipping); give another image or a mask")
    volume = np.zeros(values.shape, dtype=np.float32)
    volume[region] = (content - mean) / sd
    numbers = {"p_low": low, "p_high": high, "mean": mean, "sd": sd}
    return volume, {"voxels": int(content.size), **{key: float(number) for key, number in numbers.items()}}


def _no_region(rule: str, name: str) -> str:
    remedy = "correct the mask" if rule == "mask" else "choose another statistics_region or give a mask"
    return f"{name}: no voxel in its region ({rule}) within the crop; {remedy}"


def _covered(label: sitk.Image, grid: Grid) -> float:
    """Return the share of a grid that lies within a label's own."""
    whole = sitk.Image(label.GetSize(), sitk.sitkUInt8) + 1
    whole.CopyInformation(label)
    return float((nearest(whole, grid) > 0).mean())


def _describe_label(raw: sitk.Image, codes: np.ndarray, grid: Grid, subject: Subject) -> dict[str, Any]:
    """Return the volume of every code on the common grid, and the fraction of raw labelled voxels beyond the crop."""
    inside = share_inside(raw, grid)
    lost = 1 - inside if inside is not None else 0.0
    if lost == 1:
        raise McdError(
            f"{subject.label}: the label of {subject.id} lies wholly outside the crop; "
            "enlarge size, change centre, or check the bounding box and the label's header"
        )
    counts = np.bincount(codes.ravel())
    volumes = {str(code): round(float(counts[code] * grid.voxel_ml), 4) for code in np.flatnonzero(counts) if code}
    held = {"regions": list(subject.regions)} if subject.regions else {}
    return {"ml": volumes, "lost": round(lost, 6), **held}
