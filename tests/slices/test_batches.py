"""Batches: the right slices, the right channels, whether in memory or streamed."""

import threading
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mcd.errors import McdError
from mcd.imaging.preprocess import read_preprocessed
from mcd.slices.augment import augment
from mcd.slices.batches import (
    Batch,
    MixedSlices,
    PooledSlices,
    SliceSet,
    shuffled_batches,
    spread_batches,
)
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
    assert_equal(held.batch(indices), streamed.batch(indices))
    pooled = (PooledSlices(held), PooledSlices(streamed))
    one, other = (slices.batch(2 * indices) for slices in pooled)
    assert one.images.shape == (20, 1, 32, 32)
    assert_equal(one, other)
    modality, position = divmod(int(2 * indices[0]), len(held))
    assert torch.equal(one.images[0, 0], held.batch(np.array([position])).images[0, modality])
    assert torch.equal(one.ranges[0, 0], held.batch(np.array([position])).ranges[0, modality])


def assert_equal(one: Batch, other: Batch) -> None:
    for name in vars(one):
        ours, theirs = getattr(one, name), getattr(other, name)
        if ours is not None:
            assert ours.dtype == theirs.dtype
            assert torch.equal(ours.nan_to_num(7.0), theirs.nan_to_num(7.0)), name


def test_batches_that_are_read_ahead_are_those_that_were_drawn(shards: Shards) -> None:
    labelled, unlabelled = (
        SliceSet(shards, names, ["B"], regions=regions, memory_limit=0)
        for names, regions in ((["p0", "p3"], REGIONS), (["p1"], None))
    )
    sets = (labelled, PooledSlices(labelled), MixedSlices(labelled, unlabelled))
    for slices in sets:
        drawn = [np.random.default_rng(number).permutation(len(slices))[:5] for number in range(12)]
        found = list(slices.batches(iter(drawn)))
        assert [indices.tolist() for indices, _ in found] == [indices.tolist() for indices in drawn]
        for indices, batch in found:
            assert_equal(batch, slices.batch(indices))


def test_reading_ahead_ends_with_its_reader_and_says_what_went_wrong(
    tiny_cohort: TinyCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Shards(tiny_cohort.shards) as shards:
        slices = SliceSet(shards, ["p0"], ["A"], memory_limit=0)
        read: list[str] = []

        def recorded(*arguments: Any, **keywords: Any) -> Any:
            read.append(threading.current_thread().name)
            if len(read) > 15:
                raise McdError("0.h5: damaged")
            return Shards.read(shards, *arguments, **keywords)

        monkeypatch.setattr(shards, "read", recorded)
        batches = slices.batches(np.array([number % len(slices)]) for number in count())
        next(batches)
        batches.close()
        assert set(read) == {"reader_0"}
        assert len(read) <= 6
        assert not any(thread.name.startswith("reader") for thread in threading.enumerate())
        batches = slices.batches(np.array([number % len(slices)]) for number in count())
        with pytest.raises(McdError, match="damaged"):
            list(batches)


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


@pytest.mark.parametrize(("subjects", "each", "size", "gap"), [(6, 40, 16, 0.1), (2, 30, 16, 0.3), (3, 5, 30, 0.1)])
def test_spread_batches_wait_in_order(subjects: int, each: int, size: int, gap: float) -> None:
    """Whoever finds no place comes first in the next batch, as in this search through a list."""
    subject_of, heights = np.repeat(np.arange(subjects), each), np.tile(np.linspace(0, 1, each), subjects)
    waiting = np.random.default_rng(3).permutation(subjects * each).tolist()
    size = min(size, len(waiting))
    expected: list[list[int]] = []
    while len(waiting) >= size:
        batch: list[int] = []
        for index in waiting:
            near = [b for b in batch if subject_of[b] == subject_of[index] and abs(heights[b] - heights[index]) < gap]
            if len(batch) < size and not near:
                batch.append(index)
        if len(batch) < size and expected:
            break
        expected.append(batch)
        waiting = [index for index in waiting if index not in batch]
    found = spread_batches(subject_of, heights, size, np.random.default_rng(3), gap)
    assert [indices.tolist() for indices in found] == expected


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
