"""Splits of a cohort with folds: every person with a label tests in one of them, whatever becomes of the cohort."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcd.errors import McdError
from mcd.files import read_json
from mcd.slices.splits import (
    Origin,
    Split,
    check_draw,
    check_folds,
    draw_labels,
    extend,
    keep,
    make_split,
    mismatch,
    read_split,
    write_split,
)

SCANS = {f"a{number:02d}-{scan}": f"a{number:02d}" for number in range(12) for scan in range(number % 3 + 1)}
"""Scan -> person: twelve, with one to three scans each."""


def people(folds: int, unlabelled: Sequence[str] = (), validation: float = 0) -> Origin:
    return Origin("c", 0, dict.fromkeys(SCANS), list(unlabelled), SCANS, validation, folds)


def all_folds(origin: Origin, seed: int = 0) -> list[Split]:
    return [make_split(origin, seed, fold) for fold in range(1, origin.folds + 1)]


def named(splits: Sequence[Split]) -> dict[str, Split]:
    return {f"fold{number}": split for number, split in enumerate(splits, 1)}


@given(folds=st.integers(2, 12), seed=st.integers(0, 99), without=st.sets(st.sampled_from(sorted(SCANS)), max_size=8))
def test_every_person_with_a_label_tests_in_one_fold_and_trains_in_the_others(
    folds: int, seed: int, without: set[str]
) -> None:
    origin = people(folds, sorted(without))
    persons = {SCANS[name] for name in SCANS.keys() - without}
    if len(persons) < folds:
        with pytest.raises(McdError, match=rf"cohort c: folds: {folds} folds of {len(persons)} patients with a label"):
            make_split(origin, seed, 1)
        return
    splits = all_folds(origin, seed)
    tested = [{SCANS[name] for name in split.test} for split in splits]
    assert sorted(person for part in tested for person in part) == sorted(persons)
    assert {len(part) for part in tested} <= {len(persons) // folds, -(-len(persons) // folds)}
    check_folds(named(splits), "")
    for split, part in zip(splits, tested, strict=True):
        assert sorted(split.train + split.test) == sorted(SCANS.keys() - without)
        assert not part & {SCANS[name] for name in split.seen}, "not even an unlabelled scan of one who tests is seen"
        assert set(split.unlabelled) == {name for name in without if SCANS[name] not in part}
        assert set(split.labelled(0.1)) <= set(split.labelled(0.5)) <= set(split.train)
        assert not {SCANS[name] for name in split.labelled(0.5)} & {
            SCANS[name] for name in set(split.train) - set(split.labelled(0.5))
        }
    assert splits == all_folds(origin, seed)


def test_seeds_divide_the_patients_in_other_ways_and_folds_label_others() -> None:
    one, other = all_folds(people(4)), all_folds(people(4), 1)
    assert {frozenset(split.test) for split in one} != {frozenset(split.test) for split in other}
    assert len({tuple(split.train[:3]) for split in one}) == 4
    for fold, split in enumerate(one, 1):
        drawn = draw_labels(split, "c", 0, 1, fold)
        check_draw("s", drawn, split, "")
        assert drawn.train != split.train
        assert drawn != draw_labels(split, "c", 0, 2, fold)


def test_the_drawing_is_the_one_that_results_stand_on() -> None:
    """Written down once: the same cohort gives the same folds in every version."""
    origin = Origin("brats", 0, dict.fromkeys(f"p{number}" for number in range(5)), folds=2)
    one, other = ["p1", "p3"], ["p0", "p2", "p4"]
    assert [(split.train, split.test) for split in all_folds(origin)] == [(one, other), (["p4", "p0", "p2"], one)]


def test_those_who_validate_are_taken_from_a_fold_s_own_training_patients() -> None:
    splits = all_folds(people(3, validation=2))
    for split, plain in zip(splits, all_folds(people(3)), strict=True):
        assert split.test == plain.test
        assert len({SCANS[name] for name in split.validation}) == 2
        assert sorted(split.train + split.validation) == sorted(plain.train)
    assert len({SCANS[name] for split in splits for name in split.validation}) == 6, "not the same ones in every fold"
    check_folds(named(splits), "")
    never = replace(splits[0], test=splits[0].test[1:])
    others = [replace(split, train=[], validation=[*split.train, *split.validation]) for split in splits[1:]]
    with pytest.raises(McdError, match=f"{splits[0].test[0]} has a label, and tests in no fold"):
        check_folds(named([never, *others]), "")
    with pytest.raises(
        McdError, match="of 12 subjects 6 test, 6 validate, and both parts need one; correct `folds` or"
    ):
        make_split(people(2, validation=6), 0, 1)


def test_nobody_else_may_decide_who_tests() -> None:
    fixed = replace(people(3), patients={**dict.fromkeys(SCANS), "a01-0": "train"})
    with pytest.raises(McdError, match="the split column has a part for a01-0; empty the column, or leave folds out"):
        make_split(fixed, 0, 1)
    nobody = people(3, sorted(SCANS))
    with pytest.raises(McdError, match="folds: 3 folds of 0 patients with a label leave one without a test patient"):
        make_split(nobody, 0, 1)
    for origin, fold in ((people(3), 0), (people(3), 4), (replace(people(0), test=0.5), 1)):
        with pytest.raises(ValueError, match=f"fold {fold} of {origin.folds}"):
            make_split(origin, 0, fold)


def test_files_round_trip_and_a_changed_number_is_noticed(tmp_path: Path) -> None:
    split = make_split(people(4), 0, 3)
    write_split(split, tmp_path / "s.json")
    assert read_split(tmp_path / "s.json") == split
    assert mismatch(split, people(4)) is None
    assert mismatch(split, people(5)) == "`folds` was 4 and is 5"
    by_hand = replace(split, drawn_from=None)
    assert mismatch(by_hand, people(4)) is None
    write_split(make_split(replace(people(0), test=2), 0), tmp_path / "s.json")
    assert "folds" not in read_json(tmp_path / "s.json")["drawn_from"]


def test_files_that_do_not_belong_together_are_refused() -> None:
    splits = all_folds(people(3))
    twice = replace(splits[1], test=[*splits[1].test, splits[0].test[0]])
    with pytest.raises(McdError, match=f"^fold2: {splits[0].test[0]} tests, and in fold1, too; redraw"):
        check_folds(named([splits[0], twice, splits[2]]), "redraw")
    never = replace(splits[2], test=splits[2].test[1:])
    with pytest.raises(McdError, match=f"^fold1: {splits[2].test[0]} has a label, and tests in no fold; redraw"):
        check_folds(named([*splits[:2], never]), "redraw")
    with pytest.raises(McdError, match=r"tests in no fold|tests, and in"):
        check_folds(named([*splits[:2], make_split(people(3), 1, 3)]), "")


@given(seed=st.integers(0, 20), order=st.permutations(range(3)))
def test_new_patients_test_in_one_fold_whichever_file_is_extended_first(seed: int, order: list[int]) -> None:
    before = people(3, ("a00-0", "a02-2", "a05-0", "a05-1", "a05-2"))
    splits = all_folds(before, seed)
    new = {f"n{number}-{scan}": f"n{number}" for number in range(9) for scan in range(2)}
    follows = {"x1": "a03", "x2": SCANS[splits[0].test[0]]}  # of persons who are there
    gone = splits[1].test[0]
    patients = {name: None for name in [*SCANS, *new, *follows] if name != gone}
    now = Origin("c", 0, patients, ("a05-0", "n8-0"), {**SCANS, **new, **follows}, 0, 3)
    extended: dict[int, Split] = {}
    for place in order:
        extended[place] = extend(splits[place], now, seed, fold=place + 1)
    for place, split in extended.items():
        assert mismatch(split, now) is None
        draw = extend(draw_labels(splits[place], "c", seed, 1, place + 1), now, seed, 1, place + 1)
        check_draw("s", draw, split, "")
        assert not {now.person(name) for name in split.test} & {now.person(name) for name in split.seen}
    check_folds(named([extended[place] for place in range(3)]), "")
    everyone = sorted(name for split in extended.values() for name in split.test)
    assert everyone == sorted(patients.keys() - {"a05-0", "n8-0"})
    kept = [keep(split, now) for split in splits]
    check_folds(named(kept), "")
    assert not {name for split in kept for name in split.everyone} & {*new, *follows}
