"""DICOM images: a folder with one series, or a file with many frames. Every slice's header is checked against the others'.

Headers are read with pydicom; voxels of a series with ITK, whose GDCM decodes what scanners and archives compress with.
"""

import logging
import re
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from mcd.errors import McdError, last_line
from mcd.imaging import contents
from mcd.imaging.geometry import Grid

if TYPE_CHECKING:
    from pydicom import Dataset

SEGMENTATION = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # SEG, and SEG as a label map
STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"  # RTSTRUCT
_ITK_READER = "GDCMImageIO"  # named: looking for one that takes a damaged slice costs seconds more
_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"  # RTDOSE: an image of its own beside the CT that it was planned on

# Our choices: how far a slice may lie from where an even grid has it, as a share of the distance between slices, and how far
# all of them may drift sideways, as a share of a pixel. Within, no voxel is ever a neighbour's.
_LARGEST_STRAY = 0.2
_LARGEST_DRIFT = 0.5
_SAME_PLACE_MM = 1e-3
_NEEDED = [
    "SOPClassUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "Units",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "BitsAllocated",
    "PixelRepresentation",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "ImagerPixelSpacing",
    "SegmentSequence",
    "ROIContourSequence",
    "StructureSetROISequence",
]
_CODED = [
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "SOPClassUID",
    "ImageType",
    "Rows",
    "Columns",
]
_CONVERT = "convert it to NIfTI (dcm2niix)"
_EXPORT = "export the series again"


@dataclass(frozen=True)
class Slice:
    """One image of a series, or one frame of a file: what a message calls it, its header, and where its first pixel lies."""

    name: str
    header: "Dataset"
    position: np.ndarray
    axes: np.ndarray
    pixel: tuple[float, float]

    @property
    def normal(self) -> np.ndarray:
        """The direction (3,) in which slices are stacked."""
        return np.cross(self.axes[:3], self.axes[3:])


@contextmanager
def decoding(place: str | Path) -> Iterator[None]:
    """Turn whatever damaged bytes make pydicom raise into one line; its own words, and its warnings, may quote the header."""
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except McdError:
            raise
        except Exception as error:
            raise McdError(f"{place}: a damaged DICOM header ({type(error).__name__}); {_EXPORT}") from None


def header_of(path: str | Path, whole: bool = False) -> "Dataset":
    """Return what is needed of a DICOM file's header, decoded; all of the file, its pixels too, if `whole`."""
    import pydicom  # here alone: few patients come as DICOM, and it takes a fifth of a second

    with decoding(path):
        header = pydicom.dcmread(
            path, stop_before_pixels=not whole, force=True, specific_tags=None if whole else _NEEDED
        )
        for _ in header.iterall():  # pydicom decodes an element when it is looked at
            pass
        return header


@dataclass(frozen=True)
class Codes:
    """What the coded fields of a file say: whose and of what it is, and whether it holds an image."""

    patient: str
    study: str
    series: str
    modality: str
    kind: str
    image: bool
    localiser: bool


def codes_of_file(path: Path) -> Codes:
    """Return a DICOM file's coded fields, without any text that people write."""
    import pydicom

    with decoding(path):
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=_CODED)
        kind = str(header.get("SOPClassUID", ""))
        return Codes(
            patient=str(header.get("PatientID", "")),
            study=str(header.get("StudyInstanceUID", "")),
            series=str(header.get("SeriesInstanceUID", "")),
            modality=str(header.get("Modality", "")).strip().upper(),
            kind=kind,
            image=bool(header.get("Rows") and header.get("Columns")) and kind not in (*SEGMENTATION, _DOSE),
            localiser="LOCALIZER" in [str(value).upper() for value in header.get("ImageType") or ()],
        )


def functional_group(header: "Dataset", group: "Dataset", sequence: str) -> "Dataset | None":
    """Return what a frame's own group says of one thing, else what the group that all frames share says; None for neither."""
    for place in (group, *(header.get("SharedFunctionalGroupsSequence") or ())[:1]):
        if place.get(sequence):
            return place.get(sequence)[0]
    return None


