"""Splits: nested, at patient level, the paper's counts."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcd.errors import McdError
from mcd.files import write_json
from mcd.slices.splits import Split, make_split, read_split, write_split


def names(count: int) -> list[str]:
    return [f"p{index:03d}" for index in range(count)]


@pytest.mark.parametrize(
    ("patients", "test", "train", "at_5", "at_10"),
    [(201, 21, 180, 9, 18), (210, 0.2, 168, 8, 17), (210, 42, 168, 8, 17)],
)
def test_the_papers_counts(patients: int, test: float, train: int, at_5: int, at_10: int) -> None:
    split = make_split(names(patients), test, cohort="c", seed=0)
    assert (len(split.train), len(split.test)) == (train, patients - train)
    assert (len(split.labelled(0.05)), len(split.labelled(0.1))) == (at_5, at_10)
    assert sorted(split.labelled(1.0)) == sorted(split.train)


@given(
    count=st.integers(2, 60), test=st.floats(0.01, 0.99), seed=st.integers(0, 99), ratios=st.lists(st.floats(0.001, 1))
)
def test_parts_are_disjoint_and_ratios_nested(count: int, test: float, seed: int, ratios: list[float]) -> None:
    try:
        split = make_split(names(count), test, cohort="c", seed=seed)
    except McdError:
        assert round(test * count) >= count  # nobody would be left to train
        return
    assert sorted(split.train + split.test) == names(count)
    assert split.train
    assert split.test
    previous: set[str] = set()
    for ratio in sorted(ratios):
        labelled = set(split.labelled(ratio))
        assert labelled >= previous
        assert labelled
        previous = labelled


def test_seeds_change_the_labels_and_not_the_test_patients() -> None:
    one, same, other = (make_split(names(40), 0.2, cohort="c", seed=seed) for seed in (0, 0, 1))
    assert one == same
    assert one.test == other.test
    assert one.labelled(0.1) != other.labelled(0.1)
    assert make_split(names(40), 0.2, cohort="d", seed=0).test != one.test


def test_a_fixed_split_is_kept() -> None:
    fixed = {"p000": "test", "p001": "train", "p002": "train"}
    split = make_split(names(3), 0.5, cohort="c", seed=0, fixed=fixed)
    assert split.test == ["p000"]
    with pytest.raises(McdError, match="p002"):
        make_split(names(3), 0.5, cohort="c", seed=0, fixed={"p000": "test", "p001": "train"})
    with pytest.raises(McdError, match="both parts need one"):
        make_split(names(2), 0.5, cohort="c", seed=0, fixed={"p000": "train", "p001": "train"})


def test_files_round_trip_and_edits_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    split = Split(train=["b", "a"], test=["c"])
    write_split(split, path)
    assert read_split(path) == split
    for content, message in (
        ({"format": "mcd-split/1", "train": ["a"], "test": ["a"]}, "a appears twice"),
        ({"format": "mcd-split/1", "train": ["a"], "test": []}, "at least one"),
        ({"format": "mcd-split/1", "train": ["a"]}, "needs the lists"),
        ({"train": ["a"], "test": ["b"]}, "not a mcd-split/1"),
    ):
        write_json(path, content)
        with pytest.raises(McdError, match=message):
            read_split(path)
