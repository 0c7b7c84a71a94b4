"""Who trains, who tests, and whose labels may be used: a JSON file of subject ids (docs/reference/formats.md).

Results stand on a split, so it is never drawn again silently: it knows the patients and the settings that it was drawn from,
and where the cohort has others now, somebody decides (`mcd split`).

`train` is in the order in which labels are used: a label ratio takes its first so many, so that 5 % lies inside
10 % by construction, and any ratio can be asked of one file. The test subjects depend on the cohort alone, the order also on
the run's seed: several seeds differ in whose labels they see and are scored on the same patients. A further draw of a seed is
a file with the same patients in another order: what needs no label is trained once for all of them.

With K folds a seed has K files, one for each fold, and every person with a label tests in one of them and trains in the
others. Seeds then differ in the folds, too, so that what a way to divide the patients does to a result counts as chance.

A subject is a scan. What is counted and drawn are persons: all scans of one train or test, and are given labels together.
A subject without a label never tests, and trains whatever needs no label.

`validation` subjects, where a cohort has some, neither train nor test: settings are chosen by them, so that nothing is by those
who test.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np

from mcd.errors import McdError
from mcd.files import read_json, write_json
from mcd.seeding import derive_seed
from mcd.subject import Subject

FORMAT = "mcd-split/1"

Part = Literal["test", "validation"]
"""Of those on whom networks are tried: `validation` to choose settings, `test` for results."""

PARTS = {"train": "trains", "test": "tests", "validation": "validates"}
"""What a patient with a label is for, and does."""


@dataclass(frozen=True)
class Origin:
    """What a split is drawn from.

    cohort: its name, which seeds the drawing. test: how many test patients, or which share. patients: id -> a part of `PARTS`
    where the user fixed it, else None. unlabelled: those of them without a label, sorted. persons: id -> whose scan it is; one
    that is not named is a person of its own. validation: as `test`; 0 for none. folds: how many, in place of `test`; 0 for one
    split.
    """

    cohort: str
    test: float
    patients: Mapping[str, str | None]
    unlabelled: Sequence[str] = ()
    persons: Mapping[str, str] = field(default_factory=dict)
    validation: float = 0
    folds: int = 0

    @classmethod
    def of(
        cls,
        cohort: str,
        test: float,
        subjects: Iterable[Subject],
        test_centre: Sequence[str] = (),
        validation: float = 0,
        folds: int = 0,
    ) -> "Origin":
        """What the splits of a cohort with these subjects are drawn from.

        With `test_centre` those centres' subjects test, and those of the others train; theirs without a label are none of the
        patients, since nothing of an unseen centre may be seen. `McdError` where a centre is not known.
        """
        subjects = list(subjects)
        if test_centre:
            subjects = _by_centre(cohort, subjects, test_centre)
        return cls(
            cohort,
            test,
            {subject.id: subject.split for subject in subjects},
            sorted(subject.id for subject in subjects if subject.label is None),
            {subject.id: subject.person for subject in subjects if subject.person not in (None, subject.id)},
            validation,
            folds,
        )

    @property
    def labelled(self) -> list[str]:
        """The patients with a label, sorted."""
        return sorted(self.patients.keys() - set(self.unlabelled))

    @property
    def fixed(self) -> dict[str, str]:
        """The patients with a label whose part the user decided."""
        return {name: part for name in self.labelled if (part := self.patients[name])}

    def person(self, name: str) -> str:
        """Whose scan it is."""
        return self.persons.get(name, name)


def _by_centre(cohort: str, subjects: Sequence[Subject], test_centre: Sequence[str]) -> list[Subject]:
    """The subjects with the part that their centre gives them."""
    where = f"cohort {cohort}: test_centre"
    centres = {subject.centre for subject in subjects}
    if unknown := [centre for centre in test_centre if centre not in centres]:
        known = ", ".join(sorted(filter(None, centres))) or "none; the sheet needs a column centre"
        raise McdError(f"{where}: no patient is of {unknown[0]}; the centres are {known}")
    for subject in subjects:
        if subject.centre is None or subject.split:
            why = "has no centre; give it one" if subject.centre is None else "has a part in the split column; empty it"
            raise McdError(f"{where}: {subject.id} {why}, or leave test_centre out")
    return [
        replace(subject, split="test" if subject.centre in test_centre else "train")
        for subject in subjects
        if subject.label is not None or subject.centre not in test_centre
    ]


@dataclass(frozen=True)
class Split:
    """Subject ids: `test`, `train` in the order in which labels are given away, those that train without a label, and those by
    whom settings are chosen.

    `drawn_from` is None in a split that was written by hand.
    """

    train: list[str]
    test: list[str]
    drawn_from: Origin | None = None
    unlabelled: list[str] = field(default_factory=list)
    validation: list[str] = field(default_factory=list)

    @property
    def seen(self) -> list[str]:
        """Every subject that a training may see, with a label or without."""
        return self.train + self.unlabelled

    def person(self, name: str) -> str:
        """Whose scan it is."""
        return self.drawn_from.person(name) if self.drawn_from else name

    @property
    def everyone(self) -> list[str]:
        """All subjects, whatever their part."""
        return self.seen + self.test + self.validation

    def labelled(self, ratio: float) -> list[str]:
        """The training subjects whose labels a run at `ratio` (0 to 1] may use: so many persons, rounded, at least one."""
        persons = self.persons(self.train)
        chosen = set(persons[: max(1, math.floor(ratio * len(persons) + 0.5))])
        return [name for name in self.train if self.person(name) in chosen]

    def persons(self, names: Iterable[str]) -> list[str]:
        """Whose scans these are, each once, in their order."""
        return list(dict.fromkeys(map(self.person, names)))

    def same_labels(self, ratios: Iterable[float]) -> list[list[float]]:
        """Label ratios, of some, that mean the same subjects in a cohort this small: groups of two or more, rising."""
        groups: dict[tuple[str, ...], list[float]] = {}
        for ratio in sorted(set(ratios)) if self.train else ():
            groups.setdefault(tuple(self.labelled(ratio)), []).append(ratio)
        return [group for group in groups.values() if len(group) > 1]

    def about_same_labels(self, ratios: Iterable[float]) -> list[str]:
        """A sentence for each group of `same_labels`."""
        return [
            f"{', '.join(f'{100 * ratio:g}' for ratio in group)} % of the labels are those of the same "
            f"{len(self.persons(self.labelled(group[0])))} of {len(self.persons(self.train))} training patients, so that their "
            "rows differ by chance alone"
            for group in self.same_labels(ratios)
        ]

    def without_labels(self, ratio: float) -> list[str]:
        """The other subjects that such a run may see, whose labels, if they have any, it must not use."""
        labelled = set(self.labelled(ratio))
        return [name for name in self.seen if name not in labelled]


def make_split(origin: Origin, seed: int, fold: int = 0) -> Split:
    """Draw a split; of an origin with folds, that of one `fold`, from 1.

    The test subjects are drawn from the cohort's name alone, the order of labels from both name and seed. With a share below 1
    as `test`, that share of the persons with a label is rounded, at least one. Paper Sec. V: 21 of 201 of HECKTOR, 42 of 210
    of BraTS 2018. Validation subjects are drawn likewise, from those who would train, so that the same persons test with them
    and without. Where the user fixed the parts, nothing is drawn but the order, and validation subjects if no part is theirs.
    Without any label, all train and none test.

    Folds are drawn from the cohort's name and the seed: the persons with a label in a random order, dealt to one fold after
    another, so that folds differ by at most one person.

    Raises `McdError` for fewer than two persons with a label, or than folds, a part without any, parts that are fixed for some
    subjects only, or at all with folds, one person in two parts, and a test or validation subject without a label; ValueError
    for a fold that the origin does not have.
    """
    cohort = origin.cohort
    if fold not in (range(1, origin.folds + 1) if origin.folds else [0]):
        raise ValueError(f"fold {fold} of {origin.folds}")
    if origin.folds:
        _check_folds_fit(origin)
    _check_all_have_labels(origin)
    names = origin.labelled
    if not names and origin.unlabelled:
        return Split([], [], origin, list(origin.unlabelled))
    persons = sorted(set(map(origin.person, names)))
    if len(persons) < 2:
        kind = "patients with a label" if origin.unlabelled else "subjects"
        raise McdError(f"cohort {cohort}: a split needs at least 2 {kind}, and there are {len(persons)}")
    if origin.fixed:
        undecided = [name for name in names if not origin.patients[name]]
        if undecided:
            raise McdError(
                f"cohort {cohort}: the split column is empty for {undecided[0]}; fill it for all or for none"
            )
        fixed = {part: [name for name, own in origin.patients.items() if own == part] for part in PARTS}
        if told := _torn(origin, **fixed):
            raise McdError(f"cohort {cohort}: {told}; put both on one side, or correct the column patient")
        testing, choosing = (set(map(origin.person, fixed[part])) for part in ("test", "validation"))
    elif origin.folds:
        testing, choosing = set(_shuffled(persons, "folds", cohort, seed)[fold - 1 :: origin.folds]), set()
    else:
        testing, choosing = _drawn(origin.test, persons, len(persons), "test subjects", cohort), set()
    if origin.validation and not choosing:
        others = [person for person in persons if person not in testing]
        choosing = _drawn(
            origin.validation,
            others,
            len(persons),
            *("validation subjects", cohort, *((seed, fold) if origin.folds else ())),
        )
    tested, validation = ([name for name in names if origin.person(name) in part] for part in (testing, choosing))
    train = [name for name in names if origin.person(name) not in testing | choosing]
    if not train or not tested:
        validating, keys = (f", {len(choosing)} validate", "`test`, `validation`") if choosing else ("", "`test`")
        keys = "`folds` or `validation`" if origin.folds else f"{keys} or the sheet's split column"
        raise McdError(
            f"cohort {cohort}: of {len(persons)} subjects {len(testing)} test{validating}, and both parts need one; correct "
            f"{keys}"
        )
    unlabelled = [name for name in origin.unlabelled if origin.person(name) not in testing | choosing]
    return Split(_label_order(train, origin, seed, fold=fold), tested, origin, unlabelled, validation)


def _drawn(wanted: float, persons: Sequence[str], of: int, *seeds: object) -> set[str]:
    """So many persons in a random order, or a share of how many there are in all, at least one."""
    count = max(1, math.floor(wanted * of + 0.5)) if wanted < 1 else int(wanted)
    return set(_shuffled(persons, *seeds)[:count])


def _shuffled(names: Sequence[str], *seeds: object) -> list[str]:
    order: list[str] = np.random.default_rng(derive_seed(*seeds)).permutation(names).tolist()
    return order


def _check_folds_fit(origin: Origin) -> None:
    """Folds need persons with a label for each, and that nobody else has decided who tests."""
    where = f"cohort {origin.cohort}: folds"
    persons = set(map(origin.person, origin.labelled))
    if len(persons) < origin.folds:
        kind = "patient with a label" if len(persons) == 1 else "patients with a label"
        raise McdError(
            f"{where}: {origin.folds} folds of {len(persons)} {kind} leave one without a test patient; lower it, or leave it "
            "out"
        )
    if fixed := sorted(name for name, part in origin.patients.items() if part):
        raise McdError(
            f"{where}: every patient tests in one of them, and the split column has a part for {_named(fixed)}; empty the "
            "column, or leave folds out"
        )


def _check_all_have_labels(origin: Origin) -> None:
    """A patient without a label has nothing to be compared with."""
    for part, verb in (("test", "test"), ("validation", "validate")):
        if wrong := [name for name in origin.unlabelled if origin.patients[name] == part]:
            raise McdError(
                f"cohort {origin.cohort}: the split column has {_named(wrong)} {verb}, without a label; give it one, or leave "
                "the cell empty to train without"
            )


def _torn(origin: Origin, **parts: Iterable[str]) -> str | None:
    """Say which scans of one person are in two parts, such as train and test; None where there are none."""
    for part, other in combinations(PARTS, 2):
        held = {origin.person(name): name for name in parts[other]}
        for name in sorted(parts[part]):
            if second := held.get(origin.person(name)):
                return f"{name} {PARTS[part]} and {second} {PARTS[other]}, and both are scans of {origin.person(name)}"
    return None


def draw_labels(split: Split, cohort: str, seed: int, draw: int, fold: int = 0) -> Split:
    """The same patients with another order of labels, that of a further draw (from 1) of a cohort's seed, or of its fold."""
    origin = split.drawn_from or Origin(cohort, 0, {})
    return replace(split, train=_label_order(sorted(split.train), origin, seed, draw, fold))


