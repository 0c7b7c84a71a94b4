"""Volumes of one lattice share one index map, and voxels without a value are outside."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from mcd.errors import McdError
from mcd.imaging.geometry import Grid
from mcd.imaging.options import PreprocessOptions
from mcd.imaging.preprocess import Preprocessed, preprocess_subject
from mcd.imaging.raw import read_raw, share_inside, whole_numbers
from mcd.imaging.write_volume import write_volume
from mcd.subject import Subject

SHAPE = (12, 32, 32)
OPTIONS = PreprocessOptions(size=(16, 16), spacing=(2.0, 2.0, 4.0), percentiles=(0, 100), statistics_region="all")


def bright(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a block that stands out, and the block."""
    block = np.zeros(SHAPE, bool)
    block[3:8, 9:20, 11:22] = True
    noise = np.random.default_rng(seed).normal(size=SHAPE)
    return np.where(block, 100, noise).astype(np.float32), block


def preprocessed(
    folder: Path, shifts: dict[str, tuple[float, float, float]], turn: float = 0.0, options: PreprocessOptions = OPTIONS
) -> Preprocessed:
    """A patient whose files lie on one lattice of 1 x 1 x 2 mm, but for the given shifts in mm and a turn in radians."""
    values, block = bright()
    axes = np.asarray(sitk.VersorTransform((0, 0, 1), 0.1 + turn).GetMatrix())
    straight = np.asarray(sitk.VersorTransform((0, 0, 1), 0.1).GetMatrix())
    files = {"A": values, "B": values * 2, "label": block.astype(np.uint8), "mask": np.ones(SHAPE, np.uint8)}
    for name, content in files.items():
        origin = np.asarray((3.7, -8.1, 11.3)) + shifts.get(name, (0, 0, 0))
        direction = straight if name == "A" else axes
        grid = Grid(SHAPE[::-1], (1.0, 1.0, 2.0), tuple(origin.tolist()), tuple(direction.tolist()))
        write_volume(grid.image(content), folder / f"{name}.mha")
    subject = Subject("p", {name: folder / f"{name}.mha" for name in "AB"}, folder / "label.mha", folder / "mask.mha")
    return preprocess_subject(subject, options)


@pytest.mark.parametrize("shift", [0.0, 1e-5, -1e-5, 1e-9, -3e-4])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("turn", [0.0, 1e-7, -1e-7])
def test_a_label_a_hair_off_stays_on_its_image(tmp_path: Path, shift: float, axis: int, turn: float) -> None:
    """1 mm to 2 mm: every nearest neighbour is a tie, which the last digit would decide."""
    moved = (shift * (axis == 0), shift * (axis == 1), shift * (axis == 2))
    pre = preprocessed(tmp_path, {"label": moved, "B": moved, "mask": moved}, turn)
    assert pre.label is not None
    for volume in pre.volumes.values():
        np.testing.assert_array_equal(pre.label > 0, volume > 1.0)


def test_a_label_that_was_moved_stays_moved(tmp_path: Path) -> None:
    pre = preprocessed(tmp_path, {"label": (4.0, 0, 0)})
    assert pre.label is not None
    overlap = (pre.label > 0) & (pre.volumes["A"] > 1.0)
    assert 0 < overlap.sum() < (pre.label > 0).sum()


def test_a_label_on_part_of_the_lattice(tmp_path: Path) -> None:
    """Cut to its content, as some programs write labels."""
    preprocessed(tmp_path, {})
    label = sitk.ReadImage(str(tmp_path / "label.mha"))[8:25, 6:23, 1:10]
    label.SetOrigin((np.asarray(label.GetOrigin()) + 1e-5).tolist())
    write_volume(label, tmp_path / "part.mha")
    subject = Subject("p", {"A": tmp_path / "A.mha"}, tmp_path / "part.mha")
    pre = preprocess_subject(subject, OPTIONS)
    assert pre.label is not None
    np.testing.assert_array_equal(pre.label > 0, pre.volumes["A"] > 1.0)


def test_the_files_own_grids_are_kept(tmp_path: Path) -> None:
    pre = preprocessed(tmp_path, {"B": (1e-5, 0, 0)})
    a, b = (pre.info["raw_grids"][name]["origin"] for name in "AB")
    assert b[0] - a[0] == pytest.approx(1e-5, rel=1e-3)


