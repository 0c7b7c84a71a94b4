"""Every training: its losses as small curves, with the epochs marked in which something was wrong."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from math import isfinite
from typing import Any

from mcd.csv_files import read_csv
from mcd.reporting.page.contents import PageContents
from mcd.reporting.page.elements import View
from mcd.training.history import NOT_LOSSES, warnings_of

WIDTH, HEIGHT = 150, 34  # of a curve, in pixels
POINTS = 75  # of a curve: one for two pixels

History = Sequence[Mapping[str, str]]


def training_view(contents: PageContents) -> View | None:
    """The view; a block for each method, and in it a row for each training and modality."""
    if not contents.losses:
        return None
    blocks: dict[str, list[dict[str, Any]]] = {}
    for place, path in contents.losses.items():
        history = list(csv.DictReader(read_csv(path)))
        training = {"place": place, "curves": list(_rows(history)), "warnings": warnings_of(history)}
        blocks.setdefault(_method(place, contents), []).append(training)
    return View.of("training", "Training", "training", blocks=blocks, width=WIDTH, height=HEIGHT)


def _method(place: str, contents: PageContents) -> str:
    """The method's label, of a place `brats/T1CE-T2/pretraining/simclr/seed0` or `brats/T1CE-T2/simclr/T2/labels5/seed0`."""
    parts = place.split("/")
    name = parts[3] if parts[2:3] == ["pretraining"] else parts[2] if len(parts) > 2 else place
    return contents.methods.get(name, {}).get("label", name)


def _rows(history: History) -> Iterator[dict[str, Any]]:
    """Each modality's history, where there are several: its name, epochs, and every loss as a curve."""
    for modality, own in groupby(history, key=lambda row: row.get("modality", "")):
        rows = list(own)
        names = [name for name in rows[0] if name not in NOT_LOSSES]
        marked = [place for place, row in enumerate(rows) if row.get("warning")]
        yield {
            "modality": modality,
            "epochs": len(rows),
            "losses": [_curve(name, [float(row[name] or "nan") for row in rows]) for name in names],
            "marks": [round(_across(place, len(rows)), 1) for place in marked],
        }


def _curve(name: str, values: Sequence[float]) -> dict[str, str]:
    """A loss as a polyline between its own extremes, and its first and last value."""
    known = [value for value in values if isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    step = max(1, -(-len(values) // POINTS))
    places = sorted({*range(0, len(values), step), len(values) - 1})
    points = [
        f"{_across(place, len(values)):.1f},{_down(values[place], low, high):.1f}"
        for place in places
        if isfinite(values[place])
    ]
    first, last = (f"{known[0]:.3g}", f"{known[-1]:.3g}") if known else ("–", "–")
    return {"name": name.replace("_", " "), "points": " ".join(points), "first": first, "last": last}


def _across(place: int, length: int) -> float:
    return 2 + (WIDTH - 4) * (place / (length - 1) if length > 1 else 0.5)


def _down(value: float, low: float, high: float) -> float:
    return 2 + (HEIGHT - 4) * (1 - (value - low) / (high - low) if high > low else 0.5)
