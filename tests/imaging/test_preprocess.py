"""From raw files to the common grid: the same place for every modality, and the paper's normalisation."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from mcd.errors import McdError
from mcd.imaging.geometry import Grid, array_of, to_raw_grid
from mcd.imaging.options import PreprocessOptions
from mcd.imaging.preprocess import (
    Preprocessed,
    cut_label,
    preprocess_subject,
    read_preprocessed,
    write_preprocessed,
)
from mcd.subject import Subject
from mcd.version import code_version

LPS = (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)
RAS = (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0)
SAGITTAL = (0, 0, 1.0, 1.0, 0, 0, 0, -1.0, 0)
OBLIQUE = tuple(sitk.VersorTransform((1.0, 0.4, -0.7), 0.2).GetMatrix())

Scene = Callable[[np.ndarray], np.ndarray]  # world points (N, 3) in mm -> values (N,)
CENTRE = np.asarray([5.0, -12.0, 30.0])


def ball(points: np.ndarray, radius: float, offset: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    return np.linalg.norm(points - CENTRE - offset, axis=1) < radius


def head(points: np.ndarray) -> np.ndarray:
    """A textured ball of 22 mm with a bright ball of 8 mm in it, 0 outside."""
    texture = 100 + 10 * np.sin(points / 3).sum(axis=1)
    return np.where(ball(points, 22), texture + 150 * lesion(points), 0)


def lesion(points: np.ndarray) -> np.ndarray:
    return ball(points, 8, (6, 4, -3)).astype(float)


def centred(spacing: tuple[float, ...], extent: float, direction: tuple[float, ...] = LPS) -> Grid:
    """A grid of `extent` mm a side around CENTRE."""
    size = tuple(round(extent / side) for side in spacing)
    grid = Grid(size, tuple(spacing), (0, 0, 0), direction)
    origin = CENTRE - grid.world((np.asarray([size]) - 1) / 2)[0]
    return replace(grid, origin=tuple(origin.tolist()))


def sample(scene: Scene, grid: Grid) -> np.ndarray:
    """The scene's values (z, y, x) at the voxel centres of a grid."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.size), indexing="ij"), -1).reshape(-1, 3)
    return scene(grid.world(index)).reshape(grid.size).transpose(2, 1, 0)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def _save(name: str, scene: Scene, grid: Grid, dtype: type = np.float32) -> Path:
        path = tmp_path / f"{name}.nii.gz"
        sitk.WriteImage(grid.image(sample(scene, grid).astype(dtype)), str(path))
        return path

    return _save


def thresholded(pre: Preprocessed, modality: str) -> np.ndarray:
    """The bright ball, seen in a normalised volume."""
    volume = pre.volumes[modality]
    return volume > (volume[pre.regions[modality]].max() + np.median(volume[pre.regions[modality]])) / 2


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


# ---- one grid --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interpolation", ["nearest", "linear", "bspline"])
@pytest.mark.parametrize("direction", [LPS, RAS, SAGITTAL, OBLIQUE])
def test_modalities_of_any_spacing_extent_and_direction_end_aligned(
    save: Callable[..., Path], direction: tuple[float, ...], interpolation: str
) -> None:
    subject = Subject(
        "s",
        {
            "A": save("a", head, centred((1.0, 1.0, 2.0), 56, LPS)),
            "B": save("b", head, centred((1.4, 1.1, 1.7), 70, direction)),
        },
        label=save("label", lesion, centred((0.8, 0.8, 1.5), 50, direction), np.uint8),
    )
    pre = preprocess_subject(subject, PreprocessOptions(size=(48, 52), interpolation=interpolation))
    assert pre.grid.size == (48, 52, 56)
    assert {volume.shape for volume in pre.volumes.values()} == {pre.grid.shape}
    assert pre.label is not None
    assert pre.label.shape == pre.grid.shape
    truth = sample(lesion, pre.grid) > 0
    radius = (3 * truth.sum() / 4 / np.pi) ** (1 / 3)
    assert radius == pytest.approx(8, abs=0.1)
    for found in (pre.label > 0, thresholded(pre, "A"), thresholded(pre, "B")):
        assert dice(found, truth) > 0.87
        shift = np.argwhere(found).mean(axis=0) - np.argwhere(truth).mean(axis=0)
        assert np.abs(shift).max() < 0.5  # of a voxel of 1 mm


