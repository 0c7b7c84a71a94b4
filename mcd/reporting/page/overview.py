"""The first view: the result, what to be wary of, what was run, how long every stage took, and with which libraries."""

import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from mcd.reporting.page.contents import PageCohort, PageContents
from mcd.reporting.page.elements import View
from mcd.reporting.page.patients import patients_in
from mcd.reporting.page.result import results
from mcd.reporting.page.timing import time_tables
from mcd.reporting.page.warnings import Warned, warnings_in
from mcd.version import code_version

LIBRARIES = ("torch", "numpy", "scipy", "pandas", "h5py", "SimpleITK", "matplotlib", "snakemake")

SHARED = 4
"""Trainings with the same warning from which they are one row of the page."""


def overview(contents: PageContents, scores: pd.DataFrame) -> View:
    """The first view of the page; `scores` are all of the run's."""
    rows = [(cohort, _facts(cohort, contents)) for cohort in contents.cohorts]
    return View.of(
        "overview",
        "Overview",
        "overview",
        title=contents.title,
        simulated=[cohort.title for cohort in contents.cohorts if cohort.simulated],
        absent=contents.absent,
        results=results(contents, scores),
        warnings=_warning_rows(warnings_in(contents, scores)),
        heads=list(dict.fromkeys(head for _, facts in rows for head in facts)),
        rows=rows,
        methods_text=_methods_text(contents),
        times=time_tables(contents),
        versions=_versions(),
    )


@dataclass(frozen=True)
class WarningRow:
    """Warnings in one row: all of a cohort or a training, or one that many trainings share.

    Attributes:
        head: the cohort or training, or how many trainings share it.
        shared: the sentence that they share; "" for a row of one cohort or training.
    """

    head: str
    shared: str
    warned: list[Warned]


def _warning_rows(warnings: Iterable[Warned]) -> list[WarningRow]:
    """Where `SHARED` trainings and more say the same, they are one row, in the place of the first."""
    every = list(warnings)
    counts = Counter(warned.sentence for warned in every if warned.of_training)
    grouped: dict[tuple[str, str], list[Warned]] = {}
    for warned in every:
        shared = warned.sentence if warned.of_training and counts[warned.sentence] >= SHARED else ""
        grouped.setdefault(("" if shared else warned.where, shared), []).append(warned)
    return [
        WarningRow(where or f"{len(warned)} trainings", shared, warned) for (where, shared), warned in grouped.items()
    ]


def _facts(cohort: PageCohort, contents: PageContents) -> Mapping[str, str]:
    tested = patients_in(contents.predictions, [cohort.name])
    return {
        "Patients": f"{cohort.subjects}, {len(tested)} for testing",
        "Modalities": ", ".join(cohort.modalities),
        "Regions": ", ".join(cohort.regions),
        **cohort.facts,
    }


def _methods_text(contents: PageContents) -> dict[str, str] | None:
    if contents.methods_text is None:
        return None
    path = Path(contents.methods_text)
    return {"name": path.name, "references": path.with_suffix(".bib").name, "text": path.read_text(encoding="utf-8")}


def _versions() -> Mapping[str, str]:
    found = {"mcd": code_version(), "Python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
