"""Grids, and a prediction's way back to the raw image."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from mcd.imaging.geometry import Grid, array_of, nearest, resample, to_raw_grid

OBLIQUE = tuple(sitk.VersorTransform((1.0, 0.4, -0.7), 0.35).GetMatrix())
FLIPPED = (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0)  # RAS axes
SAGITTAL = (0, 0, 1.0, 1.0, 0, 0, 0, -1.0, 0)  # stored as sagittal slices
LPS = (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)


def blob(grid: Grid) -> np.ndarray:
    """Three ellipsoids in the middle of a grid's field of view with codes 1, 2 and 4, semi-axes up to 16 mm."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.size), indexing="ij"), -1).reshape(-1, 3)
    points = grid.world(index) - grid.world((np.asarray([grid.size]) - 1) / 2)
    distance = np.linalg.norm(points / (16, 13, 14), axis=1)
    codes = np.select([distance < 0.45, distance < 0.7, distance < 1], [4, 1, 2], 0)
    return codes.reshape(grid.size).transpose(2, 1, 0).astype(np.uint8)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_json_keeps_every_bit() -> None:
    grid = Grid((5, 6, 7), (0.976562, 1 / 3, 3.27), (-23.4376163482666, 0.1, 1e-9), OBLIQUE)
    assert Grid.from_json(json.loads(json.dumps(grid.to_json()))) == grid
    assert Grid.of(grid.empty_image()) == grid


@pytest.mark.parametrize("direction", [LPS, FLIPPED, SAGITTAL, OBLIQUE])
def test_world_and_index_agree_with_simpleitk(direction: tuple[float, ...]) -> None:
    grid = Grid((5, 6, 7), (0.5, 2, 3.25), (10, -20, 30), direction)
    index = np.random.default_rng(0).uniform(-3, 9, (20, 3))
    expected = [grid.empty_image().TransformContinuousIndexToPhysicalPoint(point) for point in index.tolist()]
    np.testing.assert_allclose(grid.world(index), expected, atol=1e-9)
    np.testing.assert_allclose(grid.index(grid.world(index)), index, atol=1e-9)


def test_contains_counts_whole_voxels() -> None:
    grid = Grid((2, 3, 4), (1, 1, 1), (0, 0, 0), LPS)
    index = np.asarray([[-0.5, 0, 0], [-0.51, 0, 0], [1.49, 2.49, 3.49], [1.5, 0, 0], [0, 0, 4]])
    assert grid.contains(index).tolist() == [True, False, True, False, False]


def test_respacing_keeps_the_edges_of_the_field_of_view() -> None:
    grid = Grid((10, 20, 9), (2.0, 1.0, 3.27), (5, -6, 7), OBLIQUE)
    fine = grid.respaced((1.0, 1.0, 1.0))
    assert fine.size == (20, 20, 29)
    np.testing.assert_allclose(fine.world(np.full((1, 3), -0.5)), grid.world(np.full((1, 3), -0.5)), atol=1e-9)
    ends = fine.world(np.asarray([fine.size]) - 0.5), grid.world(np.asarray([grid.size]) - 0.5)
    assert np.linalg.norm(ends[0] - ends[1]) <= 0.5
    assert grid.respaced(grid.spacing) == grid


def test_cropping_and_padding_keep_voxels_in_place() -> None:
    grid = Grid((4, 5, 6), (1.0, 2.0, 3.0), (5, -6, 7), OBLIQUE)
    array = np.random.default_rng(0).integers(1, 255, grid.shape, dtype=np.uint8)
    moved = array_of(resample(grid.image(array), grid.cropped((1, -2, 2), (2, 9, 3))))
    np.testing.assert_array_equal(moved[:, 2:7, :], array[2:5, :, 1:3])
    assert not moved[:, :2].any()
    assert not moved[:, 7:].any()


def test_an_array_of_another_shape_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"\(3, 2, 1\).*\(1, 2, 3\)"):
        Grid((3, 2, 1), (1, 1, 1), (0, 0, 0), LPS).image(np.zeros((3, 2, 1)))


