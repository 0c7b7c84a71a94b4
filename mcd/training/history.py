"""What a training records of every epoch."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mcd.files import atomic_path

History = list[dict[str, Any]]
"""One row per epoch: `epoch`, `learning_rate`, its cost, its mean of every loss, and what the guards of a training say by then
(docs/reference/formats.md, "Losses")."""

SEPARATOR = " | "
"""Between the sentences of one `warning`."""


def write_history(history: History, path: str | Path) -> None:
    """The losses as CSV, one row per epoch."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(name for row in history for name in row)))
        writer.writeheader()
        writer.writerows(history)


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
