"""The numbers that the paper prints in its tables II to IX.

Zhang et al., "Multi-ConDoS: Multimodal Contrastive Domain Sharing Generative Adversarial Networks for Self-Supervised
Medical Image Segmentation", IEEE Transactions on Medical Imaging, 2023. They are for showing beside our own on the
paper's own cohorts, and for nothing else: no computation here depends on them.
"""

from functools import cache
from pathlib import Path

import pandas as pd

from mcd.errors import McdError

# What a reader who compares numbers should know; shown below a table that shows the paper's.
ERRATA: dict[str, tuple[str, ...]] = {
    "II": (
        "On T1 at 10 % the paper's tables disagree: Multi-ConDoS has DSC/Sen 0.3749/0.6149 in II and VIII, 0.3586/0.4871 "
        "in III; Fully Supervised 0.2476/0.3287 in II and VIII, 0.2798/0.3934 in III.",
        "On T1CE at 5 % the sensitivity of Multi-ConDoS is 0.5747 in II, 0.5775 in III and V.",
    ),
    "III": (
        "On T1 at 10 % the paper's tables disagree: Multi-ConDoS has DSC/Sen 0.3586/0.4871 in III, 0.3749/0.6149 in II "
        "and VIII; Fully Supervised 0.2798/0.3934 in III, 0.2476/0.3287 in II and VIII.",
        "On T1CE at 5 % the sensitivity of Multi-ConDoS is 0.5775 in III and V, 0.5747 in II.",
    ),
    "V": ("On T1CE at 5 % the sensitivity of the full loss is 0.5775 in V and III, 0.5747 in II.",),
    "VI": (
        "For Rotation, Jigsaw, M-Jigsaw and MT the paper repeats T1CE's number under T2, in one metric or both.",
        "The row of Fully Supervised is missing in print.",
    ),
    "VIII": (
        "On T1 the full transfer has DSC/Sen 0.3749/0.6149 in VIII and II, but Multi-ConDoS 0.3586/0.4871 in III.",
    ),
}


def reported(table: str) -> pd.DataFrame:
    """The numbers of one table, "II" to "IX": columns dataset, modality, method, label_ratio, metric, value.

    `value` is NaN where the print has a dash; `label_ratio` and `modality` are empty where the table has none.
    Raises `McdError` for a table that is not among them.
    """
    numbers = _numbers()
    if table not in set(numbers["table"]):
        raise McdError(
            f"paper table {table!r}: the paper's tables with results are {', '.join(numbers['table'].unique())}"
        )
    return numbers[numbers["table"] == table].drop(columns="table").reset_index(drop=True)


@cache
def _numbers() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).with_name("reported_results.csv"))