@pytest.mark.parametrize("direction", [LPS, FLIPPED, SAGITTAL, OBLIQUE])
@pytest.mark.parametrize(
    ("raw_spacing", "common_spacing", "least"),
    [((0.977, 0.977, 3.27), 1.0, 0.95), ((1.2, 0.8, 3.0), 0.4, 0.99), ((1.0, 1.0, 1.0), 0.5, 0.99)],
)
def test_a_label_returns_from_the_common_grid(
    direction: tuple[float, ...], raw_spacing: tuple[float, float, float], common_spacing: float, least: float
) -> None:
    size = tuple(round(60 / side) for side in raw_spacing)
    raw = Grid(size, raw_spacing, (12.3, -45.6, 7.8), direction)
    label = blob(raw)
    whole = Grid.of(sitk.DICOMOrient(raw.image(label), "LPS")).respaced((common_spacing,) * 3)
    crop = whole.cropped((3, 2, 0), tuple(side - 5 for side in whole.size))
    back = to_raw_grid(array_of(resample(raw.image(label), crop)), crop, raw)
    assert (Grid.of(back), back.GetPixelID()) == (raw, sitk.sitkUInt8)
    for code in (1, 2, 4):
        assert dice(array_of(back) == code, label == code) > least


def test_probabilities_return_linearly_and_are_0_outside_the_crop() -> None:
    raw = Grid((8, 8, 8), (2.0, 2.0, 2.0), (0, 0, 0), LPS)
    crop = Grid((6, 6, 6), (1.0, 1.0, 1.0), (2.5, 2.5, 2.5), LPS)
    ramp = np.broadcast_to(np.linspace(0, 1, 6, dtype=np.float32), (6, 6, 6))  # along x: p = (x - 2.5) / 5
    back = to_raw_grid(ramp, crop, raw)
    assert back.GetPixelID() == sitk.sitkFloat32
    np.testing.assert_allclose(array_of(back)[2, 2, 2:4], [(4 - 2.5) / 5, (6 - 2.5) / 5], atol=1e-6)
    assert array_of(back)[0].max() == 0


def test_a_boolean_mask_returns_as_codes() -> None:
    raw = Grid((8, 8, 8), (1.0, 1.0, 1.0), (0, 0, 0), FLIPPED)
    mask = blob(raw) > 0
    np.testing.assert_array_equal(array_of(to_raw_grid(mask, raw, raw)), mask.astype(np.uint8))


@pytest.mark.parametrize("direction", [LPS, FLIPPED, SAGITTAL, OBLIQUE])
@pytest.mark.parametrize("start", [(2, 1, 3), (-3, 2, -1), (5, -4, 6), (40, 0, 0), (0, -40, 0)])
@pytest.mark.parametrize("outside", [np.nan, 0.0])
def test_a_part_of_a_grid_is_cropped_as_itk_resamples_it(
    direction: tuple[float, ...], start: tuple[int, ...], outside: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Grid((9, 8, 7), (0.7, 1.3, 2.0), (-40.0, 12.0, 7.0), direction)
    values = np.random.default_rng(0).integers(1, 250, whole.shape).astype(np.uint8 if outside == 0 else np.int16)
    part = whole.cropped(tuple(number + 0.004 for number in start), (6, 6, 6))  # as headers are rounded
    expected = array_of(resample(whole.image(values), part, outside=outside))
    monkeypatch.setattr("mcd.imaging.geometry.resample", None)
    found = nearest(whole.image(values), part, outside=outside)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_what_is_no_part_of_a_grid_is_resampled() -> None:
    whole = Grid((9, 8, 7), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), LPS)
    image = whole.image(np.random.default_rng(0).normal(size=whole.shape).astype(np.float32))
    finer, moved = whole.respaced((0.5, 1.0, 1.0)), sitk.TranslationTransform(3, (3.0, 0.0, 0.0))
    for grid, transform in ((finer, None), (whole.cropped((0.4, 0, 0), (5, 5, 5)), None), (whole, moved)):
        np.testing.assert_array_equal(nearest(image, grid, transform), array_of(resample(image, grid, transform)))
    assert not np.array_equal(nearest(image, whole, moved), nearest(image, whole))