@pytest.mark.parametrize("direction", [RAS, SAGITTAL])
def test_slices_are_axial_whatever_the_storage_order(save: Callable[..., Path], direction: tuple[float, ...]) -> None:
    options = PreprocessOptions(size=(48, 48))
    grids = {"lps": centred((1.0, 1.0, 1.0), 50), "other": centred((1.0, 1.0, 1.0), 50, direction)}
    lps, other = (
        preprocess_subject(Subject(name, {"A": save(name, head, grid)}), options) for name, grid in grids.items()
    )
    assert other.grid.direction == pytest.approx(LPS)
    np.testing.assert_allclose(other.volumes["A"], lps.volumes["A"], atol=1e-5)


def test_a_1_mm_volume_is_cropped_without_touching_its_voxels(save: Callable[..., Path]) -> None:
    raw = centred((1.0, 1.0, 1.0), 60)
    pre = preprocess_subject(Subject("s", {"A": save("a", head, raw)}), PreprocessOptions(size=(46, 46)))
    values = sample(head, raw).astype(np.float32)[:, 7:53, 7:53]
    numbers = pre.info["statistics"]["A"]
    expected = np.where(
        values != 0, (np.clip(values, numbers["p_low"], numbers["p_high"]) - numbers["mean"]) / numbers["sd"], 0
    )
    np.testing.assert_allclose(pre.volumes["A"], expected, atol=1e-5)


def test_crop_and_pad_are_centred_on_the_region(save: Callable[..., Path]) -> None:
    raw = replace(centred((1.0, 1.0, 1.0), 60), origin=tuple((CENTRE - (20, 40, 29.5)).tolist()))  # off-centre
    path = save("a", head, raw)
    for size in ((46, 46), (90, 80)):
        pre = preprocess_subject(Subject("s", {"A": path}), PreprocessOptions(size=size))
        assert pre.grid.size == (*size, 60)
        spans = [np.flatnonzero(pre.region.any(axis=axes)) for axes in ((0, 1), (0, 2))]
        for span, voxels in zip(spans, size, strict=True):
            assert abs(span[0] - (voxels - 1 - span[-1])) <= 1  # as much room on either side
        assert pre.region.sum() == (sample(head, raw) != 0).sum()
    assert pre.info["statistics"]["A"]["covered"] == pytest.approx(60 * 60 / (90 * 80))


def test_the_centre_can_be_the_image(save: Callable[..., Path]) -> None:
    raw = replace(centred((1.0, 1.0, 1.0), 60), origin=tuple((CENTRE - (20, 40, 29.5)).tolist()))
    options = PreprocessOptions(size=(40, 40), centre="image")
    pre = preprocess_subject(Subject("s", {"A": save("a", head, raw)}), options)
    np.testing.assert_allclose(pre.grid.origin, np.add(raw.origin, (10, 10, 0)), atol=1e-4)


def test_a_box_gives_place_and_slices_and_goes_before_the_region(save: Callable[..., Path]) -> None:
    low, high = np.add(CENTRE, (-10.25, -20, -14)), np.add(CENTRE, (19.75, 10, 22))
    box = tuple(np.stack([low, high], axis=1).ravel().tolist())
    subject = Subject("s", {"A": save("a", head, centred((0.9, 0.9, 3.0), 60, RAS))}, box=box)
    pre = preprocess_subject(subject, PreprocessOptions(size=(30, 30)))
    assert pre.grid.size == (30, 30, 36)
    edges = pre.grid.world(np.asarray([[-0.5, -0.5, -0.5], [29.5, 29.5, 35.5]]))
    np.testing.assert_allclose(edges, [low, high], atol=1e-4)
    coarse = preprocess_subject(subject, PreprocessOptions(size=(15, 15), spacing=(2.0, 2.0, 3.0)))
    assert coarse.grid.size == (15, 15, 12)
    np.testing.assert_allclose(coarse.grid.world(np.asarray([[-0.5, -0.5, -0.5]]))[0], low, atol=1e-4)


