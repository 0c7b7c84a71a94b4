"""What a training records of every epoch."""

import csv
from pathlib import Path
from typing import Any

from mcd.files import atomic_path

History = list[dict[str, Any]]
"""One row per epoch: `epoch`, `learning_rate`, its cost, and its mean of every loss (docs/reference/formats.md, "Losses")."""


def write_history(history: History, path: str | Path) -> None:
    """The losses as CSV, one row per epoch."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(name for row in history for name in row)))
        writer.writeheader()
        writer.writerows(history)
