"""What the reader should be wary of: patients unlike the others, and trainings that went wrong."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mcd.csv_files import read_csv
from mcd.imaging.alike import empty_regions, unlike_others
from mcd.reporting.page.contents import PageCohort, PageContents
from mcd.slices.shards import Shards
from mcd.training.history import warnings_of


@dataclass(frozen=True)
class Warned:
    """One warning: what it is about, and the address in the page where that is shown."""

    where: str
    sentence: str
    address: str


def warnings_in(contents: PageContents) -> Iterator[Warned]:
    """Every warning: of each cohort, of its patients, then of the trainings."""
    for cohort in contents.cohorts:
        if cohort.shards:
            with Shards(cohort.shards) as shards:
                infos = {name: subject.info for name, subject in shards.subjects.items()}
            yield from (
                Warned(cohort.title, words, check_address(cohort.name, patient))
                for patient, words in patient_warnings(cohort, infos)
            )
    for training, path in contents.losses.items():
        yield from (
            Warned(training, words, f"training/{training}") for words in warnings_of(csv.DictReader(read_csv(path)))
        )


def patient_warnings(cohort: PageCohort, infos: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """(patient, sentence that names the patient) of a cohort's `info.json`s; the patient is "" where it concerns all."""
    for unlike in [*unlike_others(infos), *empty_regions(infos, cohort.regions)]:
        yield unlike.patient, str(unlike)
    for patient, info in infos.items():
        yield from ((patient, f"{patient}: {sentence}") for sentence in info.get("warnings", ()))


def check_address(cohort: str, patient: str) -> str:
    """Where the page shows a patient's preprocessing."""
    return f"check/{cohort}/{patient}" if patient else "checks"