def test_beyond_its_own_field_of_view_a_modality_is_background(save: Callable[..., Path]) -> None:
    def warm(points: np.ndarray) -> np.ndarray:  # nowhere 0, so that only the field of view can end it
        return 5 + np.sin(points).sum(axis=1)

    small = centred((2.0, 2.0, 2.0), 20)
    subject = Subject("s", {"A": save("a", head, centred((1.0, 1.0, 1.0), 50)), "B": save("b", warm, small)})
    for interpolation in ("nearest", "linear", "bspline"):
        options = PreprocessOptions(size=(50, 50), interpolation=interpolation, statistics_region="all")
        pre = preprocess_subject(subject, options)
        assert pre.regions["A"].all()
        assert pre.regions["B"].sum() == 20**3
        np.testing.assert_array_equal(pre.volumes["B"] != 0, pre.regions["B"])
        assert pre.info["statistics"]["B"]["covered"] == pytest.approx(20**3 / 50**3)
        assert np.isfinite(pre.volumes["B"]).all()


def test_a_registered_modality_is_moved_by_its_transform(save: Callable[..., Path]) -> None:
    def elsewhere(points: np.ndarray) -> np.ndarray:
        return head(points - (9, -7, 4))

    raw = centred((1.0, 1.0, 1.0), 64)
    subject = Subject("s", {"A": save("a", head, raw), "B": save("b", elsewhere, raw)})
    options = PreprocessOptions(size=(50, 50))
    moved = preprocess_subject(subject, options.model_copy(update={"registration": "rigid"}))
    assert dice(thresholded(moved, "B"), thresholded(moved, "A")) > 0.95
    left = preprocess_subject(subject, options)
    assert dice(thresholded(left, "B"), thresholded(left, "A")) < 0.5


# ---- regions ---------------------------------------------------------------------------------------------------------


def test_percentiles_and_z_score_are_those_of_numpy_over_the_non_zero_region(save: Callable[..., Path]) -> None:
    raw = centred((1.0, 1.0, 1.0), 50)
    options = PreprocessOptions(size=(50, 50), percentiles=(5, 90))
    pre = preprocess_subject(Subject("s", {"A": save("a", head, raw)}), options)
    content = sample(head, raw).astype(np.float32)
    content = content[content != 0]
    low, high = np.percentile(content, (5, 90))
    clipped = np.clip(content, low, high).astype(float)
    numbers = pre.info["statistics"]["A"]
    assert (numbers["region"], numbers["voxels"]) == ("nonzero", content.size)
    for key, expected in (("p_low", low), ("p_high", high), ("mean", clipped.mean()), ("sd", clipped.std())):
        assert numbers[key] == pytest.approx(expected, rel=1e-5)
    inside = pre.volumes["A"][pre.regions["A"]]
    assert inside.mean() == pytest.approx(0, abs=1e-4)
    assert inside.std() == pytest.approx(1, abs=1e-4)
    assert inside.max() == pytest.approx((high - clipped.mean()) / clipped.std(), rel=1e-4)


