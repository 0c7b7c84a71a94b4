"""Who trains, who tests, and whose labels may be used: a JSON file of subject ids (docs/reference/formats.md).

`train` is in the order in which labels are used: a label ratio takes its first so many, so that 5 % lies inside
10 % by construction, and any ratio can be asked of one file. The test subjects depend on the cohort alone, the order also on
the run's seed: several seeds differ in whose labels they see and are scored on the same patients.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mcd.errors import McdError
from mcd.files import read_json, write_json
from mcd.seeding import derive_seed

FORMAT = "mcd-split/1"


@dataclass(frozen=True)
class Split:
    """Subject ids: `test`, and `train` in the order in which labels are given away."""

    train: list[str]
    test: list[str]

    def labelled(self, ratio: float) -> list[str]:
        """The training subjects whose labels a run at `ratio` (0 to 1] may use: rounded, at least one."""
        return self.train[: max(1, math.floor(ratio * len(self.train) + 0.5))]


def make_split(
    subjects: Sequence[str], test: float, *, cohort: str, seed: int, fixed: dict[str, str] | None = None
) -> Split:
    """Draw a split of `subjects`.

    Args:
        test: how many subjects are held out; below 1, a share of them, rounded, at least one. Paper Sec. V: 21 of 201 of
            HECKTOR, 42 of 210 of BraTS 2018.
        cohort, seed: the test subjects are drawn from `cohort` alone, the order of labels from both.
        fixed: subject -> "train" or "test" where the user decided; then nothing is drawn but the order.
    """
    names = sorted(subjects)
    if len(names) < 2:
        raise McdError(f"cohort {cohort}: a split needs at least 2 subjects, and there are {len(names)}")
    if fixed:
        undecided = [name for name in names if name not in fixed]
        if undecided:
            raise McdError(
                f"cohort {cohort}: the split column is empty for {undecided[0]}; fill it for all or for none"
            )
        held_out = [name for name in names if fixed[name] == "test"]
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
    order = np.random.default_rng(derive_seed("label order", cohort, seed)).permutation(train)
    return Split(train=[str(name) for name in order], test=held_out)


def write_split(split: Split, path: str | Path) -> None:
    write_json(path, {"format": FORMAT, **asdict(split)})


def read_split(path: str | Path) -> Split:
    """Read a split, made or edited by hand.

    Raises:
        McdError: malformed, a subject twice, or a subject in both parts.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise McdError(f"{path}: not a {FORMAT} file; delete it to regenerate it")
    try:
        split = Split(train=[str(name) for name in content["train"]], test=[str(name) for name in content["test"]])
    except (KeyError, TypeError):
        raise McdError(f"{path}: needs the lists `train` and `test`; delete it to regenerate it") from None
    names = split.train + split.test
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise McdError(f"{path}: {twice[0]} appears twice; a patient trains or tests, never both")
    if not split.train or not split.test:
        raise McdError(f"{path}: `train` and `test` both need at least one subject")
    return split
