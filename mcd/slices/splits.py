"""Who trains, who tests, and whose labels may be used: a JSON file of subject ids (docs/reference/formats.md).

Results stand on a split, so it is never drawn again silently: it knows the patients and the settings that it was drawn from,
and where the cohort has others now, somebody decides (`mcd split`).

`train` is in the order in which labels are used: a label ratio takes its first so many, so that 5 % lies inside
10 % by construction, and any ratio can be asked of one file. The test subjects depend on the cohort alone, the order also on
the run's seed: several seeds differ in whose labels they see and are scored on the same patients.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mcd.errors import McdError
from mcd.files import read_json, write_json
from mcd.seeding import derive_seed

FORMAT = "mcd-split/1"


@dataclass(frozen=True)
class Origin:
    """What a split is drawn from.

    cohort: its name, which seeds the drawing. test: how many test patients, or which share. patients: id -> "train" or "test"
    where the user fixed it, else None.
    """

    cohort: str
    test: float
    patients: Mapping[str, str | None]

    @property
    def fixed(self) -> dict[str, str]:
        """The patients whose part the user decided."""
        return {name: part for name, part in self.patients.items() if part}


@dataclass(frozen=True)
class Split:
    """Subject ids: `test`, and `train` in the order in which labels are given away.

    `drawn_from` is None in a split that was written by hand.
    """

    train: list[str]
    test: list[str]
    drawn_from: Origin | None = None

    def labelled(self, ratio: float) -> list[str]:
        """The training subjects whose labels a run at `ratio` (0 to 1] may use: rounded, at least one."""
        return self.train[: max(1, math.floor(ratio * len(self.train) + 0.5))]


def make_split(origin: Origin, seed: int) -> Split:
    """Draw a split.

    The test subjects are drawn from the cohort's name alone, the order of labels from both name and seed. With a share below 1
    as `test`, that share is rounded, at least one. Paper Sec. V: 21 of 201 of HECKTOR, 42 of 210 of BraTS 2018. Where the user
    fixed the parts, nothing is drawn but the order.
    Raises `McdError` for fewer than two subjects, a part without any, and parts that are fixed for some subjects only.
    """
    cohort, test = origin.cohort, origin.test
    names = sorted(origin.patients)
    if len(names) < 2:
        raise McdError(f"cohort {cohort}: a split needs at least 2 subjects, and there are {len(names)}")
    if origin.fixed:
        undecided = [name for name in names if not origin.patients[name]]
        if undecided:
            raise McdError(
                f"cohort {cohort}: the split column is empty for {undecided[0]}; fill it for all or for none"
            )
        held_out = [name for name in names if origin.patients[name] == "test"]
    else:
        count = max(1, math.floor(test * len(names) + 0.5)) if test < 1 else int(test)
        drawn = np.random.default_rng(derive_seed("test subjects", cohort)).permutation(names)
        held_out = sorted(str(name) for name in drawn[:count])
    train = sorted(set(names) - set(held_out))
    if not train or not held_out:
        raise McdError(
            f"cohort {cohort}: of {len(names)} subjects {len(held_out)} test, and both parts need one; correct `test` or the "
            "sheet's split column"
        )
    return Split(train=_label_order(train, cohort, seed), test=held_out, drawn_from=origin)


def _label_order(names: Sequence[str], cohort: str, seed: int) -> list[str]:
    order = np.random.default_rng(derive_seed("label order", cohort, seed)).permutation(names)
    return [str(name) for name in order]


def keep(split: Split, origin: Origin) -> Split:
    """The split for the cohort as it is now: new patients stay out of it, and those that are gone leave it."""
    there = origin.patients.keys()
    return Split([one for one in split.train if one in there], [one for one in split.test if one in there], origin)


def extend(split: Split, origin: Origin, seed: int) -> Split:
    """The same with new patients to train, last to be labelled, or to test where the sheet says so."""
    kept = keep(split, origin)
    new = sorted(origin.patients.keys() - set(split.train + split.test))
    test = [name for name in new if origin.patients[name] == "test"]
    train = _label_order([name for name in new if name not in test], origin.cohort, seed)
    return Split(kept.train + train, kept.test + test, origin)


def mismatch(split: Split, origin: Origin) -> str | None:
    """Say in what the cohort differs from what a split was drawn from; None where it does not."""
    before = split.drawn_from or Origin(origin.cohort, origin.test, dict.fromkeys(split.train + split.test))
    new, gone = (
        sorted(a.keys() - b.keys()) for a, b in ((origin.patients, before.patients), (before.patients, origin.patients))
    )
    told = [f"{_named(new)} {'is' if len(new) == 1 else 'are'} new"] * bool(new)
    told += [f"{_named(gone)} {'is' if len(gone) == 1 else 'are'} gone"] * bool(gone)
    if split.drawn_from:
        moved = [
            name for name in origin.patients.keys() & before.patients if origin.patients[name] != before.patients[name]
        ]
        told += [f"the split column was changed for {_named(sorted(moved))}"] * bool(moved)
        if origin.test != before.test and not origin.fixed:
            told.append(f"`test` was {before.test:g} and is {origin.test:g}")
        if origin.cohort != before.cohort:
            told.append(f"the cohort was called {before.cohort}")
    else:
        parts = {**dict.fromkeys(split.train, "train"), **dict.fromkeys(split.test, "test")}
        moved = [name for name, part in origin.fixed.items() if parts.get(name, part) != part]
        told += [f"the split column has {_named(sorted(moved))} in the other part"] * bool(moved)
    return ", ".join(told) or None


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return shown if len(names) == 1 else f"{len(names)} patients ({shown})"


def check_split(path: str | Path, origin: Origin, remedy: str) -> None:
    """Raise `McdError` where a cohort is no longer what a split was drawn from. `remedy` names the command that decides."""
    if told := mismatch(read_split(path), origin):
        raise McdError(f"{path}: the cohort is no longer the one that it was drawn from: {told}; {remedy}")


def write_split(split: Split, path: str | Path) -> None:
    content = asdict(split)
    if split.drawn_from is None:
        del content["drawn_from"]
    write_json(path, {"format": FORMAT, **content})


def read_split(path: str | Path) -> Split:
    """Read a split, made or edited by hand.

    Raises:
        McdError: malformed, a subject twice, or a subject in both parts.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise McdError(f"{path}: not a {FORMAT} file; delete it to regenerate it")
    lists: list[list[str]] = []
    for part in ("train", "test"):
        if not isinstance(content.get(part), list):
            raise McdError(f"{path}: needs the lists `train` and `test`; delete it to regenerate it")
        lists.append([str(name) for name in content[part]])
    try:
        origin = Origin(**content["drawn_from"]) if content.get("drawn_from") else None
        if origin:
            origin = Origin(str(origin.cohort), float(origin.test), dict(origin.patients))
    except (TypeError, ValueError):
        raise McdError(f"{path}: `drawn_from` is damaged; take it out, or delete the file to regenerate it") from None
    split = Split(lists[0], lists[1], origin)
    names = split.train + split.test
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise McdError(f"{path}: {twice[0]} appears twice; a patient trains or tests, never both")
    if not split.train or not split.test:
        raise McdError(f"{path}: `train` and `test` both need at least one subject")
    return split
