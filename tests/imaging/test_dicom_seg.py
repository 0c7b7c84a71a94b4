"""A DICOM SEG read back by highdicom and pydicom: the voxels and the place of the NIfTI, and the series that it is about."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from dicom_files import COLOURS

from mcd.errors import McdError
from mcd.imaging.dicom import series_files
from mcd.imaging.dicom_seg import SEGMENT_CODES, segment_codes, write_seg
from mcd.imaging.geometry import Grid, array_of
from mcd.imaging.io import read_volume
from mcd.imaging.write_volume import write_volume

highdicom = pytest.importorskip("highdicom")
pydicom = pytest.importorskip("pydicom")
pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning"
)  # of header values that are not as the standard wants them

ROWS, COLUMNS, SPACING, GAP = 10, 8, (0.75, 0.5), 3.0


def write_series(folder: Path, axes: tuple[float, ...], slices: int = 6) -> None:
    """A CT series with everything that the standard wants, its files not in the order of its slices."""
    folder.mkdir()
    normal = np.cross(axes[:3], axes[3:])
    study, series, frame = (pydicom.uid.generate_uid() for _ in range(3))
    for number in range(slices):
        data = pydicom.Dataset()
        data.file_meta = pydicom.dataset.FileMetaDataset()
        data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        data.PatientName, data.PatientID, data.PatientBirthDate, data.PatientSex = "Doe^Jane", "42", "19700101", "F"
        data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = study, series, frame
        data.StudyID, data.AccessionNumber, data.ReferringPhysicianName, data.PositionReferenceIndicator = (
            "1",
            "",
            "",
            "",
        )
        data.StudyDate, data.StudyTime, data.Modality, data.Manufacturer = "20200101", "120000", "CT", "nobody"
        data.SeriesNumber, data.InstanceNumber = 1, slices - number
        data.Rows, data.Columns, data.PixelSpacing, data.SliceThickness = ROWS, COLUMNS, list(SPACING), GAP
        data.ImageOrientationPatient = list(axes)
        data.ImagePositionPatient = [round(float(x), 6) for x in np.array((-5.0, 7.0, 9.0)) + GAP * number * normal]
        data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 1
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
        data.RescaleSlope, data.RescaleIntercept = 1, -1024
        data.PixelData = np.full((ROWS, COLUMNS), number, np.int16).tobytes()
        data.save_as(folder / f"{(number * 5) % slices}.dcm", enforce_file_format=True)


def some_masks(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Two regions that overlap, neither in every slice."""
    z, y, x = np.indices(shape)
    outer = (z >= 1) & (z < shape[0] - 1) & (y > 1) & (x < shape[2] - 2)
    return {"WT": outer, "TC": outer & (z >= 2) & (x > 2)}


def check_against(masks: Mapping[str, np.ndarray], grid: Grid, path: Path) -> None:
    """Every segment voxel by voxel at its place in the world, by way of highdicom's own volume."""
    seg = highdicom.seg.segread(path)
    assert [seg.get_segment_description(number).SegmentLabel for number in seg.segment_numbers] == list(masks)
    volume = seg.get_volume(combine_segments=False)
    for number, mask in enumerate(masks.values()):
        stored = np.argwhere(volume.array[..., number])
        places = stored @ volume.affine[:3, :3].T + volume.affine[:3, 3]
        index = np.rint(grid.index(places)).astype(int)
        np.testing.assert_allclose(grid.world(index), places, atol=1e-3)
        back = np.zeros(grid.shape, bool)
        back[tuple(index[:, ::-1].T)] = True
        np.testing.assert_array_equal(back, mask)


@pytest.mark.parametrize(
    "axes", [(1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1), (0.8, 0.6, 0, -0.6, 0.8, 0), (-1, 0, 0, 0, -1, 0)]
)
def test_it_has_the_voxels_and_the_place_of_the_nifti(axes: tuple[float, ...], tmp_path: Path) -> None:
    write_series(tmp_path / "ct", axes)
    image = read_volume(tmp_path / "ct")
    masks = some_masks(Grid.of(image).shape)
    write_seg(masks, tmp_path / "ct", tmp_path / "seg.dcm", "Multi-ConDoS WT, TC", COLOURS)
    write_volume(Grid.of(image).image(masks["WT"]), tmp_path / "wt.nii.gz")
    nifti = read_volume(tmp_path / "wt.nii.gz")
    check_against({"WT": array_of(nifti) > 0, "TC": masks["TC"]}, Grid.of(nifti), tmp_path / "seg.dcm")


def test_it_is_a_seg_of_its_series(tmp_path: Path) -> None:
    write_series(tmp_path / "ct", (1, 0, 0, 0, 1, 0))
    sources = [pydicom.dcmread(file, stop_before_pixels=True) for file in series_files(tmp_path / "ct")]
    masks = some_masks((len(sources), ROWS, COLUMNS))
    write_seg(masks, tmp_path / "ct", tmp_path / "seg.dcm", "Multi-ConDoS", COLOURS)
    data = pydicom.dcmread(tmp_path / "seg.dcm")
    assert data.SOPClassUID == pydicom.uid.SegmentationStorage
    for key in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert data[key].value == sources[0][key].value  # by which a viewer lays it over the series
    assert data.SeriesInstanceUID != sources[0].SeriesInstanceUID
    (referenced,) = data.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == sources[0].SeriesInstanceUID
    named = {item.ReferencedSOPInstanceUID for item in referenced.ReferencedInstanceSequence}
    assert named == {source.SOPInstanceUID for source in sources}
    assert (data.SegmentationType, data.Rows, data.Columns) == ("BINARY", ROWS, COLUMNS)
    assert data.NumberOfFrames == sum(mask.any(axis=(1, 2)).sum() for mask in masks.values())  # none is empty


