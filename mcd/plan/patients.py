"""A cohort's patients, and what its splits are drawn from."""

from collections.abc import Iterable
from pathlib import Path

from mcd.cohorts.find import find_subjects
from mcd.cohorts.simulated import simulated_subjects
from mcd.config import Config
from mcd.slices.splits import Origin
from mcd.subject import Subject


def patients(config: Config, cohort: str, data: str | Path) -> list[Subject]:
    """The patients that are on disk, or those that will be simulated into the folder `data`."""
    settings = config.cohorts[cohort]
    if settings.simulate:
        number, seed = settings.simulate.subjects, settings.simulate.seed
        return simulated_subjects(settings.layout, data, settings.modalities, number, seed=seed)
    return find_subjects(settings.layout, settings.raw_folder, settings.sheet_path, settings.modalities)


def origin(config: Config, cohort: str, subjects: Iterable[Subject]) -> Origin:
    """What the splits of a cohort with these patients are drawn from."""
    return Origin(cohort, config.cohorts[cohort].test, {subject.id: subject.split for subject in subjects})
