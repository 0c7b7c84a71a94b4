"""Scores apart for each centre or scanner of the test patients."""

from collections.abc import Mapping, Sequence

import pandas as pd

from mcd.evaluation.metrics import METRIC_KEYS
from mcd.evaluation.score_rows import PERSON, RUN, TRAINING


def by_trait(
    scores: pd.DataFrame, traits: Mapping[str, Mapping[str, str]], name: str, metrics: Sequence[str] = METRIC_KEYS
) -> pd.DataFrame:
    """Means over the patients of one centre or scanner, one row for each `RUN`, centre or scanner, and metric.

    Args:
        scores: of `mcd.evaluation.scores.read_scores`.
        traits: cohort -> subject -> its centre or scanner; subjects of whom it is not known are left out.
        name: of the column: `centre` or `scanner`.

    Returns:
        Columns `RUN`, `name`, `metric`, `value` (mean over patients of the mean over regions, scans and then trainings), `sd`
        (over patients; NaN for one), `patients` (with a defined score).
    """
    known = [
        traits.get(cohort, {}).get(subject) for cohort, subject in zip(scores["cohort"], scores["subject"], strict=True)
    ]
    units = {name: known, "patient": scores.get(PERSON, scores["subject"])}
    rows = scores.assign(**units).dropna(subset=name)
    key = [*RUN, name, "metric"]
    values = rows.melt([*RUN, name, *TRAINING, "patient"], list(metrics), var_name="metric")
    for over in (["patient", *TRAINING], ["patient"]):
        values = values.groupby([*key, *over], sort=False, as_index=False)["value"].mean()
    return values.groupby(key, sort=False)["value"].agg(value="mean", sd="std", patients="count").reset_index()
