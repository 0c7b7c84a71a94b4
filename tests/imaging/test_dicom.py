"""DICOM images: values and places as the headers say, and every slice that does not fit is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_files import PET, Edit, write_enhanced, write_series
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless

from mcd.errors import McdError
from mcd.imaging.dicom import series_files
from mcd.imaging.geometry import array_of
from mcd.imaging.io import read_volume

VALUES = np.random.default_rng(0).integers(-500, 1500, (8, 6, 7)).astype(np.int16)


def setting(**content: Any) -> Edit:
    """An edit of slice 5 alone; a value of None takes the attribute away."""

    def edit(made: Dataset, number: int) -> None:
        if number == 5:
            for keyword, value in content.items():
                if value is None:
                    delattr(made, keyword)
                else:
                    setattr(made, keyword, value)

    return edit


def everywhere(**content: Any) -> Edit:
    def edit(made: Dataset, number: int) -> None:
        for keyword, value in content.items():
            setattr(made, keyword, value)

    return edit


def moved(by: float) -> Edit:
    return lambda made, number: setattr(
        made,
        "ImagePositionPatient",
        [*made.ImagePositionPatient[:2], float(made.ImagePositionPatient[2]) + by * (number == 5)],
    )


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (setting(PixelSpacing=None), r"IM0005\.dcm: no Pixel Spacing, so"),
        (setting(PixelSpacing=[0, 0]), r"IM0005\.dcm: no Pixel Spacing"),
        (
            setting(PixelSpacing=[0.75, 0.6]),
            r"IM0005\.dcm: another Pixel Spacing .*0\.75 x 0\.6, most others have 0\.75 x 0\.5",
        ),
        (setting(ImagePositionPatient=None), r"IM0005\.dcm: no Image Position"),
        (setting(ImagePositionPatient=[0, 0]), r"IM0005\.dcm: no Image Position"),
        (setting(ImageOrientationPatient=None), r"IM0005\.dcm: no Image Orientation"),
        (
            setting(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]),
            r"IM0005\.dcm: .*not a pair of perpendicular unit vectors",
        ),
        (setting(ImageOrientationPatient=[1, 0, 0, 0, 0.96, 0.28]), r"IM0005\.dcm: another Image Orientation"),
        (
            setting(Rows=3),
            r"IM0005\.dcm: another Rows and Columns than the other slices: 3 x 7, most others have 6 x 7",
        ),
        (setting(Modality="MR"), r"IM0005\.dcm: another Modality"),
        (setting(Units="CNTS"), r"IM0005\.dcm: another Units"),
        (setting(PixelRepresentation=0), r"IM0005\.dcm: another bits"),
        (setting(PhotometricInterpretation="MONOCHROME1"), r"IM0005\.dcm: another Photometric"),
        (setting(FrameOfReferenceUID="1.2.8"), r"IM0005\.dcm: another Frame of Reference"),
        (everywhere(PhotometricInterpretation="PALETTE COLOR"), r"IM0000\.dcm: a colour picture \(PALETTE COLOR\)"),
        (everywhere(SamplesPerPixel=3, PhotometricInterpretation="RGB"), r"IM0000\.dcm: a colour picture \(RGB\)"),
        (setting(SeriesInstanceUID="1.2.3.4"), r"ct: 2 DICOM series in it \(1 slices, IM0005\.dcm the first, 7 slices"),
        (moved(-3.0), r"ct: two slices at one position, 1 times .*IM0004\.dcm and IM0005\.dcm"),
        (moved(1.0), r"ct: the slices are 2\.00 to 4\.00 mm apart"),
    ],
)
def test_a_slice_that_does_not_fit_is_refused(tmp_path: Path, edit: Edit, what: str) -> None:
    write_series(tmp_path / "ct", VALUES, edit=edit)
    with pytest.raises(McdError, match=what) as caught:
        read_volume(tmp_path / "ct")
    assert "\n" not in str(caught.value)
    assert "Doe" not in str(caught.value)


@pytest.mark.parametrize("direction", [0, 1])
def test_slices_may_drift_by_half_of_the_smaller_pixel(tmp_path: Path, direction: int) -> None:
    """Pixels are 0.5 x 0.75 mm: sideways by 0.2 mm from the first slice to the last is rounding, by 0.3 mm a tilted gantry."""

    def drifting(by: float) -> Edit:
        def edit(made: Dataset, number: int) -> None:
            position = [float(value) for value in made.ImagePositionPatient]
            position[direction] += by * number / 7
            made.ImagePositionPatient = position

        return edit

    write_series(tmp_path / "even", VALUES, edit=drifting(0.2))
    np.testing.assert_array_equal(array_of(read_volume(tmp_path / "even")), VALUES - 1024.0)
    write_series(tmp_path / "tilted", VALUES, edit=drifting(0.3))
    with pytest.raises(McdError, match=r"tilted: tilted gantry \(the slices drift 0\.3 mm sideways\)"):
        read_volume(tmp_path / "tilted")


def test_the_distance_may_not_drift(tmp_path: Path) -> None:
    """No step is far from the median, and yet the middle lies a voxel from where an even grid has it."""

    def drifting(made: Dataset, number: int) -> None:
        made.ImagePositionPatient = [0, 0, 4.0 * number + 0.35 * max(0, number - 10)]

    write_series(tmp_path / "ct", np.repeat(VALUES, 3, axis=0)[:20], edit=drifting)
    with pytest.raises(McdError, match=r"ct: the slices are 4\.00 to 4\.35 mm apart"):
        read_volume(tmp_path / "ct")


def test_positions_that_are_rounded_are_even(tmp_path: Path) -> None:
    def rounded(made: Dataset, number: int) -> None:
        made.ImagePositionPatient = [0, 0, round(3.27 * number, 1)]

    write_series(tmp_path / "ct", VALUES, edit=rounded)
    assert read_volume(tmp_path / "ct").GetSpacing()[2] == pytest.approx(3.27, abs=0.01)


@pytest.mark.parametrize("cut", [0, 100, 300, -40, "html"])
@pytest.mark.parametrize("place", [0, 3, 7])
def test_a_damaged_slice_never_vanishes(tmp_path: Path, cut: int | str, place: int) -> None:
    write_series(tmp_path / "ct", VALUES)
    path = tmp_path / f"ct/IM{place:04d}.dcm"
    content = path.read_bytes()
    path.write_bytes(b"<html>not found</html>" if cut == "html" else content[: int(cut)])
    with pytest.raises(McdError, match=rf"IM{place:04d}\.dcm: "):
        read_volume(tmp_path / "ct")


def test_what_itk_cannot_read_is_said_without_where_in_memory_it_noticed(tmp_path: Path) -> None:
    """Header and length are whole, and the bytes of an item's tag are not: only ITK's own parser finds them."""
    write_series(tmp_path / "ct", VALUES)
    path = tmp_path / "ct/IM0003.dcm"
    content = path.read_bytes()
    at = content.rindex(b"\xe0\x7f\x10\x00")  # Pixel Data
    path.write_bytes(content[: at + 4] + b"\xff" * 40 + content[at + 4 :])
    with pytest.raises(McdError, match=r"IM0003\.dcm: ") as caught:
        read_volume(tmp_path / "ct")
    assert "0x" not in str(caught.value)
    assert "ERROR" not in str(caught.value)


@pytest.mark.parametrize("left", [0, 7])
def test_frames_without_a_place_of_their_own_are_refused(tmp_path: Path, left: int) -> None:
    write_enhanced(tmp_path / "one.dcm", VALUES, list(range(8)))
    made = dcmread(tmp_path / "one.dcm")
    made.PerFrameFunctionalGroupsSequence = made.PerFrameFunctionalGroupsSequence[:left]
    made.save_as(tmp_path / "one.dcm")
    with pytest.raises(McdError, match=r"one\.dcm: 8 frames, and where they lie is not in the file"):
        read_volume(tmp_path / "one.dcm")


def test_frames_that_cannot_be_decoded_are_refused_with_their_compression(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "one.dcm", VALUES, list(range(8)))
    made = dcmread(tmp_path / "one.dcm")
    made.file_meta.TransferSyntaxUID = JPEG2000Lossless
    made.PixelData = encapsulate([b"no picture"] * 8)
    made["PixelData"].is_undefined_length = True
    made.save_as(tmp_path / "one.dcm")
    with pytest.raises(McdError, match=r"one\.dcm: its frames cannot be decoded \(JPEG 2000 Image Compression"):
        read_volume(tmp_path / "one.dcm")


@pytest.mark.parametrize("cut", [0, 1, 2, 4, 8, 9])
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_a_slice_is_read_to_its_last_byte_or_refused(tmp_path: Path, syntax: str, cut: int) -> None:
    """The pixels are the last element; its own header takes 8 bytes in one syntax and 12 in the other."""

    def written(made: Dataset, _: int) -> None:
        made.file_meta.TransferSyntaxUID = UID(syntax)

    write_series(tmp_path / "ct", VALUES, edit=written)
    path = tmp_path / "ct/IM0003.dcm"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - cut])
    if cut == 0:
        np.testing.assert_array_equal(array_of(read_volume(tmp_path / "ct")), VALUES - 1024.0)
    else:
        noticed = "it ends before its pixels do" if syntax == ImplicitVRLittleEndian or cut > 4 else ""  # else by ITK
        with pytest.raises(McdError, match=rf"IM0003\.dcm: {noticed}"):
            read_volume(tmp_path / "ct")


def test_what_is_no_slice_may_lie_beside_them(tmp_path: Path) -> None:
    write_series(tmp_path / "ct", VALUES, name="IM{:04d}")
    for name in ("A_LICENCE.txt", "DICOMDIR", "Thumbs.db", "HASH.md5", ".DS_Store"):
        (tmp_path / "ct" / name).write_bytes(b"\0\1")
    (tmp_path / "ct" / "sub").mkdir()
    np.testing.assert_array_equal(array_of(read_volume(tmp_path / "ct")), VALUES - 1024.0)


def test_slices_in_folders_below_are_named(tmp_path: Path) -> None:
    write_series(tmp_path / "ct/a", VALUES)
    with pytest.raises(McdError, match=r"ct: no DICOM series in it, but folders \(a\)"):
        read_volume(tmp_path / "ct")


def test_monochrome1_is_for_the_display(tmp_path: Path) -> None:
    """ITK inverts the stored values for it, and says so only in a warning."""
    write_series(tmp_path / "pet", VALUES, kind=PET, edit=everywhere(PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(array_of(read_volume(tmp_path / "pet")), VALUES - 1024.0)
    assert read_volume(tmp_path / "pet").GetSpacing() == pytest.approx((0.5, 0.75, 3.0))


@pytest.mark.parametrize("place", ["ct/one.dcm", "ct"])
def test_an_enhanced_file_is_sorted_scaled_and_placed(tmp_path: Path, place: str) -> None:
    order = [3, 0, 7, 1, 2, 6, 5, 4]
    slopes = [1.0 + 0.5 * number for number in range(8)]
    write_enhanced(tmp_path / "ct/one.dcm", VALUES, order, slopes=slopes)
    image = read_volume(tmp_path / place)
    np.testing.assert_allclose(array_of(image), VALUES * np.asarray(slopes)[:, None, None] - 1024, atol=1e-3)
    assert image.GetSpacing() == pytest.approx((0.5, 0.75, 3.0))
    assert image.GetOrigin() == pytest.approx((-10, 5, -40))


@pytest.mark.parametrize(
    ("order", "what"),
    [
        ([0, 1, 2, 4, 5], r"the slices are 3\.00 to 6\.00 mm apart"),
        ([0, 1, 2, 2, 3], "two slices at one position, 1 times"),
        ([2], "one slice of a series"),
    ],
)
def test_frames_that_are_missing_or_doubled_are_refused(tmp_path: Path, order: list[int], what: str) -> None:
    write_enhanced(tmp_path / "one.dcm", VALUES, order)
    with pytest.raises(McdError, match=rf"one\.dcm.*{what}"):
        read_volume(tmp_path / "one.dcm")


def test_a_slice_stands_for_its_series_among_several(tmp_path: Path) -> None:
    write_series(tmp_path / "all", VALUES, name="A{:03d}")
    write_series(tmp_path / "all", VALUES[:4] + 7, kind=PET, name="B{:03d}")
    for place, values in (("A003", VALUES), ("B000", VALUES[:4] + 7)):
        np.testing.assert_allclose(array_of(read_volume(tmp_path / "all" / place)), values - 1024)
        assert len(series_files(tmp_path / "all" / place)) == len(values)
    with pytest.raises(McdError, match=r"all: 2 DICOM series in it .*; name a slice of the one that is meant"):
        read_volume(tmp_path / "all")


def test_a_single_slice_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "one", VALUES[:1])
    with pytest.raises(McdError, match=r"IM0000\.dcm: one slice"):
        read_volume(tmp_path / "one")
