"""The first view: the result, what to be wary of, what was run, how long every stage took, and with which libraries."""

import platform
from collections.abc import Iterable, Mapping
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
        warnings=_by_subject(warnings_in(contents, scores)),
        heads=list(dict.fromkeys(head for _, facts in rows for head in facts)),
        rows=rows,
        methods_text=_methods_text(contents),
        times=time_tables(contents),
        versions=_versions(),
    )


def _by_subject(warnings: Iterable[Warned]) -> dict[str, list[Warned]]:
    """What each warning is about -> all of them about it, in their order."""
    found: dict[str, list[Warned]] = {}
    for warned in warnings:
        found.setdefault(warned.where, []).append(warned)
    return found


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