def test_segments_are_coded_by_their_names_and_coloured(tmp_path: Path) -> None:
    write_series(tmp_path / "ct", (1, 0, 0, 0, 1, 0))
    masks = some_masks((6, ROWS, COLUMNS))
    regions = {"GTVp": masks["WT"], "peritumoral_oedema": masks["TC"]}
    write_seg(regions, tmp_path / "ct", tmp_path / "seg.dcm", "Multi-ConDoS", COLOURS)
    first, second = pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence
    for segment, value, meaning in ((first, "372087000", "Neoplasm, Primary"), (second, "79654002", "Edema")):
        (category,) = segment.SegmentedPropertyCategoryCodeSequence
        (kind,) = segment.SegmentedPropertyTypeCodeSequence
        assert (category.CodeValue, category.CodingSchemeDesignator) == ("49755003", "SCT")
        assert (kind.CodeValue, kind.CodingSchemeDesignator, kind.CodeMeaning) == (value, "SCT", meaning)
    for segment, rgb in ((first, (0xE6, 0x9F, 0x00)), (second, (0x56, 0xB4, 0xE9))):
        light, red_green, yellow_blue = (
            segment.RecommendedDisplayCIELabValue
        )  # by the standard's integers (PS3.3 C.10.7.1.1)
        stored = light / 65535 * 100, red_green / 65535 * 255 - 128, yellow_blue / 65535 * 255 - 128
        np.testing.assert_allclose(stored, cielab(*rgb), atol=0.1)


def cielab(*rgb: int) -> tuple[float, float, float]:
    """CIELab under D65, as viewers take it, of an sRGB colour: IEC 61966-2-1 and CIE 15."""
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in np.array(rgb) / 255]
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    shares = np.array(to_xyz) @ linear / (0.9505, 1.0, 1.089)
    x, y, z = (float(np.cbrt(share)) if share > 216 / 24389 else (24389 / 27 * share + 16) / 116 for share in shares)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize(
    ("region", "word"),
    [
        ("WT", "Neoplasm"),
        ("tumour core", "Neoplasm"),
        ("GTV", "Neoplasm"),
        ("GTVt", "NeoplasmPrimary"),
        ("GTV-n", "NeoplasmSecondary"),
        ("liver_metastases", "NeoplasmSecondary"),
        ("ET", "EnhancingLesion"),
        ("enhancing_tumor", "EnhancingLesion"),
        ("non-enhancing tumour", "NonEnhancingLesion"),
        ("NCR_NET", "NonEnhancingLesion"),
        ("NonEnhancing", "NonEnhancingLesion"),
        ("NCR", "Necrosis"),
        ("necrotic core", "Necrosis"),
        ("ED", "Edema"),
        ("peritumoral edema", "Edema"),
        ("lesion", "Lesion"),
        ("PZ", "PeripheralZoneOfTheProstate"),
        ("TZ", "TransitionZoneOfTheProstate"),
        ("prostate", "Prostate"),
        ("gland", "Tissue"),
        ("target", "Tissue"),  # not ET, nor a tumour
        ("network", "Tissue"),
        ("code4", "Tissue"),
    ],
)
def test_a_regions_name_says_its_code(region: str, word: str) -> None:
    assert segment_codes(region)[2] == word


def test_every_code_is_one_of_the_standards() -> None:
    from pydicom.sr._cid_dict import cid_concepts
    from pydicom.sr.codedict import codes

    for _, category, scheme, word in SEGMENT_CODES:
        assert category in cid_concepts[7150]["SCT"]
        assert getattr(getattr(codes, scheme), word).value
        if category == "MorphologicallyAbnormalStructure":
            assert word in cid_concepts[7159][scheme]


def test_nothing_found_is_a_seg_too(tmp_path: Path) -> None:
    write_series(tmp_path / "ct", (1, 0, 0, 0, 1, 0))
    nothing = {"WT": np.zeros((6, ROWS, COLUMNS), bool)}
    write_seg(nothing, tmp_path / "ct", tmp_path / "seg.dcm", "Multi-ConDoS", COLOURS)
    assert not highdicom.seg.segread(tmp_path / "seg.dcm").pixel_array.any()


def test_a_series_that_nothing_can_refer_to_is_named(tmp_path: Path) -> None:
    write_series(tmp_path / "ct", (1, 0, 0, 0, 1, 0))
    for file in (tmp_path / "ct").iterdir():
        data = pydicom.dcmread(file)
        del data.StudyInstanceUID
        data.save_as(file)
    with pytest.raises(McdError, match=r"ct: no DICOM SEG can refer to it \(.*StudyInstanceUID"):
        write_seg(some_masks((6, ROWS, COLUMNS)), tmp_path / "ct", tmp_path / "seg.dcm", "Multi-ConDoS", COLOURS)
    assert not (tmp_path / "seg.dcm").exists()


@pytest.mark.parametrize("modality", ["CT", "PET"])
def test_on_a_real_series(real_patients: Path, modality: str, tmp_path: Path) -> None:
    folder = real_patients / "sarcoma_pet_ct/STS_001" / modality
    label = read_volume(folder / "mask.nii.gz")
    masks = {"GTV": array_of(label) > 0}
    write_seg(masks, folder / "dicom", tmp_path / "seg.dcm", "Multi-ConDoS GTV", COLOURS)
    check_against(masks, Grid.of(read_volume(folder / "dicom")), tmp_path / "seg.dcm")
