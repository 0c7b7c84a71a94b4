"""Splits: nested, at patient level, the paper's counts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcd.errors import McdError
from mcd.files import read_json, write_json
from mcd.slices.splits import (
    Origin,
    Split,
    check_draw,
    check_split,
    draw_labels,
    extend,
    held_out,
    keep,
    make_split,
    mismatch,
    read_split,
    write_split,
)
from mcd.subject import Subject


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


def test_ratios_that_mean_the_same_patients_are_found() -> None:
    split = Split(train=[f"s{number}" for number in range(8)], test=["t"])
    assert split.same_labels([0.1, 0.05, 0.5, 1.0, 0.45]) == [[0.05, 0.1], [0.45, 0.5]]
    assert split.same_labels([0.1, 0.25, 0.1]) == []
    assert Split(train=[], test=[], unlabelled=["u"]).same_labels([0.1, 0.5]) == []


def test_the_same_patients_are_counted_by_person() -> None:
    scans = ["a1", "a2", "b1", "b2", "c1"]
    whose = Origin("c", 1, dict.fromkeys([*scans, "t"]), persons={scan: scan[0] for scan in scans})
    (sentence,) = Split(scans, ["t"], whose).about_same_labels([0.1, 1.0, 0.05])
    assert sentence.startswith("5, 10 % of the labels are those of the same 1 of 3 training patients")


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
        (
            origin(6, 2, **dict.fromkeys(names(2), "train")),
            "the split column or test_centre was changed for 2 patients (p000, p001)",
        ),
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


def test_a_further_draw_gives_labels_to_others_and_changes_nothing_else(tmp_path: Path) -> None:
    split = make_split(origin(40, 0.2), 0)
    draws = [draw_labels(split, "c", 0, draw) for draw in (1, 2)]
    assert draw_labels(split, "c", 0, 1) == draws[0]
    orders = [one.labelled(0.2) for one in (split, *draws, draw_labels(split, "c", 1, 1))]
    assert len({tuple(sorted(order)) for order in orders}) == 4
    for one in draws:
        assert replace(one, train=split.train) == split
        assert sorted(one.train) == sorted(split.train)
        check_draw(tmp_path / "s-draw1.json", one, split, "do this")
    moved = replace(draws[0], train=draws[0].train[1:], test=[*split.test, draws[0].train[0]])
    with pytest.raises(
        McdError, match=rf"s-draw1\.json: differs from its seed's split in `train`, by {draws[0].train[0]}; do"
    ):
        check_draw(tmp_path / "s-draw1.json", moved, split, "do this")
    now = origin(43, 0.2)
    bases, others = extend(split, now, 0), extend(draws[0], now, 0, 1)
    check_draw("s", others, bases, "")
    assert others.train[: len(split.train)] == draws[0].train


def few(labelled: int, unlabelled: int, test: float = 0.25) -> Origin:
    """A cohort of which the first so many have a label."""
    patients = names(labelled + unlabelled)
    return Origin("c", test, dict.fromkeys(patients), patients[labelled:])


def test_patients_without_a_label_train_and_are_not_counted() -> None:
    split, whole = make_split(few(20, 60), 0), make_split(few(20, 0), 0)
    assert (split.train, split.test) == (whole.train, whole.test)
    assert split.unlabelled == names(80)[20:]
    assert sorted(split.seen + split.test) == names(80)
    assert split.labelled(0.2) == split.train[:3]
    assert sorted(split.without_labels(0.2)) == sorted(set(split.seen) - set(split.train[:3]))
    assert split.without_labels(1.0) == split.unlabelled


def test_a_cohort_without_labels_trains_whole() -> None:
    split = make_split(few(0, 5), 0)
    assert (split.train, split.test, split.seen) == ([], [], names(5))
    with pytest.raises(McdError, match="at least 2 patients with a label, and there are 1"):
        make_split(few(1, 5), 0)


def test_a_patient_without_a_label_never_tests() -> None:
    parts = {"p000": "test", "p001": "train", "p002": "train", "p003": "test"}
    with pytest.raises(McdError, match="the split column has p003 test, without a label; give it one"):
        make_split(Origin("c", 0.5, parts, ["p003"]), 0)
    split = make_split(Origin("c", 0.5, {**parts, "p003": None}, ["p003"]), 0)
    assert (split.test, split.unlabelled) == (["p000"], ["p003"])


def test_labels_that_come_or_go_are_noticed_and_decided(tmp_path: Path) -> None:
    write_split(make_split(few(8, 4), 0), tmp_path / "s.json")
    split = read_split(tmp_path / "s.json")
    assert split == make_split(few(8, 4), 0)
    assert mismatch(split, few(8, 4)) is None
    assert mismatch(split, few(9, 3)) == "p008 has a label now"
    kept, extended = keep(split, few(9, 3)), extend(split, few(9, 3), 0)
    assert (kept.train, kept.unlabelled) == (split.train, split.unlabelled)
    assert (extended.train, extended.unlabelled) == ([*split.train, "p008"], names(12)[9:])
    lost = few(8, 4)
    trains, tests = split.train[0], split.test[0]
    lost = replace(lost, unlabelled=sorted([*lost.unlabelled, trains, tests]))
    assert mismatch(split, lost) == f"2 patients ({', '.join(sorted([trains, tests]))}) have no label now"
    for decided in (keep(split, lost), extend(split, lost, 0)):
        assert trains in decided.unlabelled
        assert decided.train == split.train[1:]
        assert tests not in decided.seen + decided.test  # nothing was to be seen of it
        assert mismatch(decided, lost) is None
    with pytest.raises(McdError, match=r"8 patients with a label would train and 0 test, .*redraw"):
        extend(make_split(few(0, 12), 0), few(8, 4), 0)


SCANS = {f"a{number}-{scan}": f"a{number}" for number in range(12) for scan in range(number % 3 + 1)}
"""Scan -> person: twelve, with one to three scans each."""


def people(test: float = 0.25, unlabelled: Sequence[str] = (), fixed: Mapping[str, str] | None = None) -> Origin:
    return Origin("c", test, {name: (fixed or {}).get(name) for name in SCANS}, list(unlabelled), SCANS)


@given(seed=st.integers(0, 99), test=st.integers(1, 11), without=st.sets(st.sampled_from(sorted(SCANS)), max_size=8))
def test_all_scans_of_a_person_are_on_one_side(seed: int, test: int, without: set[str]) -> None:
    origin = people(test, sorted(without))
    persons = {SCANS[name] for name in SCANS.keys() - without}
    if len(persons) <= test:
        return
    split = make_split(origin, seed)
    assert len({SCANS[name] for name in split.test}) == test
    assert not {SCANS[name] for name in split.test} & {SCANS[name] for name in split.seen}
    assert not without & {*split.train, *split.test}
    for ratio in (0.1, 0.5, 0.9):
        labelled = split.labelled(ratio)
        count = len(persons) - test
        assert len({SCANS[name] for name in labelled}) == max(1, int(ratio * count + 0.5))
        assert not {SCANS[name] for name in labelled} & {SCANS[name] for name in set(split.train) - set(labelled)}


def test_persons_of_one_scan_each_change_nothing() -> None:
    alone = Origin("c", 0.25, dict.fromkeys(names(8)), (), {"p001": "p001"})
    assert make_split(alone, 3).train == make_split(origin(8, 0.25), 3).train


def test_a_person_on_both_sides_is_refused_and_noticed(tmp_path: Path) -> None:
    halves = {name: "test" if name == "a1-0" else "train" for name in SCANS}
    with pytest.raises(McdError, match="a1-1 trains and a1-0 tests, and both are scans of a1; put both on one side"):
        make_split(people(fixed=halves), 0)
    split = make_split(people(), 0)
    write_split(split, tmp_path / "s.json")
    assert read_split(tmp_path / "s.json") == split
    person = next(name for name in split.train if name.endswith("-1"))
    edited = replace(split, train=[name for name in split.train if name != person], test=[*split.test, person])
    assert "and both are scans of" in str(mismatch(edited, people()))
    unaware = make_split(replace(people(), persons={}), 0)
    assert f"the column patient was changed for {len(SCANS)} patients" in str(mismatch(unaware, people()))
    with pytest.raises(McdError, match=r"both are scans of .*; redraw the split"):
        keep(unaware, people())


def test_a_new_scan_follows_its_person() -> None:
    split = make_split(people(), 0)
    tested, trained = SCANS[split.test[0]], SCANS[split.train[0]]
    more = {"new1": tested, "new2": trained, "new3": tested}
    now = Origin("c", 0.25, dict.fromkeys([*SCANS, *more]), ("new3",), {**SCANS, **more})
    extended = extend(split, now, 0)
    assert (extended.train, extended.test) == ([*split.train, "new2"], [*split.test, "new1"])
    assert extended.unlabelled == []
    assert "new2" in extended.labelled(0.01)  # labelled with the person's other scans
    assert mismatch(extended, now) is None


def of_centres() -> list[Subject]:
    centres = {"p000": "MDA", "p001": "CHUM", "p002": "MDA", "p003": "HGJ"}
    return [Subject(name, {}, Path("label"), centre=centre) for name, centre in centres.items()] + [
        Subject(name, {}, centre=centre) for name, centre in (("p004", "MDA"), ("p005", "CHUM"))
    ]


def test_centres_that_are_not_to_be_seen_test() -> None:
    origin = Origin.of("c", 0.5, of_centres(), ["MDA"])
    split = make_split(origin, 0)
    assert (split.test, sorted(split.train), split.unlabelled) == (["p000", "p002"], ["p001", "p003"], ["p005"])
    assert mismatch(split, origin) is None
    moved = mismatch(split, Origin.of("c", 0.5, of_centres(), ["CHUM"]))
    assert moved
    assert "test_centre was changed for 3 patients (p000, p001, p002)" in moved
    one, *others = of_centres()
    for subjects, centre, message in (
        ([one, *others], "USZ", "no patient is of USZ; the centres are CHUM, HGJ, MDA"),
        ([replace(one, centre=None), *others], "MDA", "p000 has no centre; give it one"),
        ([replace(one, split="train"), *others], "MDA", "p000 has a part in the split column; empty it"),
        ([replace(subject, centre=None) for subject in others], "MDA", "the sheet needs a column centre"),
    ):
        with pytest.raises(McdError, match=message):
            Origin.of("c", 0.5, subjects, [centre])


@given(
    validation=st.one_of(st.integers(1, 3), st.floats(0.05, 0.4)),
    seed=st.integers(0, 99),
    without=st.sets(st.sampled_from(sorted(SCANS)), max_size=6),
)
def test_those_who_validate_are_taken_from_those_who_would_train(
    validation: float, seed: int, without: set[str]
) -> None:
    """By person, the same for every seed; who tests, and the order of the others' labels, depend on nobody who validates."""
    plain = make_split(people(3, sorted(without)), seed)
    there = replace(people(3, sorted(without)), validation=validation)
    split = make_split(there, seed)
    persons = {SCANS[name] for name in SCANS.keys() - without}
    count = validation if validation >= 1 else max(1, int(validation * len(persons) + 0.5))
    assert split.test == plain.test
    assert len({SCANS[name] for name in split.validation}) == count
    assert not without & set(split.validation)
    assert set(split.train) == set(plain.train) - set(split.validation)
    parts = [{SCANS[name] for name in part} for part in (split.seen, split.test, split.validation)]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    assert make_split(there, seed + 1).validation == split.validation
    assert draw_labels(split, "c", seed, 1).validation == split.validation


