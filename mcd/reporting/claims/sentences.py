"""The paper's comparative sentences as data, and what each compares, down to single numbers of a table.

`claims.yaml` lists them in the paper's order; `mcd.reporting.claims.judge` tests them.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache, reduce
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import yaml

from mcd.methods import TABLE_II
from mcd.reporting.tables.spec import MEASURES, Key

CLOSE = 0.1
"""How much worse still counts as "close to", as a share of the number on the right. Our choice, since the paper gives none: a
common margin of non-inferiority trials, which includes the paper's own use (it calls 36.60 h close to 34.08 h)."""

PRINTED = {
    f"table{number}": numeral
    for number, numeral in enumerate(["II", "III", "IV", "V", "VI", "VII", "VIII", "IX"], start=2)
}
"""The tables with results, as the paper numbers them."""

Terms = dict[Key, float]
Column = tuple[str, str]  # data set or cohort, modality
Steps = tuple[float | None, float | None]  # label ratio on the left, and on the right

SOURCES = {"table_fusion": "Fusion"}
"""What else has numbers, and is not in the paper."""

ALMOST_ALL = 0.9
"""The share of cases that "almost all" asks for. Our choice, since the paper gives none."""

OVER = {
    "average": "on average over all cases",
    "each method": "each pair of methods on average over its cases, of which the worst decides",
    "almost all": f"in at least {100 * ALMOST_ALL:g} % of cases",
    "every": "in every case",
}
"""What a claim is about: how its cases, one for each column, label ratio and pair of methods, make one verdict."""

RELATIONS = {
    "above": "left is better than right, by at least `by` where that is given",
    "close or above": "left is better than right (times `factor`), or worse by at most `CLOSE` of it",
    "similar": "left and right differ by at most `CLOSE` of right",
    "rises along": "each of the methods on the left is better than the one before it",
    "rises with labels": "each method on the left is better at the next larger label ratio",
    "narrows with labels": "the lead of left over right is smaller at the next larger label ratio",
    "gains more": "the lead of left over right is larger than that of `than`, which says what is different there",
    "rises with difference": "the methods on the left, which are groupings, score higher the more different their pairs look",
}
GROUPS = {
    group: [spec.label for spec in TABLE_II.values() if spec.group == group]
    for group in ("Self-supervised", "Semi-supervised")
}


@dataclass(frozen=True)
class Claim:
    """One statement of a sentence, in one metric. The fields are the keys of `claims.yaml`, explained in its head."""

    number: int
    section: str
    sentence: str
    table: str
    metric: str
    relation: str
    over: str
    left: tuple[str, ...] = ()
    right: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    modalities: tuple[str, ...] = ()  # none: those of the table
    dataset: str | None = None  # none: those of the table
    ratios: tuple[float, ...] = ()  # none: those of the table
    right_ratios: tuple[float, ...] = ()  # none: the one on the left; one: for all on the left; else one for each
    summed: bool = False  # the sum over modalities is compared
    factor: float = 1.0
    by: float = 0.0
    than: Mapping[str, tuple[str, ...]] | None = None  # `left`, `right`, `modalities`: what differs on the other side
    negated: bool = False
    printed: str | None = None  # the paper's table with the figure's numbers
    note: str = ""

    def __post_init__(self) -> None:
        if self.relation not in RELATIONS or self.over not in OVER or self.metric not in MEASURES:
            raise ValueError(f"claim {self.number}: relation, over or metric is unknown: {self}")
        if len(self.right_ratios) not in (0, 1, len(self.ratios)):
            raise ValueError(f"claim {self.number}: right_ratios are none, one, or as many as ratios: {self}")

    @property
    def compared(self) -> list[tuple[str, str]]:
        """The pairs of methods that are compared."""
        named = product(_members(self.left), _members(self.right))
        return [*self.pairs, *((left, right) for left, right in named if left != right)]

    @property
    def methods(self) -> list[str]:
        """Every method that the claim names."""
        other = self.than or {}
        sides = [self.left, self.right, *self.pairs, other.get("left", ()), other.get("right", ())]
        return list(dict.fromkeys(method for side in sides for method in _members(side)))

    @property
    def source(self) -> str:
        """The table or figure, as the paper names it."""
        if self.table in SOURCES:
            return SOURCES[self.table]
        return f"Table {PRINTED[self.table]}" if self.table in PRINTED else self.table.replace("fig", "Fig. ")

    @property
    def relative(self) -> bool:
        """Whether differences are shares of the numbers compared, since numbers of different columns are not on one scale."""
        return self.over in ("average", "each method") and not MEASURES[self.metric].comparable