def test_a_mask_goes_before_the_rule_where_the_background_is_negative(save: Callable[..., Path]) -> None:
    def scored(points: np.ndarray) -> np.ndarray:  # z-scored already: 0 is tissue, the background -2.7
        return np.where(ball(points, 20), np.sin(points / 2).sum(axis=1).round(), -2.7)

    def nearly_one(points: np.ndarray) -> np.ndarray:
        return 0.99999997 * ball(points, 20)

    raw = centred((1.0, 1.0, 1.0), 50)
    subject = Subject("s", {"A": save("a", scored, raw)}, mask=save("mask", nearly_one, raw))
    pre = preprocess_subject(subject, PreprocessOptions(size=(44, 44), statistics_region="nonzero"))
    assert pre.info["statistics"]["A"]["region"] == "mask"
    np.testing.assert_array_equal(pre.regions["A"], sample(lambda points: ball(points, 20), pre.grid))
    assert not pre.volumes["A"][~pre.regions["A"]].any()
    spoilt = preprocess_subject(replace(subject, mask=None), PreprocessOptions(size=(44, 44)))
    assert spoilt.regions["A"].mean() > 0.9  # what the mask is for: the background counts as content


def test_a_bspline_does_not_spread_the_non_zero_region(save: Callable[..., Path]) -> None:
    path = save("a", head, centred((1.3, 1.3, 2.0), 60))
    nearest, bspline = (
        preprocess_subject(Subject("s", {"A": path}), PreprocessOptions(size=(50, 50), interpolation=kind))
        for kind in ("nearest", "bspline")
    )
    np.testing.assert_array_equal(bspline.regions["A"], nearest.regions["A"])


def test_a_ct_s_body_keeps_0_hu_and_airways_and_drops_the_couch(save: Callable[..., Path]) -> None:
    def ct(points: np.ndarray) -> np.ndarray:
        relative = points - CENTRE
        body = np.linalg.norm(relative[:, :2], axis=1) < 20
        airway = np.linalg.norm(relative[:, :2] - (3, 2), axis=1) < 5  # a tube, open at both ends
        couch = (relative[:, 1] > 26) & (relative[:, 1] < 28)
        soft = np.where(relative[:, 0] > 0, 0, 40)  # half of the tissue is exactly 0 HU
        return np.select([airway, body, couch], [-1000, soft, 200], -1000)

    raw = centred((1.0, 1.0, 2.0), 60)
    subject = Subject("s", {"CT": save("ct", ct, raw, np.int16), "PET": save("pet", head, raw)})
    options = PreprocessOptions(size=(60, 60), statistics_region={"CT": "body"})
    pre = preprocess_subject(subject, options)
    body = sample(lambda points: np.linalg.norm((points - CENTRE)[:, :2], axis=1) < 20, pre.grid)
    assert dice(pre.regions["CT"], body) > 0.99
    assert {name: entry["region"] for name, entry in pre.info["statistics"].items()} == {"CT": "body", "PET": "nonzero"}
    offset = pre.grid.index(CENTRE[None])[0][:2] - (60 - 1) / 2
    assert np.abs(offset).max() <= 2  # the crop is centred on the body, which is found coarsely


def test_the_body_may_come_in_two_large_parts(save: Callable[..., Path]) -> None:
    def legs(points: np.ndarray) -> np.ndarray:
        return np.where(ball(points, 12, (14, 0, 0)) | ball(points, 10, (-14, 0, 0)), 50.0 + points[:, 2] % 7, -1000.0)

    path = save("ct", legs, centred((1.0, 1.0, 1.0), 60))
    pre = preprocess_subject(Subject("s", {"CT": path}), PreprocessOptions(size=(60, 60), statistics_region="body"))
    np.testing.assert_array_equal(pre.regions["CT"], sample(lambda points: legs(points) > -500, pre.grid))


# ---- labels ----------------------------------------------------------------------------------------------------------


def codes(points: np.ndarray) -> np.ndarray:
    inner, middle, outer = (ball(points, radius) for radius in (4, 8, 12))
    return np.select([inner, middle, outer], [4, 3, 2], 0)


