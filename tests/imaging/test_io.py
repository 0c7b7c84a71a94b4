"""Volumes from and to disk: every format, and every kind of broken file."""

import locale
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from mcd.errors import McdError
from mcd.imaging.geometry import Grid, array_of
from mcd.imaging.io import read_volume
from mcd.imaging.write_volume import write_volume

GRID = Grid((7, 6, 5), (0.9, 1.1, 3.27), (-12.5, 34.0, -880.0), tuple(sitk.VersorTransform((0, 1, 1), 0.2).GetMatrix()))


@pytest.fixture
def image() -> sitk.Image:
    return GRID.image(np.random.default_rng(0).normal(size=GRID.shape).astype(np.float32))


def write_dicom(
    folder: Path,
    places: list[float],
    series: str = "1.2.3",
    shift: float = 0.0,
    axes: np.ndarray | None = None,
    slopes: list[float] | None = None,
) -> np.ndarray:
    """Write slices at `places` mm, each 8 x 8 int16 with intercept -1024; return the values.

    They are axial, or have the direction cosines in the columns of `axes` and lie along the third. The rescale slope is 2,
    or each slice's own.
    """
    folder.mkdir(exist_ok=True)
    values = np.random.default_rng(1).integers(0, 500, (len(places), 8, 8)).astype(np.int16)
    before = locale.setlocale(locale.LC_ALL)  # which GDCM's writer leaves changed
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    slopes = slopes or [2.0] * len(places)
    rescaled = values * np.asarray(slopes)[:, None, None] - 1024
    across = np.eye(3) if axes is None else axes
    for number, (plane, place) in enumerate(zip(rescaled, places, strict=True)):
        corner = np.asarray([shift * number, -20, 0]) + place * across[:, 2]
        slice_ = sitk.GetImageFromArray(plane)  # the writer undoes the rescaling of floating point
        slice_.SetSpacing((0.5, 0.75))
        tags = {
            "0008|0060": "CT",
            "0010|0010": "Doe^Jane",
            "0008|0018": f"{series}.{number + 1}",
            "0020|000d": "1.2.9",
            "0020|000e": series,
            "0020|0013": str(number),
            "0020|0032": "\\".join(f"{value:.9f}" for value in corner),
            "0020|0037": "\\".join(f"{value:.9f}" for value in across[:, :2].T.ravel()),
            "0028|0100": "16",
            "0028|0101": "16",
            "0028|0102": "15",
            "0028|0103": "1",
            "0028|1052": "-1024",
            "0028|1053": str(slopes[number]),
        }
        for key, value in tags.items():
            slice_.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{series}_{number}.dcm"))
        writer.Execute(slice_)
    locale.setlocale(locale.LC_ALL, before)
    return rescaled


