"""Labels that are DICOM objects land on the voxels that they were drawn on, with the numbers of their segments as codes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_files import COLOURS, read_headers, write_series, write_structures

from mcd.cli import main
from mcd.errors import McdError
from mcd.imaging.dicom_label import names_of_codes
from mcd.imaging.dicom_seg import write_seg
from mcd.imaging.geometry import Grid, array_of
from mcd.imaging.io import read_label, read_volume
from mcd.imaging.options import PreprocessOptions
from mcd.imaging.preprocess import preprocess_subject
from mcd.imaging.raw import read_raw
from mcd.imaging.write_volume import write_volume
from mcd.subject import Subject

highdicom = pytest.importorskip("highdicom")

SHAPE = (10, 16, 18)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).integers(500, 1500, SHAPE).astype(np.int16)
    write_series(tmp_path / "ct", values)
    return tmp_path / "ct"


def block(low: tuple[int, int, int], high: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return mask


def codes_on(series: Path, label: Path, **options: Any) -> np.ndarray:
    """The label's codes on the image's own voxels, through everything that reads a patient."""
    subject = Subject("p", {"CT": series}, label=label)
    raw = read_raw(subject, PreprocessOptions(size=(16, 16), **options))
    assert raw.label is not None
    assert Grid.of(raw.label) == Grid.of(raw.images["CT"])
    return array_of(raw.label)


@pytest.mark.parametrize("place", ["seg/one.dcm", "seg"])
def test_a_seg_that_we_write_comes_back(series: Path, tmp_path: Path, place: str) -> None:
    """Two segments in other slices each; empty frames are left out of the file."""
    tumour, node = block((2, 3, 4), (6, 9, 11)), block((7, 10, 2), (9, 14, 6))
    (tmp_path / "seg").mkdir()
    write_seg({"tumour": tumour, "node": node}, series, tmp_path / "seg/one.dcm", "test", COLOURS)
    np.testing.assert_array_equal(codes_on(series, tmp_path / place), np.where(tumour, 1, np.where(node, 2, 0)))


def test_nested_regions_come_back_with_the_inner_number(series: Path, tmp_path: Path) -> None:
    whole, core = block((1, 2, 2), (8, 12, 14)), block((3, 4, 4), (6, 8, 8))
    write_seg({"whole": whole, "core": core}, series, tmp_path / "seg.dcm", "test", COLOURS)
    np.testing.assert_array_equal(codes_on(series, tmp_path / "seg.dcm"), np.where(core, 2, np.where(whole, 1, 0)))


def test_segments_are_chosen_by_name(series: Path, tmp_path: Path) -> None:
    """Two of them are one code; what has no name that is asked for is left out, and overlaps with nothing."""
    masks = {
        "GTV": block((2, 3, 4), (6, 9, 11)),
        "gtv node": block((7, 10, 2), (9, 14, 6)),
        "lung": block((1, 1, 1), (9, 6, 9)),
    }
    write_seg(masks, series, tmp_path / "seg.dcm", "test", [*COLOURS, "#009e73"])
    with pytest.raises(McdError, match="overlap"):
        codes_on(series, tmp_path / "seg.dcm")
    names = {"Gtv ": 5, "GTV NODE": 5, "heart": 2}
    both = masks["GTV"] | masks["gtv node"]
    np.testing.assert_array_equal(codes_on(series, tmp_path / "seg.dcm", label_names=names), np.where(both, 5, 0))
    with pytest.raises(
        McdError, match=r"seg\.dcm: has none of heart, Spine, but GTV, gtv node, lung; add what is meant"
    ):
        codes_on(series, tmp_path / "seg.dcm", label_names={"heart": 1, "Spine": 2})


def test_contours_that_are_not_asked_for_are_not_looked_at(series: Path, tmp_path: Path) -> None:
    """One lies beside the image, as on a planning CT's couch."""
    grid = Grid.of(read_volume(series))
    corners = np.array([[3.0, 3], [9, 3], [9, 9], [3, 9]])
    inside, beside = ([grid.world(np.column_stack([corners, np.full(4, z)]))] for z in (4.0, 40.0))
    write_structures(tmp_path / "rs.dcm", {3: inside, 4: beside})
    with pytest.raises(McdError, match="a contour of region 4 lies on no slice"):
        codes_on(series, tmp_path / "rs.dcm")
    found = codes_on(series, tmp_path / "rs.dcm", label_names={"Region 3": 1})
    assert set(np.unique(found)) == {0, 1}
    assert found[4, 5, 5] == 1