def _label_order(names: Sequence[str], origin: Origin, seed: int, draw: int = 0, fold: int = 0) -> list[str]:
    """Subjects in a random order of persons; scans of one person in the order given."""
    scans: dict[str, list[str]] = {}
    for name in names:
        scans.setdefault(origin.person(name), []).append(name)
    further = [draw] * bool(draw) + [f"fold {fold}"] * bool(fold)  # what a run does not have moves nothing
    order = _shuffled(sorted(scans), "label order", origin.cohort, seed, *further)
    return [name for person in order for name in scans[person]]


def keep(split: Split, origin: Origin) -> Split:
    """The split for the cohort as it is now: new patients and new labels stay out of it.

    Patients that are gone leave it; one that has lost its label trains without, or tests no more.
    """
    labelled = set(origin.labelled)
    train, test, validation = ([one for one in getattr(split, part) if one in labelled] for part in PARTS)
    unlabelled = [one for one in split.seen if one in origin.patients and one not in train]
    return _checked(Split(train, test, origin, unlabelled, validation))


def extend(split: Split, origin: Origin, seed: int, draw: int = 0, fold: int = 0) -> Split:
    """The same with new patients to train, last to be labelled, or to test or validate where the sheet says so.

    So is a patient that trained without a label and has one now. Scans of a person who tests test too, or stay out of it, and
    likewise those of one who validates. With folds, a new person tests in one of them, by the person's name alone, so that
    files which are extended one after another agree.
    """
    if origin.folds:
        _check_folds_fit(origin)
    _check_all_have_labels(origin)
    kept = keep(split, origin)
    new = [name for name in origin.labelled if name not in (*kept.train, *kept.test, *kept.validation)]
    known = set(map(origin.person, (*split.train, *split.test, *split.validation)))

    def joining(part: str) -> list[str]:
        held = {origin.person(name) for name in getattr(split, part)}
        if part == "test" and origin.folds:
            held |= {person for person in map(origin.person, new) if person not in known and turn_of(person) == fold}
        return [name for name in new if origin.patients[name] == part or origin.person(name) in held]

    def turn_of(person: str) -> int:
        return derive_seed("fold", origin.cohort, seed, person) % origin.folds + 1

    test, validation = joining("test"), joining("validation")
    train = _label_order([name for name in new if name not in (*test, *validation)], origin, seed, draw, fold)
    held_out = {origin.person(name) for name in (*split.test, *test, *split.validation, *validation)}
    others = [name for name in origin.unlabelled if name not in kept.unlabelled and origin.person(name) not in held_out]
    unlabelled = [name for name in kept.unlabelled if name in origin.unlabelled] + others
    if origin.folds:  # somebody who trained without a label may have got one, and test in this fold
        unlabelled = [name for name in unlabelled if origin.person(name) not in held_out]
    return _checked(Split(kept.train + train, kept.test + test, origin, unlabelled, kept.validation + validation))


