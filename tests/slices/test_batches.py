"""Batches: the right slices, the right channels, whether in memory or streamed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mcd.errors import McdError
from mcd.imaging.preprocess import read_preprocessed
from mcd.slices.augment import augment
from mcd.slices.batches import PooledSlices, SliceSet, shuffled_batches, spread_batches
from mcd.slices.options import Augmentation
from mcd.slices.shards import Shards
from mcd.slices.write_shards import write_subjects
from mcd.testing.cohort import TinyCohort, tiny_volumes

REGIONS = {"WT": [1, 2], "TC": [1]}


@pytest.fixture(scope="module")
def shards(tiny_cohort: TinyCohort) -> Shards:
    return Shards(tiny_cohort.shards)


def test_selection(shards: Shards, tiny_cohort: TinyCohort) -> None:
    """B is black in its first and last slice; few slices hold a target; testing sees all."""
    assert len(SliceSet(shards, ["p0", "p4"], ["A"], select="content")) == 2 * tiny_cohort.depth
    assert len(SliceSet(shards, ["p0", "p4"], ["A", "B"], select="content")) == 2 * (tiny_cohort.depth - 2)
    label = read_preprocessed(tiny_cohort.folders["p0"]).label
    assert label is not None
    assert len(SliceSet(shards, ["p0"], ["B"], regions=REGIONS, select="target")) == (label > 0).any((1, 2)).sum()
    assert len(SliceSet(shards, ["p0"], ["B"], regions={"TC": [1]}, select="target")) == (label == 1).any((1, 2)).sum()
    assert len(SliceSet(shards, ["p0"], ["B"], regions=REGIONS, select="all")) == tiny_cohort.depth


def test_a_batch_holds_what_was_preprocessed(shards: Shards, tiny_cohort: TinyCohort) -> None:
    slices = SliceSet(shards, ["p4", "p0"], ["B", "A"], regions=REGIONS, select="all")
    batch = slices.batch(np.array([tiny_cohort.depth + 3, 2]))  # p0's fourth slice, p4's third
    assert batch.subjects.tolist() == [1, 0]
    torch.testing.assert_close(batch.heights, torch.tensor([3 / 7, 2 / 7]))
    assert batch.targets is not None
    for row, (name, z) in enumerate((("p0", 3), ("p4", 2))):
        pre = read_preprocessed(tiny_cohort.folders[name])
        np.testing.assert_allclose(batch.images[row, 0], pre.volumes["B"][z], atol=2e-3)
        np.testing.assert_allclose(batch.images[row, 1], pre.volumes["A"][z], atol=2e-3)
        assert pre.label is not None
        np.testing.assert_array_equal(batch.targets[row, 0].bool(), pre.label[z] > 0)
        np.testing.assert_array_equal(batch.targets[row, 1].bool(), pre.label[z] == 1)


def test_streamed_equals_held_in_memory(shards: Shards) -> None:
    arguments: dict[str, Any] = {"regions": REGIONS, "select": "content"}
    held = SliceSet(shards, ["p0", "p3", "p5"], ["A", "B"], **arguments)
    streamed = SliceSet(shards, ["p0", "p3", "p5"], ["A", "B"], memory_limit=0, **arguments)
    assert held.in_memory
    assert not streamed.in_memory
    indices = np.random.default_rng(0).integers(0, len(held), 20)  # any order, repeats
    one, other = held.batch(indices), streamed.batch(indices)
    for name in ("images", "targets", "subjects", "heights"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name))


def test_a_slice_knows_the_range_of_its_volume(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    """Each volume's own, in each modality's own z-scores, and 0 where all voxels are equal."""
    numbered = [(name, tiny_volumes(number)) for number, name in enumerate(("p", "q"))]
    numbered[0][1].info["statistics"]["B"] |= {"p_low": -2.0, "p_high": 4.0, "sd": 3.0}
    numbered[1][1].info["statistics"]["A"]["sd"] = 0.0
    write_subjects(tmp_path / "own.h5", numbered)
    with Shards([tmp_path / "own.h5"]) as opened:
        slices = SliceSet(opened, ["q", "p"], ["B", "A"])
        expected = {0: [5.0, 0.0], 1: [2.0, 5.0]}  # 100 / 20, and what was set above
        positions = np.arange(len(slices))
        ranges = slices.batch(positions).ranges
        assert ranges.tolist() == [expected[int(subject)] for subject in slices.subject_of]
        pooled = PooledSlices(slices).batch(np.arange(2 * len(slices))).ranges
        assert pooled.flatten().tolist() == [*ranges[:, 0].tolist(), *ranges[:, 1].tolist()]
        assert slices.identity()["ranges"] != SliceSet(opened, ["q", "p"], ["A", "B"]).identity()["ranges"]


def test_no_slice_is_a_clear_error(shards: Shards) -> None:
    with pytest.raises(McdError, match="has a target"):
        SliceSet(shards, ["p0"], ["A"], regions={"X": [77]}, select="target")


def test_shuffled_batches_are_full_and_without_repeats() -> None:
    batches = list(shuffled_batches(23, 5, np.random.default_rng(0)))
    assert [len(batch) for batch in batches] == [5] * 4
    assert len(set(np.concatenate(batches))) == 20
    assert [len(batch) for batch in shuffled_batches(3, 5, np.random.default_rng(0))] == [3]


def test_spread_batches_keep_neighbours_apart() -> None:
    subject_of = np.repeat(np.arange(6), 40)
    heights = np.tile(np.linspace(0, 1, 40), 6)
    batches = list(spread_batches(subject_of, heights, 16, np.random.default_rng(0), gap=0.1))
    assert len(np.unique(np.concatenate(batches))) == sum(map(len, batches)) >= 0.9 * len(heights)
    for batch in batches:
        assert len(batch) == 16
        for subject in range(6):
            own = np.sort(heights[batch][subject_of[batch] == subject])
            assert (np.diff(own) >= 0.1 - 1e-9).all()


def test_augmentation_moves_image_and_target_alike_and_keeps_the_background() -> None:
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    blob = ((y - 24) ** 2 + (x - 36) ** 2 < 64).float().expand(12, 1, 64, 64)
    body = ((y - 32) ** 2 + (x - 32) ** 2 < 24**2).float().expand(12, 1, 64, 64)
    images, targets = augment(body * (1 + 5 * blob), blob, Augmentation(intensity=0))
    bright = (images > 3.5).float()
    dice = 2 * (bright * targets).sum((1, 2, 3)) / (bright + targets).sum((1, 2, 3))
    assert (dice > 0.9).all()
    assert not torch.equal(targets, blob)
    assert set(targets.unique().tolist()) <= {0.0, 1.0}
    changed, _ = augment(body.clone(), blob, Augmentation())
    assert (changed[:, :, 0, 0] == 0).all()


def test_augmentation_switched_off_changes_nothing() -> None:
    torch.manual_seed(0)
    images, targets = torch.randn(3, 1, 32, 32), (torch.rand(3, 2, 32, 32) > 0.5).float()
    off = Augmentation(mirror=False, rotation=0, scale=0, shift=0, intensity=0)
    same_images, same_targets = augment(images, targets, off)
    torch.testing.assert_close(same_images, images, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(same_targets, targets)
