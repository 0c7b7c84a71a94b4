"""Labelled and unlabelled slices in one set, and the batches drawn from them."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from mcd.errors import McdError
from mcd.slices.batches import MixedSlices, SliceSet, mixed_batches
from mcd.slices.shards import Shards
from mcd.testing.cohort import TinyCohort

REGIONS = {"core": [1], "whole": [1, 2]}


@pytest.fixture(params=[1e9, 0.0], ids=["in memory", "streamed"])
def mixed(tiny_cohort: TinyCohort, request: pytest.FixtureRequest) -> Iterator[MixedSlices]:
    with Shards(tiny_cohort.shards) as shards:
        limit = {"memory_limit": request.param}
        labelled = SliceSet(shards, ["p0"], ["B"], regions=REGIONS, select="target", **limit)
        unlabelled = SliceSet(shards, ["p3", "p1"], ["B"], select="content", **limit)
        yield MixedSlices(labelled, unlabelled)


def test_it_is_the_two_sets_end_to_end(mixed: MixedSlices) -> None:
    assert len(mixed) == len(mixed.labelled) + 12  # of 8 slices, the two outer ones are black in B
    assert mixed.subjects == ["p0", "p3", "p1"]
    assert mixed.in_memory == mixed.labelled.in_memory
    assert len(mixed.subject_of) == len(mixed.height_of) == len(mixed)


def test_a_batch_holds_each_slice_once_the_labelled_ones_first(mixed: MixedSlices) -> None:
    count = len(mixed.labelled)
    batch = mixed.batch(np.array([count + 7, 1, count, 0]))
    assert batch.labelled is not None
    assert batch.labelled.tolist() == [True, True, False, False]
    own, other = mixed.labelled.batch(np.array([1, 0])), mixed.unlabelled.batch(np.array([7, 0]))
    assert torch.equal(batch.images, torch.cat([own.images, other.images]))
    assert batch.targets is not None
    assert own.targets is not None
    assert torch.equal(batch.targets[:2], own.targets)
    assert [mixed.subjects[position] for position in batch.subjects] == ["p0", "p0", "p1", "p3"]
    assert torch.equal(batch.heights, torch.cat([own.heights, other.heights]))


def test_an_unlabelled_slice_has_no_target_to_use(mixed: MixedSlices) -> None:
    batch = mixed.batch(np.arange(len(mixed)))
    assert batch.targets is not None
    assert batch.labelled is not None
    assert batch.targets[~batch.labelled].isnan().all()
    assert not batch.targets[batch.labelled].isnan().any()


def test_a_subject_is_not_both_and_labels_are_not_unlabelled(tiny_cohort: TinyCohort) -> None:
    with Shards(tiny_cohort.shards) as shards:
        labelled = SliceSet(shards, ["p0", "p1"], ["A"], regions=REGIONS, select="target")
        with pytest.raises(ValueError, match="p1 cannot be"):
            MixedSlices(labelled, SliceSet(shards, ["p1"], ["A"]))
        with pytest.raises(ValueError, match="regions"):
            MixedSlices(labelled, labelled)


@pytest.mark.parametrize(("labelled", "unlabelled", "size"), [(20, 50, 8), (20, 50, 9), (3, 50, 8), (20, 2, 8)])
def test_each_batch_is_half_labelled_and_a_pass_shows_a_labelled_slice_once(
    labelled: int, unlabelled: int, size: int
) -> None:
    batches = list(mixed_batches(labelled, unlabelled, size, np.random.default_rng(0)))
    half = min(size // 2, labelled)
    assert len(batches) == labelled // half
    for batch in batches:
        assert (batch < labelled).sum() == half
        assert (batch >= labelled).sum() == size - size // 2
        assert batch.max() < labelled + unlabelled
    own = np.concatenate(batches)
    own = own[own < labelled]
    assert len(set(own)) == len(own)


def test_no_unlabelled_slice_comes_twice_before_all_have_come() -> None:
    drawn = np.concatenate(list(mixed_batches(100, 30, 8, np.random.default_rng(0))))
    others = drawn[drawn >= 100] - 100
    for start in range(0, len(others) - 30, 30):
        assert set(others[start : start + 30]) == set(range(30))
    assert others[:30].tolist() != others[30:60].tolist()


def test_a_batch_of_one_cannot_be_shared() -> None:
    with pytest.raises(McdError, match="batch size 1"):
        list(mixed_batches(5, 5, 1, np.random.default_rng(0)))
