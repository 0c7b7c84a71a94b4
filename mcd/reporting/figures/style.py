"""The common style of all figures: sizes in print, readable fonts, colours for every kind of colour vision.

A drawing function is decorated with `@house_style()`, takes its canvas from `figure` and ends with `save`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcd.files import atomic_path
from mcd.methods import METHODS

ONE_COLUMN, TWO_COLUMNS = 88, 180
"""Widths in mm in journals of two columns (IEEE: 88.9 and 181)."""

DPI = 300
SMALL, NORMAL = 6, 7  # points; below 6 is not readable in print

# Okabe and Ito's palette, for readers with any colour vision; its yellow is too pale for lines on white.
BLACK, ORANGE, SKY_BLUE, GREEN, BLUE, VERMILLION, PURPLE = (
    "#000000",
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
)

OUTLINES = ("#E69F00", "#56B4E9", "#F577C0", "#F0E442", "#00C08B", "#FF6A2B", "#A48BFF", "#9BE564")
"""Of the page's viewer: the same palette, brighter where a colour does not stand out from grey tissue on a screen."""

REGIONS = (ORANGE, SKY_BLUE, PURPLE, GREEN, VERMILLION, BLUE)
"""Outlines of a label's regions on a grey slice, in order."""


def region_colours(cohorts: Mapping[str, Iterable[str]], palette: Sequence[str] = REGIONS) -> dict[str, dict[str, str]]:
    """Cohort -> region -> its colour. Two cohorts' regions share none, as long as the palette lasts; then it begins again."""
    colours = cycle(palette)
    return {cohort: {region: next(colours) for region in regions} for cohort, regions in cohorts.items()}


EDGE: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.3}
"""Of a marker, so that overlapping ones can be told apart."""

AUXILIARY = "#888888"
"""Colour of lines that only connect or explain."""

house_style = partial(
    matplotlib.rc_context,
    {
        "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
        "text.parse_math": False,  # a title with a dollar sign is no formula
        "font.size": NORMAL,
        "axes.titlesize": NORMAL,
        "axes.labelsize": NORMAL,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "legend.fontsize": SMALL,
        "legend.title_fontsize": SMALL,
        "legend.frameon": False,
        "figure.titlesize": NORMAL + 1,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "grid.color": "#dddddd",
        "grid.linewidth": 0.5,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "lines.linewidth": 0.9,
        "lines.markersize": 3.5,
        "pdf.fonttype": 42,  # text stays text; journals refuse Type 3
    },
)
"""Decorator, or context, in which a figure is drawn and saved in this style."""

plain_text = partial(matplotlib.rc_context, {"text.parse_math": False})
"""The same for a picture with a style of its own."""


def figure(height: float, width: float = TWO_COLUMNS) -> Figure:
    """An empty white figure, `width` by `height` mm, with constrained layout."""
    return Figure(figsize=(width / 25.4, height / 25.4), layout="constrained", facecolor="white")


def outline(panel: Axes, mask: np.ndarray, colour: str, width: float, style: str = "solid") -> None:
    """Draw the border of a mask (H, W) over the image that `panel` shows, also along the image's edge."""
    if not mask.any():
        return
    panel.autoscale(False)  # the image's limits hold
    rows, columns = (np.arange(-1, length + 1) for length in mask.shape)
    panel.contour(columns, rows, np.pad(mask, 1), levels=[0.5], colors=[colour], linestyles=[style], linewidths=[width])


def save(drawn: Figure, path: str | Path, *, images: bool = False) -> None:
    """Write a figure as PNG (300 dpi) to `path` and as vector PDF beside it; the same figure gives the same bytes.

    `images` says whether it shows a patient's image, as in `mcd.files.atomic_path`.
    """
    path = Path(path)
    for target, metadata in ((path, {"Software": None}), (path.with_suffix(".pdf"), {"CreationDate": None})):
        with atomic_path(target, images=images) as temporary:
            drawn.savefig(temporary, dpi=DPI, metadata=metadata)


@dataclass(frozen=True)
class Look:
    """How a series is drawn. No two methods share both colour and marker, so that a black-and-white print is readable."""

    color: str
    marker: str
    linestyle: str = "-"
    linewidth: float = 0.8
    zorder: float = 2

    def line(self) -> dict[str, Any]:
        """Keywords of a line with markers."""
        return {**vars(self), **EDGE}


def _looks() -> dict[str, Look]:
    found = {
        "multi_condos": Look(VERMILLION, "o", linewidth=1.8, zorder=4),
        "fully_supervised": Look(BLACK, "s", "--", linewidth=1.4, zorder=3),
        "sl2": Look(GREEN, "*", ":"),  # these two are shown beside Cycle-GAN and Multi-Con in Fig. 6
        "sl3": Look(SKY_BLUE, "d", ":"),
    }
    lines = {"Self-supervised": "-", "Semi-supervised": "-."}
    others = [key for key in METHODS if key not in found]
    colours = cycle([BLUE, ORANGE, GREEN, PURPLE, SKY_BLUE])
    markers = cycle(["^", "v", "D", "p", "X", "<", ">", "h", "P", "*", "d"])  # eleven and five have no common factor
    taken = {(look.color, look.marker) for look in found.values()}
    free = (pair for pair in zip(colours, markers, strict=False) if pair not in taken)
    for key, (colour, marker) in zip(others, free, strict=False):
        found[key] = Look(colour, marker, lines.get(METHODS[key].group, ":"))
    return found


LOOKS: dict[str, Look] = _looks()
"""Method key -> its look, the same in every figure."""

MODALITIES = (Look(BLUE, "o"), Look(ORANGE, "^"))
"""The first and the second of a pair."""

SERIES = [Look(VERMILLION, "o"), Look(BLUE, "^"), Look(ORANGE, "D"), Look(GREEN, "v"), Look(PURPLE, "P")]
"""For series other than methods, in order."""
