"""A score file as it is written: one row per patient and region (docs/reference/formats.md, "Scores").

Apart from reading (`mcd.evaluation.scores`), because a scoring job is over in less time than pandas takes to load.
"""

import math
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from mcd.csv_files import write_csv
from mcd.evaluation.metrics import METRIC_KEYS

RUN = ["cohort", "pair", "modality", "method", "label_ratio"]  # what a mean is taken for; a run also has a seed
IDENTITY = [*RUN, "seed", "subject", "region"]
COLUMNS = [*IDENTITY, *METRIC_KEYS]

DECIMALS = 6  # far below what a mean can resolve


def write_scores(rows: Iterable[Mapping[str, Any]], path: str | Path) -> None:
    """Write rows that hold every key of `COLUMNS` as a CSV with its digest; an undefined score is an empty cell."""
    cells = ([*(row[key] for key in IDENTITY), *(_cell(row[key]) for key in METRIC_KEYS)] for row in rows)
    write_csv(chain([COLUMNS], cells), path)


def _cell(score: float) -> float | str:
    """A score as pandas would write it."""
    return "" if math.isnan(score) else float(np.round(score, DECIMALS))