def series_files(place: str | Path) -> list[str]:
    """Return the files of a DICOM series in the order in which `read_series` stacks them.

    `place` is the folder with it alone, or one of its slices.
    """
    place = Path(place)
    folder, slice_ = (place, None) if place.is_dir() else (place.parent, place)
    with decoding(folder):
        found = _series(folder, slice_)
        return list(map(str, found)) if _is_of_frames(found) else [one.name for one in _in_order(found, folder)]


def read_dicom_file(path: Path) -> sitk.Image:
    """Return the image of a file with many frames, or that of the series which a file with one slice is of."""
    with decoding(path):
        header = header_of(path)
        _check_image(header, str(path))
        if _frames(header) > 1 or header.get("ImagePositionPatient") is None:
            return read_frames(path)
    return read_series(path.parent, path)


def read_series(folder: Path, slice_: Path | None = None) -> sitk.Image:
    """Return the image of a folder that holds one DICOM series, rescaled slice by slice, as float32.

    Other DICOM files (DICOMDIR, reports, structure sets) may lie beside the series, and other series where `slice_`, one of
    its files, says which is meant.

    Raises:
        McdError: that names the file which is damaged or does not fit the others; for slices that are missing, unevenly
            spaced or doubled, and for a folder with no series or with several.
    """
    with decoding(folder):
        found = _series(folder, slice_)
        if _is_of_frames(found):
            return read_frames(next(iter(found)))
        slices = _in_order(found, folder)
        files, grid = [one.name for one in slices], _grid(slices, folder)
        if str(slices[0].header.get("PhotometricInterpretation")) != "MONOCHROME1":  # which all slices have, or none
            return _placed(_read(files, folder), grid)
        with tempfile.TemporaryDirectory(prefix="mcd-") as temporary:
            return _placed(_read(_as_monochrome2(files, Path(temporary)), folder), grid)


def read_frames(path: Path) -> sitk.Image:
    """Return the image of one DICOM file with many frames (enhanced CT, MR or PET), each rescaled as it says, as float32.

    Raises:
        McdError: for a file with one slice, frames without a place, frames that are missing or doubled, and a compression
            that only other tools decode.
    """
    with decoding(path):
        return _read_frames(header_of(path, whole=True), path)


def _read_frames(header: "Dataset", path: Path) -> sitk.Image:
    _check_image(header, str(path))
    count = _frames(header)
    if count == 1:
        raise McdError(f"{path}: one slice of a series; give the folder that holds them all")
    groups = list(header.get("PerFrameFunctionalGroupsSequence") or [])
    if len(groups) != count:
        raise McdError(f"{path}: {count} frames, and where they lie is not in the file; {_CONVERT}")
    frames = [_frame(header, group, f"{path}, frame {number}") for number, group in enumerate(groups, start=1)]
    try:
        stored = header.pixel_array
    except Exception:  # no decoder, or damaged
        syntax = getattr(header.file_meta.get("TransferSyntaxUID"), "name", "unknown syntax")
        raise McdError(f"{path}: its frames cannot be decoded ({syntax}); {_CONVERT}") from None
    order = sorted(range(count), key=lambda number: _along(frames[number], frames[0]))
    slices = [frames[number] for number in order]
    _check_places(slices, path)
    values = np.empty(stored.shape, np.float32)
    for place, number in enumerate(order):
        slope, intercept = _rescale(header, groups[number])
        values[place] = stored[number] * slope + intercept
    return _grid(slices, path).image(values)


def _series(folder: Path, slice_: Path | None = None) -> dict[Path, "Dataset"]:
    """Return the headers by file of a folder's one series, or of the one that `slice_` is of; each of an image."""
    headers, others = _headers(folder)
    series: dict[str, dict[Path, Dataset]] = defaultdict(dict)
    for path, header in headers.items():
        series[str(header.get("SeriesInstanceUID", ""))][path] = header
    if not series:
        raise _no_series(folder)
    if slice_ is not None:
        chosen = [files for files in series.values() if slice_ in files]
        if not chosen:
            raise McdError(f"{slice_}: a DICOM file without an image of a series; give a slice, or the folder of one")
        found = chosen[0]
    elif (
        len(series) > 1
    ):  # told apart by file names: a description in the header may hold anything, a person's name too
        choices = ", ".join(sorted(f"{len(files)} slices, {min(files).name} the first" for files in series.values()))
        raise McdError(
            f"{folder}: {len(series)} DICOM series in it ({choices}); name a slice of the one that is meant, or give each a "
            "folder of its own"
        )
    else:
        found = next(iter(series.values()))
    _check_no_other_slice(found, others)
    for path, header in found.items():
        _check_image(header, str(path))
    if len(found) > 1 and (several := [path for path, header in found.items() if _frames(header) > 1]):
        raise McdError(f"{several[0]}: one of {len(found)} files with many frames each; {_CONVERT}")
    return found