@pytest.mark.parametrize("noise", [0.0, -3e-8, 4e-4])
def test_float_labels_are_rounded_and_every_code_is_kept(save: Callable[..., Path], noise: float) -> None:
    raw = centred((1.0, 1.0, 1.0), 50)

    def noisy(points: np.ndarray) -> np.ndarray:
        return codes(points) * (1 + noise / 4)

    subject = Subject("s", {"A": save("a", head, raw)}, label=save("label", noisy, raw))
    pre = preprocess_subject(subject, PreprocessOptions(size=(50, 50)))
    assert pre.label is not None
    assert pre.label.dtype == np.uint8
    np.testing.assert_array_equal(pre.label, sample(codes, pre.grid))
    expected = {str(code): (pre.label == code).sum() / 1000 for code in (2, 3, 4)}
    assert pre.info["label"] == {"ml": pytest.approx(expected), "lost": 0.0}
    assert pre.info["warnings"] == []


@pytest.mark.parametrize(
    ("factor", "message"),
    [(0.5, "not every voxel is a whole number"), (-1, "codes from -4"), (80, "codes from .* to 320")],
)
def test_a_label_that_is_not_codes_is_refused(save: Callable[..., Path], factor: float, message: str) -> None:
    raw = centred((1.0, 1.0, 1.0), 50)
    label = save("label", lambda points: factor * codes(points) + 0.0 * points[:, 0], raw)
    with pytest.raises(McdError, match=rf"label\.nii\.gz: {message}"):
        preprocess_subject(Subject("s", {"A": save("a", head, raw)}, label=label), PreprocessOptions(size=(50, 50)))


def test_a_label_partly_outside_the_crop_is_measured_and_wholly_outside_refused(save: Callable[..., Path]) -> None:
    def slab(points: np.ndarray) -> np.ndarray:  # 40 mm wide in x, of which the crop of 30 mm sees 30
        return (np.abs(points - CENTRE) < (20, 5, 5)).all(axis=1)

    def beside(points: np.ndarray) -> np.ndarray:
        return ball(points, 3, (22, 0, 0))

    raw = centred((1.0, 1.0, 2.0), 60)
    subject = Subject("s", {"A": save("a", head, raw)}, label=save("label", slab, raw, np.uint8))
    pre = preprocess_subject(subject, PreprocessOptions(size=(30, 30)))
    assert pre.info["label"]["lost"] == pytest.approx(0.25)
    assert pre.info["warnings"] == ["25.0% of the label's voxels lie outside the crop"]
    assert cut_label({"label": {"lost": 0.0004}}) == "less than 0.1% of the label's voxels lie outside the crop"
    assert cut_label({"label": {"lost": 0.0}}) == cut_label({"label": None}) == ""
    outside = replace(subject, label=save("beside", beside, raw, np.uint8))
    with pytest.raises(McdError, match=r"beside\.nii\.gz: .*wholly outside the crop"):
        preprocess_subject(outside, PreprocessOptions(size=(30, 30)))


@pytest.mark.parametrize("size", [None, (30, 34, 20)])
def test_a_label_that_ends_before_the_image_is_said(
    save: Callable[..., Path], size: tuple[int, int, int] | None
) -> None:
    """One that lost its header has voxels of 1 mm, whatever its size, and is a small part of the image's field of view."""
    raw = centred((3.0, 3.0, 6.0), 180)
    label = Grid(size or raw.size, (1.0, 1.0, 1.0), tuple(CENTRE - 15), raw.direction)
    subject = Subject(
        "s", {"A": save("a", head, raw)}, label=save("label", lambda points: ball(points, 9), label, np.uint8)
    )
    pre = preprocess_subject(subject, PreprocessOptions(size=(160, 160)))
    held = np.prod([min(n, 160) for n in label.size[:2]]) * label.size[2] / (160 * 160 * pre.grid.size[2])
    assert pre.info["label"]["covered"] == pytest.approx(held, rel=0.05)
    assert len(pre.info["warnings"]) == 1
    assert re.match("the label covers .*% of the crop, A 100%: beyond", pre.info["warnings"][0])
    whole = replace(subject, label=save("whole", lambda points: ball(points, 9), raw, np.uint8))
    assert preprocess_subject(whole, PreprocessOptions(size=(160, 160))).info["warnings"] == []