@cache
def read_claims() -> list[Claim]:
    """The claims of the paper in its order. A sentence about several metrics, or about each modality, gives several claims."""
    entries = yaml.safe_load(Path(__file__).with_name("claims.yaml").read_text(encoding="utf-8"))
    return [claim for number, entry in enumerate(entries, start=1) for claim in _read(number, dict(entry))]


def _read(number: int, entry: dict[str, Any]) -> Iterator[Claim]:
    metrics, each = entry.pop("metrics"), entry.pop("each_modality", None)
    lists = {own.name for own in fields(Claim) if str(own.type).startswith("tuple")}
    values: dict[str, Any] = {name: _tuple(value) if name in lists else value for name, value in entry.items()}
    if "than" in values:
        values["than"] = {name: _tuple(value) for name, value in values["than"].items()}
    for metric in metrics:
        claim = Claim(number=number, metric=metric, **values)
        yield from [replace(claim, modalities=(modality,)) for modality in each] if each else [claim]


def _tuple(value: Any) -> tuple[Any, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(tuple(item) if isinstance(item, list) else item for item in values)


def _members(names: Iterable[str]) -> list[str]:
    return [method for name in names for method in GROUPS.get(name, [name])]


# --- what a claim compares ---


@dataclass(frozen=True)
class Contrast:
    """A case: a weighted sum of cells that the claim says is positive; it may fall short by the weighted sum `allowance`.

    `methods` are the two that it compares.
    """

    terms: Terms
    methods: tuple[str, str]
    allowance: Terms = field(default_factory=dict)


Looks = Mapping[tuple[str, str, str], float]
"""(cohort, modality, grouping) -> how different the modality and its partner in this grouping look."""


def contrasts(claim: Claim, cells: Collection[Key], looks: Looks | None = None) -> list[Contrast]:
    """Everything that a claim compares, as far as the table has the cells; `looks` is for "rises with difference"."""
    known = [key for key in cells if key[4] == claim.metric]
    columns = list(dict.fromkeys(key[:2] for key in known if not claim.modalities or key[1] in claim.modalities))
    named = {key[3] for key in known if not claim.ratios or key[3] in claim.ratios}
    ratios = sorted(named, key=lambda ratio: ratio or 0)
    groups = [[column] for column in columns]
    if claim.summed:
        groups = [[column for column in columns if column[0] == dataset] for dataset in dict(columns)]
        groups = [group for group in groups if {modality for _, modality in group} >= set(claim.modalities)]
    there = set(known)
    found = _compare(claim, groups, ratios, known, looks or {})
    return [contrast for contrast in found if contrast.terms.keys() <= there]


def _compare(
    claim: Claim,
    groups: Sequence[Sequence[Column]],
    ratios: Sequence[float | None],
    known: Sequence[Key],
    looks: Looks,
) -> Iterator[Contrast]:
    """The contrasts of a claim: one for each of `groups` (columns that are added up), label ratio and pair of methods."""
    better = 1.0 if MEASURES[claim.metric].higher_is_better else -1.0

    def mean(columns: Sequence[Column], method: str, ratio: float | None, weight: float) -> Terms:
        return {(*column, method, ratio, claim.metric): weight for column in columns}

    def lead(columns: Sequence[Column], left: str, right: str, at: Steps, weight: float = 1.0) -> Terms:
        """How much better `left` is at the first label ratio of `at` than `right` at the second."""
        return mean(columns, left, at[0], better * weight) | mean(
            columns, right, at[1], -better * weight * claim.factor
        )

    same = [(ratio, ratio) for ratio in ratios]
    if claim.relation == "above":
        for columns, (left, right), at in product(groups, claim.compared, _steps(claim, ratios)):
            yield Contrast(lead(columns, left, right, at), (left, right))
    elif claim.relation in ("close or above", "similar"):
        for columns, (left, right), at in product(groups, claim.compared, _steps(claim, ratios)):
            allowance = mean(columns, right, at[1], CLOSE * claim.factor)
            yield Contrast(lead(columns, left, right, at), (left, right), allowance)
            if claim.relation == "similar":
                yield Contrast(lead(columns, left, right, at, -1.0), (right, left), allowance)
    elif claim.relation == "rises along":
        for columns, (lower, higher), at in product(groups, pairwise(claim.left), same):
            yield Contrast(lead(columns, higher, lower, at), (higher, lower))
    elif claim.relation == "rises with labels":
        for columns, method, (fewer, more) in product(groups, _members(claim.left), pairwise(ratios)):
            yield Contrast(lead(columns, method, method, (more, fewer)), (method, method))
    elif claim.relation == "narrows with labels":
        for columns, (left, right), (before, after) in product(groups, claim.compared, pairwise(same)):
            closing = _sum(lead(columns, left, right, before), lead(columns, left, right, after, -1.0))
            yield Contrast(closing, (left, right))
    elif claim.relation == "gains more":
        than = claim.than or {}
        sides = [(columns, columns) for columns in groups]
        if "modalities" in than:  # of the mean over some modalities and the mean over others
            others = list(dict.fromkeys(key[:2] for key in known if key[1] in than["modalities"]))
            sides = [([column for columns in groups for column in columns], others)] if groups and others else []
        for (left, right), at, (here, there) in product(claim.compared, same, sides):
            (left_there,), (right_there,) = than.get("left", (left,)), than.get("right", (right,))
            one = lead(here, left, right, at, 1 / len(here))
            other = lead(there, left_there, right_there, at, -1 / len(there))
            yield Contrast(_sum(one, other), (left, right))
    elif claim.relation == "rises with difference":
        for (column,), ratio in product(groups, ratios):
            scored = {key[2] for key in known if key[:2] == column and key[3] == ratio}
            seen = {one: looks[*column, one] for one in claim.left if one in scored and (*column, one) in looks}
            middle = sum(seen.values()) / max(len(seen), 1)
            spread = sum((look - middle) ** 2 for look in seen.values())
            if spread > 0:  # the slope of the least-squares line, times the range of looks
                reach = max(seen.values()) - min(seen.values())
                terms = [
                    mean([column], method, ratio, better * (look - middle) / spread * reach)
                    for method, look in seen.items()
                ]
                yield Contrast(reduce(_sum, terms), (claim.left[0], claim.left[-1]))


def _steps(claim: Claim, ratios: Sequence[float | None]) -> list[Steps]:
    """The label ratios of left and right: the same on both sides, or those that the claim names for the right."""
    if not claim.right_ratios:
        return [(ratio, ratio) for ratio in ratios]
    right = claim.right_ratios * (len(claim.ratios) if len(claim.right_ratios) == 1 else 1)
    return [(left, other) for left, other in zip(claim.ratios, right, strict=True) if left in ratios]


def _sum(one: Terms, other: Terms) -> Terms:
    return {key: one.get(key, 0.0) + other.get(key, 0.0) for key in one | other}


# --- in words ---


def reading(claim: Claim) -> str:
    """What is compared, in words."""
    left, right = ", ".join(claim.left), ", ".join(claim.right)
    close = f"{100 * CLOSE:g} %"
    factor = f"{claim.factor:g} times " if claim.factor != 1 else ""
    margin = f" by {claim.by:g}" if claim.by else ""
    than = claim.than or {}
    said = {
        "above": f"{left} better than {right}{margin}",
        "close or above": f"{left} better than {factor}{right}, or at most {close} worse",
        "similar": f"{left} within {close} of {right}",
        "rises along": f"each of {left} better than the one before",
        "rises with labels": f"{left}: better at each larger label ratio",
        "narrows with labels": f"lead of {left} over {right}: smaller at each larger label ratio",
        "gains more": f"lead of {left} over {right} larger than that of {', '.join(than.get('left', claim.left))} over "
        f"{', '.join(than.get('right', claim.right))}"
        + (f" on {', '.join(than['modalities'])}" if "modalities" in than else ""),
        "rises with difference": f"of {left}, the more different the two modalities of a pair look (1 - NMI), the better; "
        "difference: from the most alike to the most different pair, on the straight line that fits best",
    }[claim.relation]
    if claim.pairs:
        said = "; ".join(f"{one} better than {other}" for one, other in claim.pairs)
    where = " + ".join(claim.modalities) if claim.summed else ", ".join(claim.modalities)
    words = [f"not: {said}" if claim.negated else said]
    words += [f"on {where}"] if where else ["sum over the modalities"] if claim.summed else []
    if claim.ratios:
        against = f" against {_percent(claim.right_ratios)}" if claim.right_ratios else ""
        words.append(f"at {_percent(claim.ratios)}{against}" + (", in pairs" if len(claim.right_ratios) > 1 else ""))
    words.append(OVER[claim.over])
    words += ["differences in shares of the mean of the numbers compared"] if claim.relative else []
    return "; ".join(words)


def _percent(ratios: Iterable[float]) -> str:
    return ", ".join(f"{100 * ratio:g}" for ratio in ratios) + " %"