def _frames(header: "Dataset") -> int:
    return int(header.get("NumberOfFrames") or 1)


def _is_of_frames(series: Mapping[Path, "Dataset"]) -> bool:
    """Whether a series is one file with many frames."""
    return any(_frames(header) > 1 for header in series.values())


def _in_order(series: Mapping[Path, "Dataset"], folder: Path) -> list[Slice]:
    """Return the slices of a series, checked against one another, in the order of their places."""
    found = [_single(path, header) for path, header in series.items()]
    slices = sorted(found, key=lambda one: _along(one, found[0]))
    _check_places(slices, folder)
    _check_alike(slices)
    for one in slices:
        _check_whole(Path(one.name), one.header)
    return slices


def _along(one: Slice, first: Slice) -> float:
    """How far a slice lies in mm along the normal of another."""
    return float(one.position @ first.normal)


def _no_series(folder: Path) -> McdError:
    inside = sorted(child.name for child in folder.iterdir() if child.is_dir())
    if inside:
        named = ", ".join(inside[:5]) + (", ..." if len(inside) > 5 else "")
        return McdError(f"{folder}: no DICOM series in it, but folders ({named}); give the one with the series")
    return McdError(f"{folder}: no DICOM series in it; give a folder that holds exactly one")


def _headers(folder: Path) -> tuple[dict[Path, "Dataset"], list[Path]]:
    """Return the headers of a folder's images, and the files that might be damaged ones: no DICOM, or cut short."""
    headers: dict[Path, Dataset] = {}
    without_size: dict[Path, str] = {}
    others = []
    for path in sorted(folder.iterdir()):
        if path.is_dir() or path.name.startswith("."):
            continue
        if contents.held_by(path) != contents.DICOM:
            others.append(path)
            continue
        header = header_of(path)
        kind = str(header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID", ""))
        if not (header.get("Rows") and header.get("Columns")):
            without_size[path] = kind
        elif kind not in (*SEGMENTATION, _DOSE):
            headers[path] = header
    kinds = {str(header.get("SOPClassUID", "")) for header in headers.values()} | {""}
    return headers, others + [path for path, kind in without_size.items() if kind in kinds]


def _check_no_other_slice(slices: dict[Path, "Dataset"], others: Sequence[Path]) -> None:
    """Refuse a file that is named like the slices and is none: a damaged slice must not vanish."""
    names = {_numbered(path.name) for path in slices}
    suffixes = {path.suffix.lower() for path in slices} - {""}
    for path in others:
        if _numbered(path.name) in names or path.suffix.lower() in suffixes:
            size = path.stat().st_size
            raise McdError(f"{path}: named like a slice, and no readable DICOM image ({size} bytes); {_EXPORT}")


def _numbered(name: str) -> str:
    """Return a name with every number replaced by #: the same for all slices of a series."""
    return re.sub(r"\d+", "#", name)


def _check_image(header: "Dataset", name: str) -> None:
    """Refuse anything but a greyscale image."""
    kind = str(header.get("SOPClassUID", ""))
    if kind in SEGMENTATION or kind == STRUCTURES:
        raise McdError(f"{name}: a segmentation, not an image; give it as `label`")
    colour = str(header.get("PhotometricInterpretation", "")).strip()
    if int(header.get("SamplesPerPixel") or 1) != 1 or not colour.startswith("MONOCHROME"):
        raise McdError(
            f"{name}: a colour picture ({colour or 'no photometric interpretation'}); give the original series"
        )


def _single(path: Path, header: "Dataset") -> Slice:
    """Return the slice of a file with one image."""
    return _slice(
        str(path),
        header,
        _numbers(header, "ImagePositionPatient", 3),
        _numbers(header, "ImageOrientationPatient", 6),
        _numbers(header, "PixelSpacing", 2),
    )


def _frame(header: "Dataset", group: "Dataset", name: str) -> Slice:
    """Return the slice of one frame."""

    def numbers(sequence: str, keyword: str, count: int) -> np.ndarray | None:
        said = functional_group(header, group, sequence)
        return None if said is None else _numbers(said, keyword, count)

    return _slice(
        name,
        header,
        numbers("PlanePositionSequence", "ImagePositionPatient", 3),
        numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6),
        numbers("PixelMeasuresSequence", "PixelSpacing", 2),
    )