def test_the_sheet_or_the_other_centres_say_who_validates() -> None:
    fixed = {"p000": "test", "p001": "train", "p002": "validation", "p003": "train"}
    by_sheet = Origin("c", 0.5, fixed, validation=2)
    split = make_split(by_sheet, 0)
    assert (split.test, split.validation, sorted(split.train)) == (["p000"], ["p002"], ["p001", "p003"])
    assert mismatch(split, replace(by_sheet, validation=1)) is None, "the sheet decides"
    drawn = make_split(replace(origin(4, p000="test", p001="train", p002="train", p003="train"), validation=1), 0)
    assert drawn.test == ["p000"]
    assert len(drawn.validation) == 1
    with pytest.raises(McdError, match="the split column has p002 validate, without a label"):
        make_split(replace(by_sheet, unlabelled=["p002"]), 0)
    both = {name: "validation" if name == "a1-0" else "test" if name == "a0-0" else "train" for name in SCANS}
    with pytest.raises(McdError, match="a1-1 trains and a1-0 validates, and both are scans of a1"):
        make_split(people(fixed=both), 0)
    with pytest.raises(
        McdError, match="of 4 subjects 2 test, 2 validate, and both parts need one; correct `test`, `val"
    ):
        make_split(replace(origin(4), validation=2), 0)
    centres = make_split(Origin.of("c", 0.5, of_centres(), ["MDA"], 1), 0)
    assert centres.test == ["p000", "p002"]
    assert sorted(centres.train + centres.validation) == ["p001", "p003"]


