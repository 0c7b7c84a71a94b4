"""What the reader should be wary of: patients unlike the others, and trainings that went wrong."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass

from mcd.csv_files import read_csv
from mcd.reporting.page.checks import check_address, patient_warnings
from mcd.reporting.page.contents import PageContents
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
        infos = {check.subject: check.info for check in contents.checks if check.cohort == cohort.name}
        for patient, words in patient_warnings(cohort.regions, infos):
            yield Warned(cohort.title, f"{patient}: {words}" if patient else words, check_address(cohort.name, patient))
    for training, path in contents.losses.items():
        yield from (
            Warned(training, words, f"training/{training}") for words in warnings_of(csv.DictReader(read_csv(path)))
        )