@pytest.mark.parametrize("interpolation", ["nearest", "linear", "bspline"])
@pytest.mark.parametrize("rule", ["nonzero", "all", "body"])
def test_voxels_without_a_value_are_outside_when_the_configuration_says_so(
    tmp_path: Path, rule: str, interpolation: str
) -> None:
    values, _ = bright()
    values += 5
    missing = np.zeros(SHAPE, bool)
    missing[:, :, 20:] = True
    grid = Grid(SHAPE[::-1], (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    write_volume(grid.image(np.where(missing, np.nan, values)), tmp_path / "A.mha")
    options = PreprocessOptions(
        size=(32, 32), spacing=(1.0, 1.0, 2.0), statistics_region=rule, interpolation=interpolation, body_threshold=0,
        centre="image",
    )  # fmt: skip
    with pytest.raises(McdError, match=rf"A\.mha: {missing.sum()} voxels are not finite"):
        preprocess_subject(Subject("p", {"A": tmp_path / "A.mha"}), options)
    pre = preprocess_subject(
        Subject("p", {"A": tmp_path / "A.mha"}), options.model_copy(update={"not_finite": "outside"})
    )
    np.testing.assert_array_equal(pre.regions["A"], ~missing)
    statistics = pre.info["statistics"]["A"]
    low, high = np.percentile(values[~missing].astype(float), (1, 99))
    if interpolation == "nearest":
        assert statistics["p_low"] == pytest.approx(low, rel=1e-5)
        assert statistics["p_high"] == pytest.approx(high, rel=1e-5)
    assert np.isfinite(pre.volumes["A"]).all()
    assert not pre.volumes["A"][missing].any()


@pytest.mark.parametrize("seed", range(5))
def test_the_share_inside_is_that_of_the_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    turn = tuple(sitk.VersorTransform(rng.normal(size=3).tolist(), float(rng.uniform(-1, 1))).GetMatrix())
    own = Grid((11, 9, 7), (1.5, 0.8, 2.2), (3.0, -4.0, 5.0), turn)
    grid = Grid((6, 8, 5), (1.1, 1.3, 2.0), tuple(rng.normal(4, 3, 3).tolist()), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    codes = (rng.random(own.shape) < 0.2).astype(np.uint8) * 3
    index = np.argwhere(codes)[:, ::-1]
    expected = grid.contains(grid.index(own.world(index))).mean()
    assert share_inside(own.image(codes), grid) == pytest.approx(expected)
    assert share_inside(own.image(np.zeros_like(codes)), grid) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.int64, np.float32, np.float64])
def test_codes_of_every_type_are_whole_numbers(dtype: type) -> None:
    codes = np.random.default_rng(0).integers(0, 256, (3, 4, 5)).astype(np.uint8)
    grid = Grid((5, 4, 3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    values: np.ndarray = codes.astype(dtype)
    if np.issubdtype(dtype, np.floating):
        values += 1e-6  # as an interpolating tool leaves them
    np.testing.assert_array_equal(sitk.GetArrayFromImage(whole_numbers(grid.image(values), "l")), codes)
    if dtype is not np.uint8:
        values[1, 2, 3] = 300
        with pytest.raises(McdError, match=r"l: codes from .* to 300; renumber"):
            whole_numbers(grid.image(values), "l")


def test_probabilities_are_no_codes() -> None:
    grid = Grid((5, 4, 3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    values = np.zeros((3, 4, 5), np.float32)
    values[2, 1, 1] = 0.5
    with pytest.raises(McdError, match="not every voxel is a whole number"):
        whole_numbers(grid.image(values), "l")


def test_what_a_header_contradicts_is_noted_of_every_file_by_its_name_and_without_its_path(tmp_path: Path) -> None:
    places = {}
    for name in ("A", "label", "mask"):
        volume = nibabel.Nifti1Image(np.ones((6, 5, 4), np.int16), np.diag([-1.0, -1.0, 2.0, 1.0]))
        volume.set_sform(volume.affine, code=1)
        volume.set_qform(np.diag([-1.0, -1.0, 3.0, 1.0]), code=1, update_affine=False)
        nibabel.save(volume, tmp_path / f"{name}.nii.gz")
        places[name] = tmp_path / f"{name}.nii.gz"
    notes = read_raw(Subject("p", {"A": places["A"]}, label=places["label"], mask=places["mask"]), OPTIONS).notes
    assert [note.partition(": ")[0] for note in notes] == ["A", "label", "mask"]
    assert all("the sform is taken" in note and str(tmp_path) not in note for note in notes)