def _checked(split: Split) -> Split:
    """A split that is not drawn anew; `McdError` where only drawing it anew would give a good one."""
    assert split.drawn_from is not None
    if told := _torn(split.drawn_from, **_parts(split)):
        raise McdError(f"cohort {split.drawn_from.cohort}: {told}; redraw the split, or correct the column patient")
    if bool(split.train) != bool(split.test) or not split.seen:
        raise McdError(
            f"cohort {split.drawn_from.cohort}: {len(split.train)} patients with a label would train and {len(split.test)} "
            "test, and both parts need one; redraw the split"
        )
    return split


def _parts(split: Split) -> dict[str, list[str]]:
    """Those who train in whatever way, test, and validate."""
    return {"train": split.seen, "test": split.test, "validation": split.validation}


def mismatch(split: Split, origin: Origin) -> str | None:
    """Say in what the cohort differs from what a split was drawn from; None where it does not."""
    before = split.drawn_from or Origin(
        origin.cohort,
        origin.test,
        dict.fromkeys(split.everyone),
        split.unlabelled,
        origin.persons,
    )
    new, gone = (
        sorted(a.keys() - b.keys()) for a, b in ((origin.patients, before.patients), (before.patients, origin.patients))
    )
    there = origin.patients.keys() & before.patients
    told = [f"{_named(new)} {'is' if len(new) == 1 else 'are'} new"] * bool(new)
    told += [f"{_named(gone)} {'is' if len(gone) == 1 else 'are'} gone"] * bool(gone)
    for one, other, words in ((before, origin, "a label"), (origin, before, "no label")):
        if changed := sorted(there & (set(one.unlabelled) - set(other.unlabelled))):
            told.append(f"{_named(changed)} {'has' if len(changed) == 1 else 'have'} {words} now")
    if changed := sorted(name for name in there if origin.person(name) != before.person(name)):
        told.append(f"the column patient was changed for {_named(changed)}")
    if torn := _torn(origin, **_parts(split)):
        told.append(torn)
    if split.drawn_from:
        moved = [name for name in there if origin.patients[name] != before.patients[name]]
        told += [f"the split column or test_centre was changed for {_named(sorted(moved))}"] * bool(moved)
        if origin.test != before.test and not origin.fixed and not origin.folds:
            told.append(f"`test` was {before.test:g} and is {origin.test:g}")
        if origin.folds != before.folds:
            told.append(f"`folds` was {before.folds} and is {origin.folds}")
        if origin.validation != before.validation and "validation" not in origin.fixed.values():
            told.append(f"`validation` was {before.validation:g} and is {origin.validation:g}")
        if origin.cohort != before.cohort:
            told.append(f"the cohort was called {before.cohort}")
    else:
        parts = {name: part for part, names in _parts(split).items() for name in names}
        moved = [name for name, part in origin.fixed.items() if parts.get(name, part) != part]
        told += [f"the split column has {_named(sorted(moved))} in the other part"] * bool(moved)
    return ", ".join(told) or None


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return shown if len(names) == 1 else f"{len(names)} patients ({shown})"


