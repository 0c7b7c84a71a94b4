"""What the reader should be wary of: patients unlike the others, trainings that went wrong, and networks of no use."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mcd.csv_files import read_csv
from mcd.evaluation.outlined import one_sided
from mcd.reporting.page.checks import check_address, patient_warnings
from mcd.reporting.page.contents import PageContents
from mcd.seeding import draw_text, fold_text, percent
from mcd.training.history import warnings_of


@dataclass(frozen=True)
class Warned:
    """One warning: what it is about, a training or a cohort, and the address in the page where that is shown."""

    where: str
    sentence: str
    address: str
    of_training: bool


def warnings_in(contents: PageContents, scores: pd.DataFrame) -> Iterator[Warned]:
    """Every warning: of each cohort, of its patients, then of the trainings, and of networks by their test scores."""
    for cohort in contents.cohorts:
        infos = {check.subject: check.info for check in contents.checks if check.cohort == cohort.name}
        for patient, words in patient_warnings(cohort.regions, infos):
            yield Warned(
                cohort.title, f"{patient}: {words}" if patient else words, check_address(cohort.name, patient), False
            )
    for training, path in contents.losses.items():
        yield from (
            Warned(training, words, f"training/{training}", True)
            for words in warnings_of(csv.DictReader(read_csv(path)))
        )
    for run, words in one_sided(scores):
        training = _place(run)
        yield Warned(training, words, f"training/{training}" if training in contents.losses else "patients", True)


def _place(run: Mapping[str, Any]) -> str:
    """What the page calls the training of some scores: as the key of its losses."""
    training = f"seed{run['seed']}{fold_text(run['fold'])}{draw_text(run['draw'])}"
    names = [run[name] for name in ("cohort", "pair", "method", "modality")]
    return "/".join([*names, f"labels{percent(run['label_ratio'])}", training])
