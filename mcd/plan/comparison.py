"""What a table is computed from, and what it says about its cohorts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mcd.config import Config
from mcd.plan.runs import Run
from mcd.reporting.tables.spec import TableSpec

BY_DEFAULT = ("table2", "table_beyond", "segmentations")
"""What the page shows, as far as the configuration supports it, where the key `report` says nothing."""


def is_made(config: Config, name: str) -> bool:
    """Whether a run makes a table or figure without being asked for it by name: Table II, and what the page shows."""
    return name == "table2" or config.report == "all" or name in (config.report or BY_DEFAULT)


@dataclass(frozen=True)
class Comparison:
    """A table, or the numbers behind a figure: what it shows, and the runs that it needs."""

    spec: TableSpec
    runs: Sequence[Run]


def about_cohorts(config: Config, shown: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The arguments of a `TableSpec` that describe the cohorts of (cohort, modality) columns."""
    cohorts = {name: config.cohorts[name] for name in dict(shown)}
    return {
        "simulated": [name for name, cohort in cohorts.items() if cohort.simulate],
        "paper_cohorts": {name: cohort.paper_dataset for name, cohort in cohorts.items() if cohort.paper_dataset},
        "cohort_labels": {name: cohort.title or name for name, cohort in cohorts.items()},
    }


def cross_validated(config: Config, shown: Iterable[tuple[str, str]]) -> list[str]:
    """Sentences on the cohorts of (cohort, modality) columns that have folds."""
    return [
        f"{config.cohorts[name].title or name}: {count}-fold cross-validation. Every patient with a label tests in one of "
        f"{count} folds, and a number is over all of them; the {count} trainings of a seed and draw together count as one."
        for name in dict(shown)
        if (count := config.cohorts[name].folds)
    ]


def paper_datasets(config: Config) -> dict[str, str]:
    """Cohort -> the paper's data set that it is, or whose layout it has, simulated or not; without other cohorts."""
    layouts = {"hecktor2020": "hecktor", "brats2018": "brats2018"}
    found = {name: cohort.paper_dataset or layouts.get(cohort.layout) for name, cohort in config.cohorts.items()}
    return {name: dataset for name, dataset in found.items() if dataset}
