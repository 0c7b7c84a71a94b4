"""Splits: nested, at patient level, the paper's counts."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcd.errors import McdError
from mcd.files import write_json
from mcd.slices.splits import Origin, Split, check_split, extend, keep, make_split, mismatch, read_split, write_split


def names(count: int) -> list[str]:
    return [f"p{index:03d}" for index in range(count)]


def origin(count: int, test: float = 0.5, cohort: str = "c", **fixed: str) -> Origin:
    return Origin(cohort, test, {name: fixed.get(name) for name in names(count)})


@pytest.mark.parametrize(
    ("patients", "test", "train", "at_5", "at_10"),
    [(201, 21, 180, 9, 18), (210, 0.2, 168, 8, 17), (210, 42, 168, 8, 17)],
)
def test_the_papers_counts(patients: int, test: float, train: int, at_5: int, at_10: int) -> None:
    split = make_split(origin(patients, test), 0)
    assert (len(split.train), len(split.test)) == (train, patients - train)
    assert (len(split.labelled(0.05)), len(split.labelled(0.1))) == (at_5, at_10)
    assert sorted(split.labelled(1.0)) == sorted(split.train)


@given(
    count=st.integers(2, 60), test=st.floats(0.01, 0.99), seed=st.integers(0, 99), ratios=st.lists(st.floats(0.001, 1))
)
def test_parts_are_disjoint_and_ratios_nested(count: int, test: float, seed: int, ratios: list[float]) -> None:
    try:
        split = make_split(origin(count, test), seed)
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
    one, same, other = (make_split(origin(40, 0.2), seed) for seed in (0, 0, 1))
    assert one == same
    assert one.test == other.test
    assert one.labelled(0.1) != other.labelled(0.1)
    assert make_split(origin(40, 0.2, "d"), 0).test != one.test


def test_a_fixed_split_is_kept() -> None:
    assert make_split(origin(3, p000="test", p001="train", p002="train"), 0).test == ["p000"]
    with pytest.raises(McdError, match="p002"):
        make_split(origin(3, p000="test", p001="train"), 0)
    with pytest.raises(McdError, match="both parts need one"):
        make_split(origin(2, p000="train", p001="train"), 0)


def test_the_drawing_is_the_one_that_results_stand_on() -> None:
    """Written down once: the same cohort gives the same split in every version."""
    split = make_split(origin(8, 0.25, "brats"), 0)
    assert (split.test, split.train) == (["p004", "p005"], ["p002", "p007", "p003", "p001", "p000", "p006"])


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (origin(6, 2), None),
        (origin(7, 2), "p006 is new"),
        (origin(9, 2), r"3 patients (p006, p007, p008) are new"),
        (origin(4, 2), "2 patients (p004, p005) are gone"),
        (Origin("c", 2, dict.fromkeys([*names(5), "x"])), "x is new, p005 is gone"),
        (origin(6, 3), "`test` was 2 and is 3"),
        (origin(6, 2, "other"), "the cohort was called c"),
        (origin(6, 2, **dict.fromkeys(names(2), "train")), "the split column was changed for 2 patients (p000, p001)"),
    ],
)  # fmt: skip
def test_a_cohort_that_has_changed_is_noticed(tmp_path: Path, now: Origin, told: str | None) -> None:
    write_split(make_split(origin(6, 2), 0), tmp_path / "s.json")
    assert mismatch(read_split(tmp_path / "s.json"), now) == told
    if told:
        with pytest.raises(McdError, match=r"s\.json: the cohort is no longer .*; do this"):
            check_split(tmp_path / "s.json", now, "do this")
    else:
        check_split(tmp_path / "s.json", now, "do this")


def test_an_edited_split_is_no_change_of_the_cohort() -> None:
    drawn = make_split(origin(6, 2), 0)
    assert mismatch(replace(drawn, train=drawn.train[::-1]), origin(6, 2)) is None
    assert mismatch(replace(drawn, train=drawn.train[1:], test=[*drawn.test, drawn.train[0]]), origin(6, 2)) is None


def test_of_a_split_by_hand_the_patients_are_compared() -> None:
    by_hand = Split(train=["p001", "p002"], test=["p000"])
    assert mismatch(by_hand, origin(3, 2)) is None
    assert mismatch(by_hand, origin(4, 2)) == "p003 is new"
    assert mismatch(by_hand, origin(2, 2)) == "p002 is gone"
    fixed = {"p000": "test", "p001": "test", "p002": "train"}
    assert mismatch(by_hand, origin(3, 2, **fixed)) == "the split column has p001 in the other part"


def test_keeping_and_extending_leave_who_was_labelled_first() -> None:
    drawn = make_split(origin(8, 2), 0)
    gone = drawn.train[1]
    patients = {name: None for name in names(11) if name != gone}
    now = Origin("c", 2, patients)
    left = [name for name in drawn.train if name != gone]
    kept, extended = keep(drawn, now), extend(drawn, now, 0)
    assert (kept.train, kept.test) == (left, drawn.test)
    assert extended.test == drawn.test
    assert extended.train[: len(left)] == left
    assert sorted(extended.train[len(left) :]) == ["p008", "p009", "p010"]
    for decided in (kept, extended, make_split(now, 0)):
        assert mismatch(decided, now) is None
    where = {**patients, "p008": "test", "p009": "train", "p010": "train"}
    assert extend(drawn, Origin("c", 2, where), 0).test == [*drawn.test, "p008"]


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
        ({"format": "mcd-split/1", "train": "ab", "test": ["c"]}, "needs the lists"),
        ({"format": "mcd-split/1", "train": ["a"], "test": ["b"], "drawn_from": 3}, "`drawn_from` is damaged"),
        (
            {"format": "mcd-split/1", "train": ["a"], "test": ["b"], "drawn_from": {"cohort": "c"}},
            "`drawn_from` is damaged",
        ),
    ):
        write_json(path, content)
        with pytest.raises(McdError, match=message):
            read_split(path)
