"""The numbers that the paper prints in its Tables II to IX.

Zhang et al., "Multi-ConDoS: Multimodal Contrastive Domain Sharing Generative Adversarial Networks for Self-Supervised
Medical Image Segmentation", IEEE Transactions on Medical Imaging, 2023. They are shown beside ours on the paper's own
cohorts, and the claims are tested on them; no result of a run depends on them.
"""

from functools import cache
from pathlib import Path

import pandas as pd

from mcd.errors import McdError

# What a reader who compares numbers should know; shown below a table with the paper's numbers.
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
        "Multi-DoS at 5 % differs from its numbers in V, where it is L_GAN+L_T+L_R, in all modalities but FLAIR.",
    ),
    "V": (
        "On T1CE at 5 % the sensitivity of the full loss is 0.5775 in V and III, 0.5747 in II.",
        "L_GAN+L_T+L_R with shared layers is Multi-DoS, but differs from its numbers in III, in all modalities but FLAIR.",
    ),
    "VI": (
        "For Rotation, Jigsaw, M-Jigsaw, Exemplar and MT the paper repeats T1CE's number under T2, in one metric or both.",
        "The row of Fully Supervised is missing in the paper.",
    ),
    "VIII": (
        "On T1 the full transfer has DSC/Sen 0.3749/0.6149 in VIII and II, but Multi-ConDoS 0.3586/0.4871 in III.",
    ),
    "IX": (
        "The paper’s hours are from its own machine (8 GeForce RTX 2080, torch 1.6; Sec. V): compare the order of the methods, "
        "not the hours. It does not say whether those on BraTS are for one pair or for both; ours are for both.",
    ),
}

# Different names of the same method: Tables V and VIII name methods of II and III by their losses or layers.
SAME = {
    "Training from scratch": "Fully Supervised",
    "L_GAN+L_T+L_R": "Multi-DoS",
    "L_GAN+L_T+L_R+L_C": "Multi-ConDoS",
    "Encoder_SL_D3": "Multi-ConDoS",
}
CELL = ["dataset", "modality", "method", "label_ratio", "metric"]  # what identifies a number of a table


def reported(table: str) -> pd.DataFrame:
    """The numbers of one table, "II" to "IX": columns dataset, modality, method, label_ratio, metric, value.

    `value` is NaN where the paper has a dash; `label_ratio` and `modality` are empty where the table has none.
    Raises `McdError` for a table that is not among them.
    """
    numbers = _numbers()
    if table not in set(numbers["table"]):
        raise McdError(
            f"paper table {table!r}: the paper's tables with results are {', '.join(numbers['table'].unique())}"
        )
    return numbers[numbers["table"] == table].drop(columns="table").reset_index(drop=True)


@cache
def doubtful(table: str) -> dict[tuple[str, str, str, float, str], str]:
    """Cells of a table (`CELL`) whose number the paper itself puts in doubt -> why, in words.

    Either another table prints another number for the same thing, or the number is that of another modality (Table VI).
    """
    numbers = _numbers().dropna(subset=["value", "label_ratio"])  # neither translation nor time, which are printed once
    numbers = numbers.assign(thing=numbers["method"].replace(SAME))
    found: dict[tuple[str, str, str, float, str], str] = {}
    for _, group in numbers.groupby(["dataset", "modality", "thing", "label_ratio", "metric"]):
        if group["value"].nunique() > 1:
            for row in group[group["table"] == table].itertuples():
                others = group[group["value"] != row.value]
                where = ", ".join(
                    f"{value:.4f} in {name}" for name, value in zip(others["table"], others["value"], strict=True)
                )
                found[tuple(getattr(row, name) for name in CELL)] = f"{row.value:.4f} here, {where}"
    own = numbers[numbers["table"] == table]
    for _, group in own.groupby(["dataset", "method", "label_ratio", "metric", "value"]):
        for row in group.iloc[1:].itertuples():
            found[tuple(getattr(row, name) for name in CELL)] = f"the same number as {group['modality'].iloc[0]}"
    return found


@cache
def _numbers() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).with_name("reported_results.csv"))
