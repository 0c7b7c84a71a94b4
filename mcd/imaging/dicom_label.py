"""Labels that come as DICOM objects: SEG (a segmentation on a grid) and RTSTRUCT (contours), as maps of codes.

The code of a voxel is the number of its segment or region of interest, or where names are given, the code of its name. A label
map holds one code a voxel: where one segment lies wholly inside another, the inner one's number stands; any other overlap is
refused.
"""

from collections import defaultdict
from collections.abc import Container, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from mcd.errors import McdError
from mcd.imaging import contents
from mcd.imaging.dicom import SEGMENTATION, STRUCTURES, decoding, functional_group, header_of
from mcd.imaging.geometry import Grid
from mcd.imaging.options import plain_name

if TYPE_CHECKING:
    from pydicom import Dataset

_EXPORT = "export it again"


def dicom_object(path: Path) -> tuple[Path, "Dataset"] | None:
    """Return the SEG or RTSTRUCT that a cell names, itself or as a folder with it alone; None for anything else.

    A structure set that lies beside the series that it was drawn on does not make a label of that folder.
    """
    if not path.exists():  # a channel of a file, or a file that is missing, of which its reader says more
        return None
    files = [path] if not path.is_dir() else sorted(child for child in path.iterdir() if child.is_file())
    found = []
    for file in files:
        if contents.held_by(file) == contents.DICOM:
            header = header_of(file)
            if str(header.get("SOPClassUID", "")) in (*SEGMENTATION, STRUCTURES):
                found.append((file, header))
            elif header.get("Rows"):
                return None
    if len(found) > 1:
        names = ", ".join(file.name for file, _ in found[:3])
        raise McdError(f"{path}: {len(found)} DICOM segmentations in it ({names}); name the file of one")
    return found[0] if found else None


def codes_in(header: "Dataset") -> dict[int, str]:
    """Return the codes of a SEG or RTSTRUCT, the numbers of its segments or regions of interest, and what they are called."""
    if str(header.SOPClassUID) == STRUCTURES:
        return {int(roi.ROINumber): str(roi.get("ROIName", "")) for roi in header.get("StructureSetROISequence") or []}
    return {int(one.SegmentNumber): str(one.get("SegmentLabel", "")) for one in header.get("SegmentSequence") or []}


def names_of_codes(path: Path) -> dict[int, str]:
    """Return code -> what the segment or region of interest is called, of a SEG or RTSTRUCT; nothing of another label."""
    found = dicom_object(path)
    return codes_in(found[1]) if found else {}


def read_dicom_label(path: Path, header: "Dataset", grid: Grid, names: Mapping[str, int] | None = None) -> sitk.Image:
    """Return the codes of a SEG on its own grid, or of an RTSTRUCT on `grid`, the grid of the image that it was drawn on.

    Args:
        names: what a segment or region of interest is called -> its code (`PreprocessOptions.label_names`); others are left
            out. Without any, codes are the numbers in the file.

    Raises:
        McdError: for segments that overlap without one being inside the other, fractional segments, contours that lie beside
            the slices, objects without geometry, and where none has any of the names.
    """
    with decoding(path):
        codes = _codes_by_name(path, codes_in(header), names) if names else None
        if str(header.SOPClassUID) == STRUCTURES:
            return _combined(_coded(_structures(path, header, grid, codes), codes), grid, path)
        masks, own = _segments(path)
        return _combined(_coded(masks, codes), own, path)


def _codes_by_name(path: Path, called: Mapping[int, str], names: Mapping[str, int]) -> dict[int, int]:
    """Return number -> code, of those that have one of the names."""
    wanted = {plain_name(name): code for name, code in names.items()}
    found = {number: wanted[name] for number, text in called.items() if (name := plain_name(text)) in wanted}
    if not found:
        there = ", ".join(text.strip() for text in called.values()) or "nothing"
        raise McdError(f"{path}: has none of {', '.join(names)}, but {there}; add what is meant to label_names")
    return found


def _coded(masks: Mapping[int, np.ndarray], codes: Mapping[int, int] | None) -> Mapping[int, np.ndarray]:
    """Return the masks by code instead of number: those of one code together, those without one left out."""
    if codes is None:
        return masks
    found: dict[int, np.ndarray] = {}
    for number, mask in masks.items():
        if number in codes:
            found[codes[number]] = found[codes[number]] | mask if codes[number] in found else mask
    return found


def _combined(masks: Mapping[int, np.ndarray], grid: Grid, path: Path) -> sitk.Image:
    """Return one map of codes of masks (z, y, x), the outer ones written first."""
    if not masks:
        raise McdError(f"{path}: no segment in it; {_EXPORT}")
    if max(masks) > 255:
        raise McdError(f"{path}: the segment number {max(masks)} is above 255; renumber the segments")
    codes = np.zeros(grid.shape, np.uint8)
    for number in sorted(masks, key=lambda number: (-int(masks[number].sum()), number)):
        for outer in np.unique(codes[masks[number]]):
            if outer and (masks[number] & ~masks[int(outer)]).any():
                shared = int((masks[number] & masks[int(outer)]).sum())
                raise McdError(
                    f"{path}: the segments {outer} and {number} overlap in {shared} voxels, and a label has one code a voxel; "
                    "export them without overlap"
                )
        codes[masks[number]] = number
    return grid.image(codes)


