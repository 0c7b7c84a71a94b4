"""What a training records of every epoch."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcd.csv_files import write_csv

if TYPE_CHECKING:
    import numpy as np

History = list[dict[str, Any]]
"""One row per epoch: `epoch`, `learning_rate`, its cost, its mean of every loss, and what the guards of a training say by then
(docs/reference/formats.md, "Losses")."""

Pictures = Callable[[], "dict[str, np.ndarray]"]
"""Makes example images of a training as it is now: name -> (slices, channels, H, W) float32 (`Method.pictures`)."""

Watch = Callable[[History, Pictures], None]
"""What is shown a training after every epoch, such as `mcd.reporting.figures.live.Live`."""

MEASURED = ("slices_per_second", "seconds", "memory_mib", "gpu_memory_mib", "device", "mcd_version", "weights_moved")
"""The columns in which two identical trainings differ; the last by rounding alone, which Adam's steps magnify."""

NOT_LOSSES = ("modality", "epochs", "epoch", "learning_rate", "steps", "targets_seen", "images", "warning", *MEASURED)

LIVE = ".losses.csv"
"""How the file of a training's losses so far ends, behind the name of its state (`mcd.reporting.figures.live.Live`)."""

LENGTH = ["steps", "targets_seen"]
"""Columns of a fine-tuning's history that say how long it was, in sum: its steps, and labelled slices with a target in their
batches (`mcd.segmentation.length`)."""

SEPARATOR = " | "
"""Between the sentences of one `warning`."""


def write_history(history: History, path: str | Path) -> None:
    """The losses as CSV with its digest, one row per epoch; the last column is `warning`, though most rows have none."""
    names = [*dict.fromkeys(name for row in history for name in row if name != "warning"), "warning"]
    write_csv([names, *([row.get(name, "") for name in names] for row in history)], path)


def seconds_left(seconds: Sequence[float], epochs: int) -> float:
    """How long the rest of `epochs` takes, going by the seconds of those that are done."""
    return sum(seconds) / len(seconds) * (epochs - len(seconds))


def warnings_of(history: Iterable[Mapping[str, Any]]) -> list[str]:
    """Each warning of a history, or of the rows of its CSV, with its modality, where it has one, and its epochs."""
    epochs: dict[tuple[str, str], list[int]] = {}
    for row in history:
        for sentence in filter(None, (row.get("warning") or "").split(SEPARATOR)):
            epochs.setdefault((row.get("modality", ""), sentence), []).append(int(row["epoch"]))
    return [
        f"{f'{modality}, ' if modality else ''}{_words(min(held), max(held))}: {sentence}"
        for (modality, sentence), held in epochs.items()
    ]


def _words(first: int, last: int) -> str:
    return f"epoch {first}" if first == last else f"epochs {first} to {last}"
