"""DICOM files as scanners and archives write them, whole or with one thing wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

CT, PET, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.128", "1.2.840.10008.5.1.4.1.1.2.1"
STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"
COLOURS = ["#e69f00", "#56b4e9"]
"""Of a SEG's segments."""
AXIAL = np.array([1.0, 0, 0, 0, 1, 0])

Edit = Callable[[Dataset, int], Any]


def new_object(kind: str, path: Path) -> FileDataset:
    """An object of a SOP class with what every one has."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(kind), generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    made.PatientName, made.PatientID, made.PatientBirthDate, made.PatientSex = "Doe^Jane", "12345", "19700101", "F"
    made.StudyInstanceUID, made.StudyID, made.StudyDate, made.StudyTime = "1.2.9", "1", "20200101", "000000"
    made.AccessionNumber, made.ReferringPhysicianName = "", ""
    made.Manufacturer = "M"
    return made


def set_pixels(made: Dataset, values: np.ndarray) -> None:
    """Put int16 pixels (rows, columns), or (frames, rows, columns), into an object."""
    made.Rows, made.Columns = values.shape[-2:]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 1
    made.PixelData = values.astype("<i2").tobytes()


def write_series(
    folder: Path,
    values: np.ndarray,
    *,
    spacing: tuple[float, float, float] = (0.5, 0.75, 3.0),
    origin: tuple[float, float, float] = (-10.0, 5.0, -40.0),
    kind: str = CT,
    edit: Edit | None = None,
    name: str = "IM{:04d}.dcm",
) -> None:
    """Write int16 slices (z, y, x) as an axial series with intercept -1024; `edit` changes each object before it is written."""
    folder.mkdir(parents=True, exist_ok=True)
    series = generate_uid()
    for number, plane in enumerate(values):
        path = folder / name.format(number)
        made = new_object(kind, path)
        made.Modality, made.SeriesInstanceUID, made.SeriesNumber = "CT" if kind == CT else "PT", series, 1
        made.InstanceNumber, made.FrameOfReferenceUID = number + 1, "1.2.7"
        made.PositionReferenceIndicator = ""
        made.ImagePositionPatient = [origin[0], origin[1], origin[2] + number * spacing[2]]
        made.ImageOrientationPatient = AXIAL.tolist()
        made.PixelSpacing, made.SliceThickness = [spacing[1], spacing[0]], spacing[2]
        made.RescaleSlope, made.RescaleIntercept = 1, -1024
        set_pixels(made, plane)
        if edit:
            edit(made, number)
        made.save_as(path)


def write_enhanced(
    path: Path,
    values: np.ndarray,
    order: list[int],
    *,
    spacing: tuple[float, float, float] = (0.5, 0.75, 3.0),
    origin: tuple[float, float, float] = (-10.0, 5.0, -40.0),
    slopes: list[float] | None = None,
) -> None:
    """Write slices (z, y, x) as one multi-frame file whose frames are in any order, with some left out or doubled."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = new_object(ENHANCED_CT, path)
    made.Modality, made.SeriesInstanceUID, made.NumberOfFrames = "CT", generate_uid(), len(order)
    set_pixels(made, values[order])

    def item(**content: Any) -> Sequence:
        one = Dataset()
        for keyword, value in content.items():
            setattr(one, keyword, value)
        return Sequence([one])

    shared = Dataset()
    shared.PlaneOrientationSequence = item(ImageOrientationPatient=AXIAL.tolist())
    shared.PixelMeasuresSequence = item(PixelSpacing=[spacing[1], spacing[0]], SliceThickness=spacing[2])
    made.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for place in order:
        frame = Dataset()
        frame.PlanePositionSequence = item(ImagePositionPatient=[origin[0], origin[1], origin[2] + place * spacing[2]])
        slope = slopes[place] if slopes else 1.0
        frame.PixelValueTransformationSequence = item(RescaleSlope=slope, RescaleIntercept=-1024)
        frames.append(frame)
    made.PerFrameFunctionalGroupsSequence = Sequence(frames)
    made.save_as(path)


def write_structures(path: Path, regions: dict[int, list[np.ndarray]]) -> None:
    """Write closed contours (points, 3) in mm by the numbers of their regions of interest."""
    made = new_object(STRUCTURES, path)
    made.Modality, made.SeriesInstanceUID = "RTSTRUCT", generate_uid()
    names, contours = [], []
    for number, outlines in regions.items():
        named = Dataset()
        named.ROINumber, named.ROIName = number, f"region {number}"
        names.append(named)
        roi = Dataset()
        roi.ReferencedROINumber = number
        sequence = []
        for outline in outlines:
            contour = Dataset()
            contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(outline)
            contour.ContourData = [f"{value:.4f}" for value in outline.ravel()]
            sequence.append(contour)
        roi.ContourSequence = Sequence(sequence)
        contours.append(roi)
    made.StructureSetROISequence, made.ROIContourSequence = Sequence(names), Sequence(contours)
    made.save_as(path)


def read_headers(folder: Path) -> list[Dataset]:
    """The headers of a folder's files, by position along the body."""
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in folder.iterdir()]
    return sorted(headers, key=lambda header: float(header.ImagePositionPatient[2]))