def _segments(path: Path) -> tuple[dict[int, np.ndarray], Grid]:
    """Return the masks (z, y, x) of a SEG by segment number, and their grid: all slices from the first to the last frame."""
    header = header_of(path, whole=True)
    kind = str(header.get("SegmentationType", ""))
    if kind == "FRACTIONAL":
        raise McdError(f"{path}: a fractional SEG; export it as a binary one")
    groups = list(header.get("PerFrameFunctionalGroupsSequence") or [])

    def of(group: "Dataset", sequence: str) -> Any:
        said = functional_group(header, group, sequence)
        if said is None:
            raise McdError(f"{path}: a SEG without {sequence}, so where it lies is unknown; {_EXPORT}")
        return said

    try:
        axes = np.asarray(of(groups[0], "PlaneOrientationSequence").ImageOrientationPatient, dtype=float)
        measures = of(groups[0], "PixelMeasuresSequence")
        rows, columns = (float(side) for side in measures.PixelSpacing)
        positions = np.asarray(
            [of(group, "PlanePositionSequence").ImagePositionPatient for group in groups], dtype=float
        )
        frames = np.asarray(header.pixel_array)
    except (AttributeError, IndexError, TypeError, ValueError, NotImplementedError, RuntimeError):
        raise McdError(f"{path}: a SEG without frames, place or readable pixels; {_EXPORT}") from None
    frames = frames.reshape(len(groups), *frames.shape[-2:])
    normal = np.cross(axes[:3], axes[3:])
    along = positions @ normal
    places = np.unique(np.round(along, 3))
    step = _step(places, measures)
    index = np.rint((along - places[0]) / step).astype(int)
    if np.abs(along - places[0] - index * step).max() > 0.2 * step:
        raise McdError(f"{path}: the frames of the SEG are unevenly spaced; {_EXPORT}")
    lowest = positions[int(np.argmin(along))]
    direction = np.stack([axes[:3], axes[3:], normal], axis=1)
    size = (frames.shape[2], frames.shape[1], max(2, int(index.max()) + 1))
    grid = Grid(size, (columns, rows, step), tuple(lowest.tolist()), tuple(direction.ravel().tolist()))
    masks: dict[int, np.ndarray] = defaultdict(lambda: np.zeros(grid.shape, bool))
    for place, group, frame in zip(index, groups, frames, strict=True):
        if kind == "LABELMAP":
            for number in np.unique(frame[frame > 0]):
                masks[int(number)][place] |= frame == number
        else:
            number = int(of(group, "SegmentIdentificationSequence").ReferencedSegmentNumber)
            masks[number][place] |= frame > 0
    return dict(masks), grid


def _step(places: np.ndarray, measures: "Dataset") -> float:
    """Return the distance between slices: as the SEG says, else the least between its frames, since empty ones are left out."""
    said = measures.get("SpacingBetweenSlices") or (measures.get("SliceThickness") if len(places) < 2 else None)
    if said:
        return abs(float(said))
    return float(np.diff(places).min()) if len(places) > 1 else 1.0


def _structures(path: Path, header: "Dataset", grid: Grid, wanted: Container[int] | None) -> dict[int, np.ndarray]:
    """Return the masks (z, y, x) of an RTSTRUCT by the numbers of its regions of interest, all or some, on the grid that it was
    drawn on.
    """
    from matplotlib.path import Path as Outline  # here alone: it is slow to import

    masks: dict[int, np.ndarray] = {}
    for roi in header.get("ROIContourSequence") or []:
        if wanted is not None and int(roi.ReferencedROINumber) not in wanted:
            continue
        mask = np.zeros(grid.shape, bool)
        for contour in roi.get("ContourSequence") or []:
            if str(contour.get("ContourGeometricType", "")).upper() not in ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR"):
                continue  # points and lines enclose nothing
            points = grid.index(np.asarray([float(value) for value in contour.ContourData]).reshape(-1, 3))
            place = int(np.rint(points[:, 2].mean()))
            if np.abs(points[:, 2] - place).max() > 0.5 or not 0 <= place < grid.size[2]:
                raise McdError(
                    f"{path}: a contour of region {int(roi.ReferencedROINumber)} lies on no slice of the image; give the image "
                    "that it was drawn on as the first modality"
                )
            low = np.maximum(np.floor(points[:, :2].min(axis=0)).astype(int), 0)
            high = np.minimum(np.ceil(points[:, :2].max(axis=0)).astype(int) + 1, np.asarray(grid.size[:2]))
            if (high <= low).any():
                continue
            x, y = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
            inside = Outline(points[:, :2]).contains_points(np.column_stack([x.ravel(), y.ravel()])).reshape(x.shape)
            mask[place, low[1] : high[1], low[0] : high[0]] ^= inside  # a contour in a contour is a hole
        if mask.any():
            masks[int(roi.ReferencedROINumber)] = mask
    return masks