def test_those_who_validate_stay_when_the_cohort_changes(tmp_path: Path) -> None:
    before = replace(origin(9, 2), validation=2)
    write_split(make_split(before, 0), tmp_path / "s.json")
    split = read_split(tmp_path / "s.json")
    assert replace(split, drawn_from=before) == make_split(before, 0)
    assert mismatch(split, before) is None
    assert mismatch(split, replace(before, validation=3)) == "`validation` was 2 and is 3"
    assert mismatch(split, origin(9, 2)) == "`validation` was 2 and is 0"
    gone = split.validation[0]
    patients = {name: None for name in names(11) if name != gone}
    person = {"p009": split.validation[1]}
    now = Origin("c", 2, patients, (), person, 2)
    kept, extended = keep(split, now), extend(split, now, 0)
    assert kept.validation == split.validation[1:]
    assert (extended.validation, extended.test) == ([split.validation[1], "p009"], split.test)
    assert extended.train == [*split.train, "p010"]
    for decided in (kept, extended):
        assert mismatch(decided, now) is None
    with pytest.raises(McdError, match="differs from its seed's split in `validation`"):
        check_draw("s", replace(split, validation=split.validation[1:]), split, "")
    twice = replace(split, validation=[*split.validation, split.train[0]])
    write_split(twice, tmp_path / "s.json")
    with pytest.raises(McdError, match=rf"{split.train[0]} appears twice; a patient trains, tests or validates"):
        read_split(tmp_path / "s.json")