def check_split(path: str | Path, origin: Origin, remedy: str) -> Split:
    """Read a split; `McdError` where the cohort has changed since it was drawn. `remedy` names the command that decides."""
    split = read_split(path)
    if told := mismatch(split, origin):
        raise McdError(f"{path}: the cohort is no longer the one that it was drawn from: {told}; {remedy}")
    return split


def check_draw(path: str | Path, split: Split, base: Split, remedy: str) -> None:
    """Raise `McdError` where a draw has other patients than the split of its seed, on which its pre-training stands."""
    for part in (*PARTS, "unlabelled"):
        own, others = set(getattr(split, part)), set(getattr(base, part))
        if own != others:
            name = min(own ^ others)
            raise McdError(f"{path}: differs from its seed's split in `{part}`, by {name}; {remedy}")


def check_folds(splits: Mapping[str, Split], remedy: str) -> None:
    """Check that each subject with a label tests in exactly one fold of a seed.

    Args:
        splits: path -> the split of each fold.
        remedy: names the command that decides.

    Raises:
        McdError: naming the file of the second fold in which one tests; the first, where one tests in none.
    """
    tested: dict[str, str] = {}
    for path, split in splits.items():
        for name in split.test:
            if (other := tested.setdefault(name, path)) != path:
                raise McdError(f"{path}: {name} tests, and in {other}, too; {remedy}")
    for path, split in splits.items():
        if missing := sorted({*split.train, *split.validation} - tested.keys()):
            raise McdError(f"{path}: {missing[0]} has a label, and tests in no fold; {remedy}")


