"""The numbers of diagnoses as a CSV, one row per number (docs/reference/formats.md, "Diagnosis"). No torch."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from statistics import fmean

from mcd.csv_files import read_csv, write_csv
from mcd.errors import McdError
from mcd.evaluation.score_rows import FOLD, VERSION
from mcd.version import UNKNOWN

LAYERS = [
    "input layer",
    *(f"down layer {layer}" for layer in range(1, 5)),
    *(f"up layer {layer}" for layer in range(1, 5)),
]
"""The U-Net's levels by their names in Table I, which counts a transposed convolution to the layer that it ends."""

SHARED, INNERMOST = "shared layers", "innermost layers"
"""Which layers were knocked out: those that a pair shares or, where none is shared, those that Multi-ConDoS would share."""


@dataclass(frozen=True)
class Number:
    """One number; what does not apply to it is empty.

    Attributes:
        test: `translation`, `retrieval`, `probe`, `knock_out`, `moved` or `loss`.
        measure: what was measured by it.
        modality, region: whose.
        layers: of `LAYERS`, or which were knocked out.
        method, label_ratio: of the fine-tuning.
    """

    test: str
    measure: str
    value: float
    modality: str = ""
    region: str = ""
    layers: str = ""
    method: str = ""
    label_ratio: float | None = None


def mean_numbers(groups: Iterable[Iterable[Number]]) -> list[Number]:
    """Each number of several groups once, as the mean over those that have it: over the pairs of several modalities."""
    found: dict[Number, list[float]] = {}
    for number in chain.from_iterable(groups):
        found.setdefault(replace(number, value=0.0), []).append(number.value)
    return [replace(number, value=fmean(values)) for number, values in found.items()]


@dataclass(frozen=True)
class Diagnosis:
    """All numbers of one pre-training; `version` of the code that they went through."""

    cohort: str
    pair: str
    pretraining: str
    seed: int
    version: str
    numbers: Sequence[Number]
    fold: int = 0  # 0 where the cohort has one split

    def of(self, test: str, measure: str | None = None) -> list[Number]:
        """The numbers of a test, or of one of its measures."""
        return [number for number in self.numbers if number.test == test and measure in (None, number.measure)]


RUN = ["cohort", "pair", "pretraining", "seed"]
NUMBER = ["test", "measure", "modality", "region", "layers", "method", "label_ratio", "value"]


def write_diagnoses(diagnoses: Iterable[Diagnosis], path: str | Path) -> None:
    """Write the numbers of one or of several pre-trainings, with a digest; `FOLD` is a column where any has one."""
    diagnoses = list(diagnoses)
    run = [*RUN, FOLD] if any(diagnosis.fold for diagnosis in diagnoses) else RUN
    rows = (
        [
            *(getattr(diagnosis, name) for name in run),
            *(getattr(number, name) for name in NUMBER[:-1]),
            f"{number.value:.6f}",
            diagnosis.version,
        ]
        for diagnosis in diagnoses
        for number in diagnosis.numbers
    )
    write_csv([[*run, *NUMBER, VERSION], *rows], path)


def read_diagnoses(paths: Iterable[str | Path]) -> Iterator[Diagnosis]:
    """The diagnoses of files of `write_diagnoses`, in their order.

    Raises:
        McdError: naming a file that is missing, damaged, or not of diagnoses.
    """
    for path in paths:
        found: dict[tuple[str, ...], list[Number]] = {}
        try:
            for row in csv.DictReader(read_csv(path)):
                run = tuple({FOLD: "0", **row}[name] for name in [*RUN, VERSION, FOLD])
                found.setdefault(run, []).append(_number(row))
            yield from (
                Diagnosis(cohort, pair, pretraining, int(seed), version or UNKNOWN, numbers, int(fold))
                for (cohort, pair, pretraining, seed, version, fold), numbers in found.items()
            )
        except (KeyError, ValueError) as error:
            raise McdError(f"{path}: not a file of diagnoses ({error}); delete it to regenerate it") from None


def _number(row: dict[str, str]) -> Number:
    texts = {name: row[name] for name in NUMBER if name not in ("value", "label_ratio")}
    ratio = float(row["label_ratio"]) if row["label_ratio"] else None
    return Number(**texts, value=float(row["value"]), label_ratio=ratio)
