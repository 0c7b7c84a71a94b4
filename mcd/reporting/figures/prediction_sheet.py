"""One page on a new patient's prediction: slices with outlines, volumes, the networks used, and warnings. No torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mcd.imaging.preprocess import Preprocessed
from mcd.reporting.figures.style import (
    NORMAL,
    REGIONS,
    SMALL,
    TWO_COLUMNS,
    VERMILLION,
    figure,
    house_style,
    outline,
    save,
)

SLICES = 12
"""The largest number of slices shown."""

_PER_LINE = 6
_LINE = 3.2  # height in mm of a line of small type
_CHARACTERS = 165  # of small type in the width of the page


@house_style()
def draw_prediction(
    prepared: Preprocessed,
    masks: Mapping[str, np.ndarray],
    millilitres: Mapping[str, float],
    title: str,
    lines: Sequence[str],
    warnings: Sequence[str],
    path: str | Path,
) -> None:
    """Draw axial slices with a finding, spread over its height, each modality in rows of its own; PNG and PDF.

    The page shows the content of the crop, which is all that the networks saw.
    If nothing was found, slices are spread over the content, and the page says so.

    Args:
        masks: region -> (z, y, x) bool on the grid of `prepared`.
        millilitres: region -> volume in the file that was written.
        lines: small print below the title, such as one line per model.
        warnings: in colour, below that.
    """
    found = np.logical_or.reduce(list(masks.values()))
    shown = spread(np.flatnonzero((found if found.any() else prepared.region).any(axis=(1, 2))))
    small = [line for text in lines for line in wrap(text, _CHARACTERS)]
    red = [line for text in warnings for line in wrap(f"Warning: {text}", _CHARACTERS)]
    sheet = _sheet(prepared, len(shown), lines=1 + len(small) + len(red))
    modalities = np.split(sheet.panels, len(prepared.volumes))
    for modality, panels in zip(prepared.volumes, modalities, strict=True):
        _draw_modality(panels.ravel(), prepared, modality, masks, shown)
    found_in = ", ".join(f"{region} {ml:.1f} ml" for region, ml in millilitres.items())
    text = [(found_in if found.any() else "Nothing found.", "black")]
    text += [(line, "black") for line in small] + [(line, VERMILLION) for line in red]
    _write_head(sheet, title, text)
    handles = [
        Line2D([], [], color=colour, label=f"{region}: {millilitres[region]:.1f} ml")
        for colour, region in zip(_colours(masks), masks, strict=True)
    ]
    sheet.drawn.legend(handles=handles, loc="lower center", ncols=len(handles), fontsize=NORMAL)
    save(sheet.drawn, path, images=True)


class _Sheet(NamedTuple):
    drawn: Figure
    panels: np.ndarray  # (rows, slices a line) of axes
    height: float  # mm


def _sheet(prepared: Preprocessed, slices: int, lines: int) -> _Sheet:
    """An empty sheet with room for `slices` slices of each modality, and for `lines` lines of text above."""
    width, height, _ = prepared.grid.spacing
    rows_cut, columns_cut = _content(prepared.region)
    tall, wide = rows_cut.stop - rows_cut.start, columns_cut.stop - columns_cut.start
    rows = len(prepared.volumes) * -(-slices // _PER_LINE)
    side = (TWO_COLUMNS - 8) / _PER_LINE
    panel_height = side * tall * height / (wide * width)
    head = 9 + _LINE * lines
    total = head + rows * (panel_height + 4) + 7
    drawn = figure(total)
    drawn.set_layout_engine("none")
    panels = drawn.subplots(
        rows,
        _PER_LINE,
        squeeze=False,
        gridspec_kw={
            "left": 7 / TWO_COLUMNS,
            "right": 1 - 1 / TWO_COLUMNS,
            "top": 1 - (head + 3) / total,
            "bottom": 7 / total,
            "wspace": 0.03,
            "hspace": 4 / panel_height,
        },
    )
    for panel in panels.ravel():
        panel.axis("off")
    return _Sheet(drawn, panels, total)


def _draw_modality(
    panels: np.ndarray, prepared: Preprocessed, modality: str, masks: Mapping[str, np.ndarray], shown: Sequence[int]
) -> None:
    """The slices `shown` with the outlines of all masks, one panel each."""
    volume, region = prepared.volumes[modality], prepared.regions[modality]
    width, height, depth = prepared.grid.spacing
    cut = _content(prepared.region)
    low, high = np.percentile(volume[region], [1, 99])
    for panel, z in zip(panels, shown, strict=False):
        panel.imshow(
            np.where(region[z], volume[z], low)[cut],
            cmap="gray",
            vmin=low,
            vmax=high,
            aspect=height / width,
            interpolation="bilinear",
        )
        for colour, mask in zip(_colours(masks), masks.values(), strict=True):
            outline(panel, mask[z][cut], colour, 0.8)
        panel.set_title(f"{z * depth:.0f} mm", fontsize=SMALL, pad=1.5)
    first = panels[0]
    first.text(-0.04, 0.5, modality, rotation=90, ha="right", va="center", transform=first.transAxes, fontsize=NORMAL)


def _write_head(sheet: _Sheet, title: str, text: Sequence[tuple[str, str]]) -> None:
    """The title, and lines with their colours, the first of them larger."""
    left = 1 / TWO_COLUMNS
    sheet.drawn.text(left, 1 - 2 / sheet.height, title, fontsize=NORMAL + 2, weight="bold", va="top")
    for place, (line, colour) in enumerate(text):
        y = 1 - (7.5 + _LINE * place) / sheet.height
        sheet.drawn.text(left, y, line, fontsize=SMALL if place else NORMAL, color=colour, va="top")


def spread(slices: np.ndarray) -> list[int]:
    """At most `SLICES` of them, evenly."""
    count = min(SLICES, len(slices))
    return [int(z) for z in slices[np.linspace(0, len(slices) - 1, count).round().astype(int)]]


def _content(region: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns of a slice that have content anywhere in the volume, with a small margin."""
    found = []
    for axis in (1, 2):
        filled = np.flatnonzero(region.any(axis=tuple({0, 1, 2} - {axis})))
        found.append(slice(max(0, int(filled[0]) - 2), min(region.shape[axis], int(filled[-1]) + 3)))
    return found[0], found[1]


def _colours(masks: Mapping[str, np.ndarray]) -> list[str]:
    return [REGIONS[place % len(REGIONS)] for place in range(len(masks))]