def test_an_empty_label_is_a_warning(save: Callable[..., Path]) -> None:
    raw = centred((1.0, 1.0, 1.0), 50)
    label = save("label", lambda points: np.zeros(len(points)), raw, np.uint8)
    subject = Subject("s", {"A": save("a", head, raw)}, label=label)
    pre = preprocess_subject(subject, PreprocessOptions(size=(50, 50)))
    assert pre.info["label"] == {"ml": {}, "lost": 0.0}
    assert pre.info["warnings"] == ["the label is empty"]


# ---- faults ----------------------------------------------------------------------------------------------------------


def test_an_empty_region_a_constant_image_and_a_far_modality_are_named(save: Callable[..., Path]) -> None:
    raw = centred((1.0, 1.0, 1.0), 40)
    far = replace(raw, origin=(500.0, 500.0, 500.0))
    options = PreprocessOptions(size=(40, 40))
    a = save("a", head, raw)
    zero, flat = (save(f"v{value}", lambda p, v=value: np.full(len(p), v), raw) for value in (0, 7))
    for images, message in (
        ({"A": zero}, r"A of s: no voxel in its region \(nonzero\)"),
        ({"A": a, "B": zero}, r"B of s: no voxel in its region \(nonzero\)"),
        ({"A": a, "B": flat}, "B of s: constant"),
        ({"A": a, "B": save("far", head, far)}, "the B of s does not overlap the crop"),
    ):
        with pytest.raises(McdError, match=message):
            preprocess_subject(Subject("s", images), options)
    with pytest.raises(McdError, match=r"A of s: no voxel in its region \(mask\).*correct the mask"):
        preprocess_subject(Subject("s", {"A": a}, mask=zero), options)
    with pytest.raises(McdError, match="the A of s does not overlap the crop"):
        preprocess_subject(Subject("s", {"A": a}, box=(900, 940, 900, 940, 900, 940)), options)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": (160,)}, "size.1: is missing"),
        ({"size": (160, 0)}, "size.1: .* greater than or equal to 1"),
        ({"size": (9, 9), "spacing": (1, 1, -1)}, "spacing.2: .* greater than 0"),
        ({"size": (9, 9), "percentiles": (99, 1)}, "percentiles"),
        (
            {"size": (9, 9), "interpolation": "cubic"},
            "interpolation: .*'nearest', 'linear' or 'bspline' .given: 'cubic'",
        ),
        ({"size": (9, 9), "statistics_region": {"CT": "head"}}, "statistics_region.CT: .* .given: 'head'"),
        ({"size": (9, 9), "centre": "box"}, "centre: .* .given: 'box'"),
    ],
)
def test_options_name_the_key_at_fault(values: dict[str, Any], message: str) -> None:
    with pytest.raises(McdError, match=message):
        PreprocessOptions.read(values, "preprocessing")


def test_a_rule_for_an_unknown_modality_is_refused(save: Callable[..., Path]) -> None:
    subject = Subject("s", {"CT": save("a", head, centred((1.0, 1.0, 1.0), 40))})
    with pytest.raises(McdError, match="statistics_region: no modality 'Ct'; there are CT"):
        preprocess_subject(subject, PreprocessOptions(size=(40, 40), statistics_region={"Ct": "body"}))


def test_options_take_lists_from_yaml() -> None:
    assert PreprocessOptions(size=[160, 160], spacing=[1, 1, 1]) == PreprocessOptions(size=(160, 160))