def _slice(
    name: str, header: "Dataset", position: np.ndarray | None, axes: np.ndarray | None, pixel: np.ndarray | None
) -> Slice:
    if position is None or axes is None:
        missing = "Image Position (Patient)" if position is None else "Image Orientation (Patient)"
        raise McdError(f"{name}: no {missing}, so where the slice lies is unknown; {_EXPORT}")
    if pixel is None or pixel.min() <= 0:
        also = " (Imager Pixel Spacing is at the detector)" if header.get("ImagerPixelSpacing") is not None else ""
        raise McdError(f"{name}: no Pixel Spacing{also}, so the size of its pixels is unknown; {_EXPORT}")
    lengths = np.linalg.norm(axes.reshape(2, 3), axis=1)
    if np.abs(lengths - 1).max() > 1e-2 or abs(float(axes[:3] @ axes[3:])) > 1e-2:
        raise McdError(
            f"{name}: its Image Orientation (Patient) is not a pair of perpendicular unit vectors; {_EXPORT}"
        )
    return Slice(name, header, position, axes, (float(pixel[0]), float(pixel[1])))


def _numbers(header: "Dataset", keyword: str, count: int) -> np.ndarray | None:
    """Return an attribute's numbers; None unless there are `count` finite ones."""
    try:
        values = np.asarray([float(value) for value in header.get(keyword) or ()])
    except (TypeError, ValueError):
        return None
    return values if values.shape == (count,) and np.isfinite(values).all() else None


def _rescale(header: "Dataset", group: "Dataset") -> tuple[float, float]:
    """Return slope and intercept of one frame."""
    said = functional_group(header, group, "PixelValueTransformationSequence")
    place = header if said is None else said
    return float(place.get("RescaleSlope") or 1), float(place.get("RescaleIntercept") or 0)


def _check_places(slices: Sequence[Slice], place: Path) -> None:
    """Refuse two images of one place, among slices in order: phases, echoes or copies, however they are numbered."""
    steps = np.diff([_along(one, slices[0]) for one in slices])
    doubled = np.flatnonzero(np.abs(steps) < _SAME_PLACE_MM)
    if len(doubled):
        one, other = (Path(slices[index].name).name for index in (doubled[0], doubled[0] + 1))
        raise McdError(
            f"{place}: two slices at one position, {len(doubled)} times (a second phase, or copies), such as {one} and "
            f"{other}; keep one of each"
        )


def _check_alike(slices: Sequence[Slice]) -> None:
    """Refuse a slice whose header is unlike the others' where all slices of a volume are alike."""
    rules: dict[str, Callable[[Slice], Hashable]] = {
        "Rows and Columns": lambda one: (int(one.header.Rows), int(one.header.Columns)),
        "Pixel Spacing": lambda one: tuple(round(side, 4) for side in one.pixel),
        "Image Orientation (Patient)": lambda one: tuple((np.round(one.axes, 3) + 0.0).tolist()),
        "Modality": lambda one: str(one.header.get("Modality", "")),
        "Photometric Interpretation": lambda one: str(one.header.get("PhotometricInterpretation", "")),
        "Units": lambda one: str(one.header.get("Units", "")),
        "Frame of Reference": lambda one: str(one.header.get("FrameOfReferenceUID", "")),
        "bits": lambda one: (
            int(one.header.get("BitsAllocated") or 0),
            int(one.header.get("PixelRepresentation") or 0),
        ),
    }
    for what, rule in rules.items():
        values = [rule(one) for one in slices]
        usual, times = Counter(values).most_common(1)[0]
        if times < len(slices):
            odd = next(one for one, value in zip(slices, values, strict=True) if value != usual)
            said = "" if what == "Frame of Reference" else f" {_plain(rule(odd))}, most others have {_plain(usual)}"
            raise McdError(f"{odd.name}: another {what} than the other slices{':' * bool(said)}{said}; {_EXPORT}")


