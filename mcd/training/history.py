"""What a training records of every epoch."""

from pathlib import Path
from typing import Any

from mcd.csv_files import write_csv

History = list[dict[str, Any]]
"""One row per epoch: `epoch`, `learning_rate`, its cost, and its mean of every loss (docs/reference/formats.md, "Losses")."""


def write_history(history: History, path: str | Path) -> None:
    """The losses as CSV with its digest, one row per epoch."""
    names = list(dict.fromkeys(name for row in history for name in row))
    write_csv([names, *([row.get(name) for name in names] for row in history)], path)
