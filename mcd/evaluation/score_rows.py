"""Writing a score file: one row per patient and region (docs/reference/formats.md, "Scores").

Separate from reading (`mcd.evaluation.scores`), because a scoring job takes less time than loading pandas.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from mcd.csv_files import write_csv
from mcd.evaluation.metrics import METRIC_KEYS
from mcd.training.history import LENGTH

RUN = ["cohort", "pair", "modality", "method", "label_ratio"]  # what identifies a mean
TRAINING = ["seed", "draw"]  # of each of the trainings that it is over; 0 is the first draw of the labelled patients
FOLD = "fold"  # in which the subject was tested; rows of a cohort with one split need none
IDENTITY = [*RUN, *TRAINING, "subject", "region"]
COLUMNS = [*IDENTITY, *METRIC_KEYS]
PERSON = "person"  # whose scan the subject is; rows of subjects who are persons of their own need none
VERSION = "mcd_version"  # the versions of the code that the row went through (`mcd.version.lineage`)

DECIMALS = 6  # far more than a mean can resolve


def write_scores(rows: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Write rows that hold every key of `COLUMNS` as a CSV with its digest; an undefined score is an empty cell.

    Rows that name no draw are of the first. Rows that know their `FOLD`, `PERSON`, `VERSION` and `LENGTH` have them in columns
    before the scores.
    """
    known = [*IDENTITY, *(column for column in (FOLD, PERSON, VERSION, *LENGTH) if rows and column in rows[0])]
    rows = [{"draw": 0, **row} for row in rows]
    cells = ([*(row[key] for key in known), *(_cell(row[key]) for key in METRIC_KEYS)] for row in rows)
    write_csv(chain([[*known, *METRIC_KEYS]], cells), path)


def _cell(score: float) -> float | str:
    """A score as pandas would write it."""
    return "" if math.isnan(score) else float(np.round(score, DECIMALS))
