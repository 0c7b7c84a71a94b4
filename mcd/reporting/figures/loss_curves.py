"""Training curves as a picture. No pandas: a training that draws them would take longer to load it than to draw."""

import csv
from collections import defaultdict
from pathlib import Path

from matplotlib.figure import Figure

from mcd.csv_files import read_csv
from mcd.files import atomic_path
from mcd.training.history import NOT_LOSSES


def draw_curves(losses_csv: str | Path, path: str | Path) -> None:
    """One small panel per loss, over epochs; one line per modality if each was trained separately."""
    groups: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in csv.DictReader(read_csv(losses_csv)):
        groups[row.get("modality", "")].append(row)
    names = dict.fromkeys(name for rows in groups.values() for name in rows[0])
    losses = [name for name in names if name not in NOT_LOSSES]
    figure = Figure(figsize=(2.6 * len(losses) + 0.6, 2.4), layout="constrained")
    for panel, name in zip(figure.subplots(1, len(losses), squeeze=False)[0], losses, strict=True):
        for label, rows in groups.items():
            values = [float(row[name] or "nan") for row in rows]
            epochs = [int(row["epoch"]) for row in rows]
            panel.plot(epochs, values, marker="." if len(rows) < 25 else "", label=label or None)
        panel.set_title(name.replace("_", " "), fontsize=9)
        panel.set_xlabel("epoch", fontsize=8)
        panel.tick_params(labelsize=7)
        panel.grid(alpha=0.3)
        if any(groups):
            panel.legend(fontsize=7)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)