def _plain(value: Any) -> str:
    return " x ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _check_whole(path: Path, header: "Dataset") -> None:
    """Refuse a file that ends before its pixels do, which ITK fills up or leaves out."""
    with decoding(path):
        whole = _has_pixels(path, header)
    if not whole:
        raise McdError(f"{path}: it ends before its pixels do; copy or export it again")


def _has_pixels(path: Path, header: "Dataset") -> bool:
    """Whether all pixels behind a header are present: by their size, or the end marker of compressed ones."""
    syntax = getattr(header, "file_meta", {}).get("TransferSyntaxUID")
    if syntax is not None and syntax.is_deflated:
        return True  # inflating the header has read the whole file
    start = _start_of_pixels(path)
    if start is None:
        return False
    if syntax is not None and syntax.is_compressed:
        with open(path, "rb") as stream:
            stream.seek(start)
            return b"\xfe\xff\xdd\xe0" in stream.read()
    bits = int(header.Rows) * int(header.Columns) * _frames(header) * int(header.get("BitsAllocated") or 16)
    return path.stat().st_size - start >= bits // 8 + 8


def _start_of_pixels(path: Path) -> int | None:
    """Return where the element with the pixels begins; None where the file has none."""
    import pydicom

    with open(path, "rb") as stream:
        pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=["Rows"], force=True)
        start = stream.tell()
        tag = stream.read(4)
    return start if tag in (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10") else None


def _grid(slices: Sequence[Slice], place: Path) -> Grid:
    """Return the grid of slices in the order of their places; `McdError` unless they follow one another straight and evenly."""
    first = slices[0]
    if len(slices) < 2:
        raise McdError(f"{first.name}: one slice; give a series of several")
    positions = np.asarray([one.position for one in slices])
    along = (positions - positions[0]) @ first.normal
    steps = np.diff(along)
    even = np.linspace(0, along[-1], len(slices))
    step = float(along[-1] / (len(slices) - 1))
    if np.abs(along - even).max() > _LARGEST_STRAY * np.median(steps) or np.ptp(steps) > np.median(steps) / 2:
        raise McdError(
            f"{place}: the slices are {steps.min():.2f} to {steps.max():.2f} mm apart; "
            "add the missing ones or resample the series to even slices"
        )
    sideways = positions - positions[0] - along[:, None] * first.normal
    drift = float(np.linalg.norm(sideways, axis=1).max())
    if drift > _LARGEST_DRIFT * min(first.pixel):
        raise McdError(f"{place}: tilted gantry (the slices drift {drift:.1f} mm sideways); resample the series first")
    direction = np.stack([first.axes[:3], first.axes[3:], first.normal], axis=1)
    header = first.header
    return Grid(
        (int(header.Columns), int(header.Rows), len(slices)),
        (first.pixel[1], first.pixel[0], step),  # the standard gives the distance between rows first
        tuple(first.position.tolist()),
        tuple(direction.ravel().tolist()),
    )


def _read(files: Sequence[str], folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetImageIO(_ITK_READER)
    reader.SetFileNames(files)
    reader.SetOutputPixelType(sitk.sitkFloat32)  # the rescale slope may differ from slice to slice
    try:
        return reader.Execute()
    except RuntimeError as error:
        for file in files:  # to name the one that is damaged
            try:
                sitk.ReadImage(file, imageIO=_ITK_READER)
            except RuntimeError as one:
                raise McdError(f"{file}: not a readable DICOM slice ({last_line(one)}); {_EXPORT}") from None
        raise McdError(f"{folder}: not a readable DICOM series ({last_line(error)}); export it again") from None


def _as_monochrome2(files: Sequence[str], folder: Path) -> list[str]:
    """Copy slices with the other photometric interpretation: it is for the display, and ITK negates the values for it."""
    copies = []
    for number, file in enumerate(files):
        header = header_of(file, whole=True)
        header.PhotometricInterpretation = "MONOCHROME2"
        copies.append(str(folder / f"{number}.dcm"))
        header.save_as(copies[-1])
    return copies


def _placed(image: sitk.Image, grid: Grid) -> sitk.Image:
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    return image