def write_split(split: Split, path: str | Path) -> None:
    """Write a split; what it has nothing of is left out."""
    content = asdict(split)
    if split.drawn_from is None:
        del content["drawn_from"]
    for holder in (content, content.get("drawn_from", {})):
        for key in ("unlabelled", "persons", "validation", "folds"):
            if not holder.get(key, True):
                del holder[key]
    write_json(path, {"format": FORMAT, **content})


def read_split(path: str | Path) -> Split:
    """Read a split, made or edited by hand.

    Raises:
        McdError: malformed, a subject twice, or in two parts.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise McdError(f"{path}: not a {FORMAT} file; delete it to regenerate it")
    lists: list[list[str]] = []
    for part in ("train", "test", "unlabelled", "validation"):
        found = content.get(part, None if part in ("train", "test") else [])
        if not isinstance(found, list):
            raise McdError(f"{path}: needs the lists `train` and `test`; delete it to regenerate it")
        lists.append([str(name) for name in found])
    try:
        origin = Origin(**content["drawn_from"]) if content.get("drawn_from") else None
        if origin:
            origin = Origin(
                str(origin.cohort),
                float(origin.test),
                dict(origin.patients),
                list(origin.unlabelled),
                dict(origin.persons),
                float(origin.validation),
                int(origin.folds),
            )
    except (TypeError, ValueError):
        raise McdError(f"{path}: `drawn_from` is damaged; take it out, or delete the file to regenerate it") from None
    train, test, unlabelled, validation = lists
    split = Split(train, test, origin, unlabelled, validation)
    names = split.everyone
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise McdError(
            f"{path}: {twice[0]} appears twice; a patient trains, tests or validates, and no more than one of these"
        )
    if bool(train) != bool(test) or not names:
        raise McdError(f"{path}: `train` and `test` both need at least one subject")
    return split


def held_out(path: str | Path, part: Part = "test") -> tuple[Split, list[str]]:
    """Read a split, and those of its subjects on whom networks are tried, by the name of their part.

    Raises:
        McdError: where it has none: no patient of the cohort has a label, or none is for validation.
    """
    split = split_to_test(path)
    if part == "validation" and not split.validation:
        raise McdError(
            f"{path}: has no validation patient; set `validation` of the cohort, and redraw it by `mcd split`"
        )
    return split, getattr(split, part)


def split_to_test(path: str | Path) -> Split:
    """Read a split with test subjects; `McdError` where it has none, because no patient of the cohort has a label."""
    split = read_split(path)
    if not split.test:
        raise McdError(f"{path}: has no test patient, since none has a label; add labels, and redraw it by `mcd split`")
    return split
