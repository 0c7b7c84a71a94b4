"""Trainings whose networks outline nearly nothing, or nearly everything: mean scores hide both, where all rows are low.

Judged by the scores of all test patients who have a region. Both limits are our choice.
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from mcd.evaluation.score_rows import FOLD, RUN, TRAINING

NOTHING = 0.01
"""Sensitivity that no patient reaches: stray voxels count as nothing."""

EVERYTHING = 10
"""Times as many voxels as there are, in the median patient: a tumour is a smaller part of an image. One patient with a small
tumour says nothing: networks that outlined others well outlined 15 to 30 times as much."""

FOUND = 0.999
"""Sensitivity in every patient that only a network which outlines all around has, if it outlines twice as much or more: by this
a region is judged that is a larger part of an image."""


def one_sided(scores: pd.DataFrame) -> Iterator[tuple[dict[str, Any], str]]:
    """(`RUN`, `TRAINING` and `FOLD`, what it does) of each network that outlines nearly nothing or everything of a region.

    `scores` are those of `read_scores`. A region's predicted voxels are sensitivity / PPV times as many as there are.
    """
    held = scores[scores["Sen"].notna()]
    keys = [*RUN, *TRAINING, FOLD]
    for names, rows in held.groupby(keys, sort=False):
        said: dict[str, list[str]] = {}
        for region, own in rows.groupby("region", sort=False):
            if words := _judged(own):
                said.setdefault(words, []).append(str(region))
        for words, regions in said.items():
            yield dict(zip(keys, names, strict=True)), f"{', '.join(regions)}: {words}"


def _judged(rows: pd.DataFrame) -> str | None:
    """What is wrong with one training's outlines of a region, if anything."""
    patients, only = f"{len(rows)} test patients", "the only test patient" if len(rows) == 1 else ""
    if rows["PPV"].isna().all():
        return f"the network outlines nothing in {only or f'any of {patients}'}"
    if rows["Sen"].max() < NOTHING:
        return f"the network finds nothing: sensitivity below {NOTHING:g} in {only or f'each of {patients}'}"
    times = rows["Sen"] / rows["PPV"].where(rows["PPV"] > 0)
    if times.median() >= EVERYTHING or (rows["Sen"].min() >= FOUND and times.min() >= 2):
        much = f"{times.median():.3g} times as much as there is"
        return f"the network outlines nearly everything: {much}{f' in {only}' if only else f' (median of {patients})'}"
    return None