@pytest.mark.parametrize("name", ["a.nhdr", "a.mhd"])
def test_a_header_beside_its_voxels_is_read(image: sitk.Image, tmp_path: Path, name: str) -> None:
    sitk.WriteImage(image, str(tmp_path / name))
    back = read_volume(tmp_path / name)
    np.testing.assert_array_equal(array_of(back), array_of(image))
    for ours, theirs in zip(Grid.of(back).to_json().values(), GRID.to_json().values(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.nrrd", "a.mha"])
def test_every_format_keeps_voxels_and_geometry(image: sitk.Image, tmp_path: Path, name: str) -> None:
    write_volume(image, tmp_path / name)
    back = read_volume(tmp_path / name)
    np.testing.assert_array_equal(array_of(back), array_of(image))
    for ours, theirs in zip(Grid.of(back).to_json().values(), GRID.to_json().values(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)  # NIfTI stores single precision
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_no_header_text_is_carried_over(image: sitk.Image, tmp_path: Path) -> None:
    for key in ("patient_name", "descrip", "intent_name", "aux_file"):
        image.SetMetaData(key, "Jane Doe")
    for name in ("a.nrrd", "a.nii", "a.mha"):
        write_volume(image, tmp_path / name)
        assert b"Jane" not in (tmp_path / name).read_bytes()
    assert image.GetMetaData("descrip") == "Jane Doe"  # the caller's image is left as it was


def test_a_fourth_dimension_of_one_is_dropped_and_a_real_one_refused(image: sitk.Image, tmp_path: Path) -> None:
    sitk.WriteImage(sitk.JoinSeries([image]), str(tmp_path / "one.nii.gz"))
    np.testing.assert_array_equal(array_of(read_volume(tmp_path / "one.nii.gz")), array_of(image))
    sitk.WriteImage(sitk.JoinSeries([image, image]), str(tmp_path / "two.nii.gz"))
    with pytest.raises(
        McdError, match=r"two\.nii\.gz: one volume is needed.*\(7, 6, 5, 2\).* the first as two\.nii\.gz\[0\]"
    ):
        read_volume(tmp_path / "two.nii.gz")
    sitk.WriteImage(sitk.JoinSeries([image, image]), str(tmp_path / "two.mha"))
    with pytest.raises(McdError, match=r"two\.mha: one volume is needed.*\(7, 6, 5, 2\)"):
        read_volume(tmp_path / "two.mha")
    sitk.WriteImage(image[..., :1], str(tmp_path / "slice.mha"))
    with pytest.raises(McdError, match=r"slice\.mha: one volume is needed, its size is \(7, 6, 1\)"):
        read_volume(tmp_path / "slice.mha")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mha"])
def test_a_volume_of_a_four_dimensional_file_is_named_by_its_number(
    image: sitk.Image, tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"four{suffix}"
    sitk.WriteImage(sitk.JoinSeries([image, image + 1, image * 2]), str(file))
    for channel, expected in enumerate((image, image + 1, image * 2)):
        found = read_volume(f"{file}[{channel}]")
        np.testing.assert_array_equal(array_of(found), array_of(expected))
        assert Grid.of(found).spacing == pytest.approx(Grid.of(image).spacing)
    with pytest.raises(McdError, match=r"four\S+\[3\]: the file has 3 volumes, counted from 0"):
        read_volume(f"{file}[3]")
    with pytest.raises(McdError, match="no such file"):
        read_volume(tmp_path / "none.nii.gz[0]")


def test_a_file_with_brackets_in_its_name_is_that_file(image: sitk.Image, tmp_path: Path) -> None:
    sitk.WriteImage(image, str(tmp_path / "a.nii"))
    (tmp_path / "a.nii").rename(tmp_path / "a.nii[1]")
    np.testing.assert_array_equal(array_of(read_volume(tmp_path / "a.nii[1]")), array_of(image))


def test_what_is_not_a_volume_of_numbers_is_refused(image: sitk.Image, tmp_path: Path) -> None:
    sitk.WriteImage(image[:, :, 0], str(tmp_path / "plane.nii"))
    with pytest.raises(McdError, match="one volume is needed"):
        read_volume(tmp_path / "plane.nii")
    sitk.WriteImage(sitk.Compose(image, image), str(tmp_path / "vector.mha"))
    with pytest.raises(McdError, match=r"vector.*one real number"):
        read_volume(tmp_path / "vector.mha")
    values = array_of(image)
    values[1, 2, 3] = np.nan
    sitk.WriteImage(GRID.image(values), str(tmp_path / "nan.mha"))
    with pytest.raises(McdError, match="1 voxels are not finite"):
        read_volume(tmp_path / "nan.mha")


@pytest.mark.parametrize("name", ["cut.nii.gz", "cut.nii", "cut.nrrd", "cut.mha", "flipped.nii.gz"])
def test_a_damaged_file_is_one_line(image: sitk.Image, tmp_path: Path, name: str) -> None:
    sitk.WriteImage(image, str(tmp_path / name))
    content = bytearray((tmp_path / name).read_bytes())
    if name.startswith("flipped"):
        content[len(content) // 2] ^= 0x10
    else:
        del content[len(content) // 2 :]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(McdError, match="not a readable volume") as caught:
        read_volume(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_missing_paths_and_other_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(McdError, match=r"nowhere\.nii: no such file"):
        read_volume(tmp_path / "nowhere.nii")
    (tmp_path / "notes.nii.gz").write_text("not a volume")
    with pytest.raises(McdError, match=r"notes\.nii\.gz: not a readable volume"):
        read_volume(tmp_path / "notes.nii.gz")


@pytest.mark.parametrize(("shear", "fine"), [(0.002, True), (0.3, False)])
def test_a_nifti_with_slightly_skewed_axes_is_read_and_a_sheared_one_refused(
    tmp_path: Path, shear: float, fine: bool
) -> None:
    affine = np.asarray([[-1.0, shear, 0, 40], [0, -1.5, 0, 60], [0, 0, 2.0, -30], [0, 0, 0, 1]])
    values = np.random.default_rng(0).normal(size=(40, 30, 20)).astype(np.float32)
    volume = nibabel.Nifti1Image(values, affine)
    volume.set_qform(None, code=0)
    volume.set_sform(affine, code=1)
    nibabel.save(volume, tmp_path / "skew.nii.gz")
    with pytest.raises(RuntimeError, match="orthonormal"):
        sitk.ReadImage(str(tmp_path / "skew.nii.gz"))  # else this test would prove nothing
    if not fine:
        with pytest.raises(McdError, match="not at right angles"):
            read_volume(tmp_path / "skew.nii.gz")
        return
    image = read_volume(tmp_path / "skew.nii.gz")
    np.testing.assert_array_equal(array_of(image), values.T)
    for voxel in ((0, 0, 0), (39, 0, 19), (20, 29, 10)):
        expected = (np.diag([-1, -1, 1, 1]) @ affine @ (*voxel, 1))[:3]  # RAS to LPS
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(voxel), expected, atol=0.05)


def test_a_dicom_series_is_sorted_rescaled_and_placed(tmp_path: Path) -> None:
    values = write_dicom(tmp_path / "ct", [12.0, 3.0, 6.0, 9.0])
    image = read_volume(tmp_path / "ct")
    np.testing.assert_array_equal(array_of(image), values[[1, 2, 3, 0]])
    assert image.GetSpacing() == pytest.approx((0.5, 0.75, 3.0))
    assert image.GetOrigin() == pytest.approx((0, -20, 3))


def test_an_oblique_dicom_series_keeps_voxels_and_geometry(tmp_path: Path) -> None:
    axes = np.reshape(GRID.direction, (3, 3))
    values = write_dicom(tmp_path / "mr", [2.0, 5.27, 8.54], axes=axes, slopes=[0.5, 3.0, 1.25])
    image = read_volume(tmp_path / "mr")
    np.testing.assert_allclose(array_of(image), values, atol=1e-4)  # each slice by its own slope
    assert image.GetDirection() == pytest.approx(GRID.direction, abs=1e-8)
    assert image.GetSpacing() == pytest.approx((0.5, 0.75, 3.27))
    first = np.asarray([0, -20, 0]) + 2 * axes[:, 2]
    assert image.GetOrigin() == pytest.approx(first.tolist(), abs=1e-6)
    last = first + axes @ np.asarray([7 * 0.5, 7 * 0.75, 2 * 3.27])
    assert image.TransformIndexToPhysicalPoint((7, 7, 2)) == pytest.approx(last.tolist(), abs=1e-6)


def test_a_folder_with_no_or_two_series_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ct").mkdir()
    with pytest.raises(McdError, match="ct: no DICOM series"):
        read_volume(tmp_path / "ct")
    write_dicom(tmp_path / "ct", [0.0, 3.0, 6.0])
    write_dicom(tmp_path / "ct", [0.0, 3.0, 6.0], series="1.2.4")
    with pytest.raises(McdError, match="ct: 2 DICOM series") as caught:
        read_volume(tmp_path / "ct")
    for choice in ("3 slices, 1.2.3_0.dcm the first", "3 slices, 1.2.4_0.dcm the first"):
        assert choice in str(caught.value)


def test_missing_and_tilted_slices_are_refused(tmp_path: Path) -> None:
    write_dicom(tmp_path / "gap", [0.0, 3.0, 6.0, 12.0, 15.0])
    with pytest.raises(McdError, match=r"gap: the slices are 3\.00 to 6\.00 mm apart"):
        read_volume(tmp_path / "gap")
    write_dicom(tmp_path / "twice", [0.0, 3.0, 3.0, 6.0])
    with pytest.raises(McdError, match="twice: two slices at one position"):
        read_volume(tmp_path / "twice")
    write_dicom(tmp_path / "tilt", [0.0, 3.0, 6.0, 9.0], shift=0.8)
    with pytest.raises(McdError, match=r"tilted gantry \(the slices drift 2\.4 mm"):
        read_volume(tmp_path / "tilt")


@pytest.mark.real
@pytest.mark.parametrize("modality", ["CT", "PET"])
def test_a_real_dicom_series_equals_its_nifti(real_patients: Path, modality: str) -> None:
    folder = real_patients / "sarcoma_pet_ct" / "STS_001" / modality
    dicom, nifti = read_volume(folder / "dicom"), read_volume(folder / "image.nii.gz")
    np.testing.assert_allclose(array_of(dicom), array_of(nifti), atol=1e-4)
    for ours, theirs in zip(Grid.of(dicom).to_json().values(), Grid.of(nifti).to_json().values(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