def test_who_validates_is_held_out_and_nobody_else(tmp_path: Path) -> None:
    split = make_split(replace(origin(9, 2), validation=3), 0)
    write_split(split, tmp_path / "s.json")
    assert held_out(tmp_path / "s.json")[1] == split.test
    assert held_out(tmp_path / "s.json", "validation")[1] == split.validation
    write_split(make_split(origin(9, 2), 0), tmp_path / "s.json")
    with pytest.raises(McdError, match=r"s\.json: has no validation patient; set `validation` of the cohort"):
        held_out(tmp_path / "s.json", "validation")


def test_files_round_trip_and_edits_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    split = Split(train=["b", "a"], test=["c"])
    write_split(split, path)
    assert read_split(path) == split
    assert list(read_json(path)) == ["format", "train", "test"]
    for content, message in (
        ({"format": "mcd-split/1", "train": ["a"], "test": ["a"]}, "a appears twice"),
        ({"format": "mcd-split/1", "train": ["a"], "test": []}, "at least one"),
        ({"format": "mcd-split/1", "train": ["a"]}, "needs the lists"),
        ({"train": ["a"], "test": ["b"]}, "not a mcd-split/1"),
        ({"format": "mcd-split/1", "train": "ab", "test": ["c"]}, "needs the lists"),
        ({"format": "mcd-split/1", "train": ["a"], "test": ["c"], "unlabelled": "b"}, "needs the lists"),
        ({"format": "mcd-split/1", "train": ["a"], "test": ["c"], "unlabelled": ["a"]}, "a appears twice"),
        ({"format": "mcd-split/1", "train": [], "test": ["c"], "unlabelled": ["a"]}, "at least one"),
        ({"format": "mcd-split/1", "train": ["a"], "test": ["b"], "drawn_from": 3}, "`drawn_from` is damaged"),
        (
            {"format": "mcd-split/1", "train": ["a"], "test": ["b"], "drawn_from": {"cohort": "c"}},
            "`drawn_from` is damaged",
        ),
    ):
        write_json(path, content)
        with pytest.raises(McdError, match=message):
            read_split(path)