# ---- folders ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def preprocessed(save: Callable[..., Path]) -> Preprocessed:
    raw = centred((1.0, 1.0, 2.0), 50, RAS)
    images = {"PET": save("a", head, raw), "CT": save("b", head, centred((2.0, 2.0, 2.0), 40))}
    return preprocess_subject(
        Subject("s", images, label=save("label", codes, raw, np.int16)), PreprocessOptions(size=(40, 40))
    )


def test_a_folder_keeps_everything(preprocessed: Preprocessed, tmp_path: Path) -> None:
    folder = tmp_path / "cohort" / "s"
    write_preprocessed(preprocessed, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["CT.nii.gz", "PET.nii.gz", "info.json", "label.nii.gz"]
    assert [path.name for path in folder.parent.iterdir()] == ["s"]
    back = read_preprocessed(folder)
    assert list(back.volumes) == ["PET", "CT"]
    assert back.grid == preprocessed.grid
    for modality, volume in preprocessed.volumes.items():
        np.testing.assert_array_equal(back.volumes[modality], volume)
        np.testing.assert_array_equal(back.regions[modality], preprocessed.regions[modality])
    np.testing.assert_array_equal(back.label, preprocessed.label)
    assert back.info == json.loads(json.dumps(preprocessed.info))
    assert back.info["mcd_version"] == code_version()
    assert Grid.from_json(back.info["raw_grids"]["label"]).direction == pytest.approx(RAS)


def test_a_second_writing_replaces_the_first_and_a_failed_one_leaves_it(
    preprocessed: Preprocessed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cohort" / "s"
    write_preprocessed(preprocessed, folder)
    unlabelled = replace(preprocessed, label=None, info={**preprocessed.info, "label": None})
    monkeypatch.setattr("mcd.imaging.preprocess.write_json", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_preprocessed(unlabelled, folder)
    assert read_preprocessed(folder).label is not None
    monkeypatch.undo()
    write_preprocessed(unlabelled, folder)
    assert read_preprocessed(folder).label is None
    assert [path.name for path in folder.parent.iterdir()] == ["s"]


def test_a_file_that_cannot_be_written_is_named_where_it_was_to_be(
    preprocessed: Preprocessed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: Any, **__: Any) -> None:
        raise McdError(f"{path}: no space left; make room")

    monkeypatch.setattr("mcd.imaging.preprocess.write_json", full)
    with pytest.raises(McdError) as caught:
        write_preprocessed(preprocessed, tmp_path / "cohort" / "s")
    assert str(caught.value) == f"{tmp_path}/cohort/s/info.json: no space left; make room"
    assert list((tmp_path / "cohort").iterdir()) == []


def test_a_folder_with_a_gap_is_named(preprocessed: Preprocessed, tmp_path: Path) -> None:
    with pytest.raises(McdError, match=r"nothing/info\.json: no such file"):
        read_preprocessed(tmp_path / "nothing")
    write_preprocessed(preprocessed, tmp_path / "s")
    (tmp_path / "s" / "CT.nii.gz").unlink()
    with pytest.raises(McdError, match=r"CT\.nii\.gz: no such file"):
        read_preprocessed(tmp_path / "s")


# ---- real patients ---------------------------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize("patient", ["brats_2013_pat0003_1", "brats_2013_pat0006_1"])
def test_a_real_glioma_keeps_its_voxels_and_codes(real_patients: Path, patient: str) -> None:
    folder = real_patients / "brats_2013" / patient
    subject = Subject(
        patient,
        {"T1CE": folder / "T1c_subtrMeanDivStd.nii.gz", "FLAIR": folder / "Flair_subtrMeanDivStd.nii.gz"},
        label=folder / "OTMultiClass.nii.gz",
        mask=folder / "brainmask.nii.gz",
    )
    pre = preprocess_subject(subject, PreprocessOptions(size=(160, 160)))
    assert pre.grid.size == (160, 160, 155)
    assert pre.info["label"]["lost"] == 0
    raw = array_of(sitk.ReadImage(str(subject.label)))
    assert pre.label is not None
    for code in (1, 2, 3, 4):  # 1 mm already: not one voxel may change
        assert (pre.label == code).sum() == (np.rint(raw) == code).sum()
    back = array_of(to_raw_grid(pre.label, pre.grid, Grid.from_json(pre.info["raw_grids"]["label"])))
    np.testing.assert_array_equal(back, np.rint(raw))
    for modality, volume in pre.volumes.items():
        assert pre.info["statistics"][modality]["region"] == "mask"
        assert volume[pre.regions[modality]].std() == pytest.approx(1, abs=1e-3)
        assert not volume[~pre.regions[modality]].any()


@pytest.mark.real
@pytest.mark.parametrize("patient", ["STS_001", "STS_002"])
def test_a_real_sarcoma_ends_aligned_in_ct_pet_and_mr(real_patients: Path, patient: str) -> None:
    folder = real_patients / "sarcoma_pet_ct" / patient
    images = {"CT": folder / "CT/image.nii.gz", "PET": folder / "PET/image.nii.gz", "MR": folder / "MR_T1/image.nii.gz"}
    options = PreprocessOptions(size=(110, 110), spacing=(1.8, 1.8, 2.5), statistics_region={"CT": "body"})
    pre = preprocess_subject(Subject(patient, images, label=folder / "CT/mask.nii.gz"), options)
    assert pre.label is not None
    tumour = pre.label == 1
    assert pre.volumes["PET"][tumour].mean() > 1  # the tumour is hot where CT's contour says it is
    raw = sitk.ReadImage(str(folder / "CT/mask.nii.gz"))
    ml = (array_of(raw) > 0).sum() * Grid.of(raw).voxel_ml
    assert pre.info["label"]["ml"]["1"] == pytest.approx(ml, rel=0.02)
    back = array_of(to_raw_grid(pre.label, pre.grid, Grid.of(raw))) > 0
    assert dice(back, array_of(raw) > 0) > 0.95
    for name in ("PET", "MR_T1"):  # the contour exists once per grid: each drawing must fall on the same place
        other = Subject(patient, {"CT": images["CT"]}, label=folder / name / "mask.nii.gz")
        label = preprocess_subject(other, options).label
        assert label is not None
        assert dice(label > 0, tumour) > (0.85 if name == "PET" else 0.9)


@pytest.mark.real
def test_a_real_dicom_folder_gives_what_its_nifti_gives(real_patients: Path) -> None:
    folder = real_patients / "sarcoma_pet_ct" / "STS_001"
    # 3.1 mm, since at 3 mm one slice lies midway between two of 3.27 mm and the header's last digits decide.
    options = PreprocessOptions(size=(96, 96), spacing=(2.0, 2.0, 3.1), statistics_region={"CT": "body"})
    nifti, dicom = (
        preprocess_subject(Subject("s", {name: folder / name / kind for name in ("CT", "PET")}), options)
        for kind in ("image.nii.gz", "dicom")
    )
    for name, volume in nifti.volumes.items():
        assert (np.abs(dicom.volumes[name] - volume) > 1e-3).mean() < 1e-3


def test_a_factor_on_an_image_changes_nothing(save: Callable[..., Path]) -> None:
    """PET in Bq/ml and in SUV differ by one factor a patient."""
    grid = centred((2.0, 2.0, 2.0), 56)
    options = PreprocessOptions(size=(32, 32), spacing=(2.0, 2.0, 2.0))
    pre = [
        preprocess_subject(Subject("s", {"PET": save(name, lambda points: factor * head(points), grid)}), options)  # noqa: B023
        for name, factor in (("suv", 1.0), ("bq", 4321.0))
    ]
    np.testing.assert_allclose(pre[0].volumes["PET"], pre[1].volumes["PET"], atol=1e-4)
    np.testing.assert_array_equal(pre[0].regions["PET"], pre[1].regions["PET"])