def test_one_name_has_one_code_and_what_is_not_given_is_no_parameter() -> None:
    with pytest.raises(ValueError, match="label_names: 'gtv' appears with several codes"):
        PreprocessOptions(size=(16, 16), label_names={"GTV": 1, "gtv": 2})
    assert "label_names" not in PreprocessOptions(size=(16, 16)).model_dump()
    given = PreprocessOptions(size=(16, 16), label_names={"GTV": 1, "gtv": 1})
    assert PreprocessOptions(**json.loads(json.dumps(given.model_dump()))) == given


def test_inspect_says_what_a_label_holds(series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_structures(tmp_path / "rs.dcm", {3: [], 7: []})
    assert main(["inspect", str(tmp_path / "rs.dcm")]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["  3: region 3", "  7: region 7"]


def test_segments_that_overlap_are_refused(series: Path, tmp_path: Path) -> None:
    write_seg(
        {"a": block((1, 2, 2), (5, 8, 8)), "b": block((3, 4, 4), (8, 12, 12))},
        series,
        tmp_path / "seg.dcm",
        "test",
        COLOURS,
    )
    with pytest.raises(McdError, match=r"seg\.dcm: the segments 2 and 1 overlap in 32 voxels"):
        codes_on(series, tmp_path / "seg.dcm")


def test_a_gap_between_frames_stays_empty(series: Path, tmp_path: Path) -> None:
    mask = block((1, 2, 2), (3, 8, 8)) | block((7, 2, 2), (9, 8, 8))
    write_seg({"a": mask}, series, tmp_path / "seg.dcm", "test", COLOURS)
    np.testing.assert_array_equal(codes_on(series, tmp_path / "seg.dcm"), mask)


def edited(path: Path, move: float = 0.0, spacing: bool = True) -> Path:
    """A SEG whose third frame lies `move` mm farther, with or without the spacing between its slices."""
    header = pydicom.dcmread(path)
    if not spacing:
        for group in [*header.SharedFunctionalGroupsSequence, *header.PerFrameFunctionalGroupsSequence]:
            for measures in group.get("PixelMeasuresSequence", ()):
                measures.pop("SpacingBetweenSlices", None)
    place = header.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0]
    x, y, z = place.ImagePositionPatient
    place.ImagePositionPatient = [x, y, z + move]
    header.save_as(path)
    return path


def test_without_a_spacing_the_nearest_frames_say_it(series: Path, tmp_path: Path) -> None:
    """Empty frames are left out, so that others lie farther apart."""
    mask = block((1, 2, 2), (3, 8, 8)) | block((5, 2, 2), (6, 8, 8)) | block((9, 2, 2), (10, 8, 8))
    write_seg({"a": mask}, series, tmp_path / "seg.dcm", "test", COLOURS)
    np.testing.assert_array_equal(codes_on(series, edited(tmp_path / "seg.dcm", spacing=False)), mask)


@pytest.mark.parametrize(
    "lacking",
    ["PlaneOrientationSequence", "PixelMeasuresSequence", "PlanePositionSequence", "SegmentIdentificationSequence"],
)
def test_a_seg_without_a_place_says_what_it_lacks(series: Path, tmp_path: Path, lacking: str) -> None:
    write_seg({"a": block((1, 2, 2), (6, 8, 8))}, series, tmp_path / "seg.dcm", "test", COLOURS)
    header = pydicom.dcmread(tmp_path / "seg.dcm")
    for group in [*header.SharedFunctionalGroupsSequence, *header.PerFrameFunctionalGroupsSequence]:
        if lacking in group:
            delattr(group, lacking)
    header.save_as(tmp_path / "seg.dcm")
    with pytest.raises(McdError, match=rf"seg\.dcm: a SEG without {lacking}"):
        codes_on(series, tmp_path / "seg.dcm")


def test_frames_beside_their_places_are_refused_and_rounding_is_not(series: Path, tmp_path: Path) -> None:
    mask = block((1, 2, 2), (6, 8, 8))  # slices are 3 mm apart
    write_seg({"a": mask}, series, tmp_path / "seg.dcm", "test", COLOURS)
    np.testing.assert_array_equal(codes_on(series, edited(tmp_path / "seg.dcm", move=0.3)), mask)
    with pytest.raises(McdError, match=r"seg\.dcm: the frames of the SEG are unevenly spaced"):
        codes_on(series, edited(tmp_path / "seg.dcm", move=0.6))


def test_contours_enclose_the_centres_that_lie_in_them(series: Path, tmp_path: Path) -> None:
    """A square with a hole in one slice, a triangle in the next."""

    def outline(corners: list[tuple[float, float]], slice_: int) -> np.ndarray:
        return np.asarray([(-10 + 0.5 * x, 5 + 0.75 * y, -40 + 3 * slice_) for x, y in corners])

    square = [(1.5, 2.5), (9.5, 2.5), (9.5, 10.5), (1.5, 10.5)]
    hole = [(3.5, 4.5), (6.5, 4.5), (6.5, 7.5), (3.5, 7.5)]
    triangle = [(-0.5, -0.6), (8.2, -0.6), (-0.5, 8.1)]
    write_structures(tmp_path / "rt.dcm", {7: [outline(square, 4), outline(hole, 4)], 9: [outline(triangle, 5)]})
    expected = np.zeros(SHAPE, np.uint8)
    expected[4, 3:11, 2:10] = 7
    expected[4, 5:8, 4:7] = 0
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    expected[5][x + y < 7.55] = 9
    np.testing.assert_array_equal(codes_on(series, tmp_path / "rt.dcm"), expected)


def test_contours_beside_the_slices_are_refused(series: Path, tmp_path: Path) -> None:
    far = np.asarray([(-10, 5, 100.0), (-5, 5, 100.0), (-5, 9, 100.0)])
    write_structures(tmp_path / "rt.dcm", {1: [far]})
    with pytest.raises(McdError, match=r"rt\.dcm: a contour of region 1 lies on no slice of the image"):
        codes_on(series, tmp_path / "rt.dcm")


def test_a_structure_set_beside_the_slices_is_neither_image_nor_label(series: Path, tmp_path: Path) -> None:
    before = array_of(read_volume(series))
    write_structures(series / "RS.dcm", {1: [np.asarray([(-9, 6, -40.0), (-5, 6, -40.0), (-5, 9, -40.0)])]})
    np.testing.assert_array_equal(array_of(read_volume(series)), before)
    np.testing.assert_array_equal(array_of(read_label(series, Grid.of(read_volume(series)))), before)


def test_a_segmentation_is_no_image(series: Path, tmp_path: Path) -> None:
    write_seg({"a": block((1, 2, 2), (5, 8, 8))}, series, tmp_path / "seg.dcm", "test", COLOURS)
    with pytest.raises(McdError, match=r"seg\.dcm: a segmentation, not an image; give it as `label`"):
        read_volume(tmp_path / "seg.dcm")


def test_a_seg_on_part_of_the_image_is_preprocessed_like_it(series: Path, tmp_path: Path) -> None:
    """Resampled to twice the spacing, where each nearest neighbour is a tie: a bright block and its label stay together."""
    mask = block((3, 5, 4), (7, 11, 12))
    values = np.random.default_rng(0).integers(500, 600, SHAPE)
    write_series(tmp_path / "bright", np.where(mask, 1500, values).astype(np.int16))
    write_seg({"a": mask}, tmp_path / "bright", tmp_path / "seg.dcm", "test", COLOURS)
    options = PreprocessOptions(size=(16, 16), spacing=(1.0, 1.5, 6.0), statistics_region="all", percentiles=(0, 100))
    pre = preprocess_subject(Subject("p", {"CT": tmp_path / "bright"}, label=tmp_path / "seg.dcm"), options)
    assert pre.label is not None
    np.testing.assert_array_equal(pre.label > 0, pre.volumes["CT"] > 1.0)
    assert len(read_headers(series)) == SHAPE[0]


def test_a_channel_of_a_file_is_no_dicom_label(tmp_path: Path) -> None:
    """Its name is that of no file, and the file is another reader's."""
    grid = Grid((4, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    write_volume(grid.image(np.zeros(grid.shape, np.uint8)), tmp_path / "four.nii.gz")
    assert names_of_codes(tmp_path / "four.nii.gz[1]") == names_of_codes(tmp_path / "four.nii.gz") == {}
