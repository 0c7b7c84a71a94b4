"""Fig. 4: translations and reconstructions of a slice, beside the real one and with error maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from mcd.errors import McdError
from mcd.reporting.figures.style import NORMAL, SMALL, TWO_COLUMNS, figure, house_style, save
from mcd.translation.examples import Examples, read_examples

LARGEST_ERROR = 0.5
"""Upper end of the error's colour scale, as a share of the real volume's range."""

ROWS = ((2, "{0}′\nfrom {1}"), (4, "{0}″\nfrom {1}′"), (3, "{1}′\nfrom {0}"), (5, "{1}″\nfrom {0}′"))
"""Positions in `Examples.images` in the order drawn, with their names for a pair (X, Y)."""

NAMES, HEAD, BETWEEN, FOOT = 15, 6, 6, 13  # mm left of the panels, above, between pairs and below


@dataclass(frozen=True)
class Translated:
    """One pre-training's examples, with everything needed to draw them."""

    cohort: str
    pair: str
    examples: str | Path
    method: str  # display name
    cohort_label: str  # says whether it is simulated


@house_style()
def draw_translations(shown: Sequence[Translated], path: str | Path) -> None:
    """Fig. 4: four rows per pair (both translations, both reconstructions); the real slice, then image and error per method.

    Grey levels run from the lowest to the highest value of the patient's real volume, the same for all images of a row; the
    error is in per cent of that range. Panels of a method without reconstructions stay empty.
    """
    methods = list(dict.fromkeys(made.method for made in shown))
    pairs = list(dict.fromkeys((made.cohort, made.pair) for made in shown))
    labels = {(made.cohort, made.pair): made.cohort_label for made in shown}
    found = {(made.cohort, made.pair, made.method): read_examples(made.examples) for made in shown}
    for pair in pairs:
        if len({_slice(found, pair, method) for method in methods}) > 1:
            raise McdError(
                f"{path}: the methods' examples of {' '.join(pair)} show different slices; delete them to regenerate them"
            )
    sheet = _Sheet.of(len(pairs), len(methods))
    errors = None
    top = sheet.height - HEAD
    for pair in pairs:
        made = [found[(*pair, method)] for method in methods]
        words = f"{labels[pair]}, {pair[1]}, patient {made[0].subject}, slice {made[0].row}"
        sheet.write(0.5, top - BETWEEN / 2, words, va="center", fontsize=SMALL, fontweight="bold")
        top -= BETWEEN
        for index, name in ROWS:
            top -= sheet.side
            errors = _draw_row(sheet.line(top), made, index, name) or errors
    for place, name in enumerate(["real", *methods]):
        middle = NAMES + sheet.side * (0.5 if place == 0 else 2 * place)
        sheet.write(middle, sheet.height - HEAD / 2, name, ha="center", va="center", fontsize=NORMAL)
    _scale(sheet, errors)
    save(sheet.drawn, path, images=True)


@dataclass(frozen=True)
class _Sheet:
    """A figure that is laid out by hand in mm, like Fig. 2."""

    drawn: Figure
    width: float
    height: float
    side: float  # of a panel
    columns: int

    @classmethod
    def of(cls, pairs: int, methods: int) -> "_Sheet":
        columns = 1 + 2 * methods
        side = min(20, (TWO_COLUMNS - NAMES - 1) / columns)
        width = NAMES + side * columns + 1
        height = HEAD + pairs * (BETWEEN + side * len(ROWS)) + FOOT
        drawn = figure(height, width)
        drawn.set_layout_engine("none")
        return cls(drawn, width, height, side, columns)

    def write(self, x: float, y: float, words: str, **style: Any) -> None:
        self.drawn.text(x / self.width, y / self.height, words, **style)

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        return self.drawn.add_axes((x / self.width, y / self.height, width / self.width, height / self.height))

    def line(self, bottom: float) -> list[Axes]:
        """Empty panels side by side, without ticks and frame."""
        panels = [
            self.axes(NAMES + self.side * column, bottom, 0.96 * self.side, 0.96 * self.side)
            for column in range(self.columns)
        ]
        for panel in panels:
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
        return panels


def _draw_row(panels: Sequence[Axes], made: Sequence[Examples], index: int, name: str) -> AxesImage | None:
    """Draw the real slice, then each method's image and error; return one of the errors, since all share their colours."""
    errors = None
    _grey(panels[0], made[0], index % 2)
    panels[0].set_ylabel(name.format(*made[0].modalities), rotation=0, ha="right", va="center", fontsize=SMALL)
    for examples, image, error in zip(made, panels[1::2], panels[2::2], strict=True):
        if np.isnan(examples.images[index]).any():
            image.set_axis_off()
            error.set_axis_off()
            continue
        _grey(image, examples, index)
        errors = error.imshow(
            100 * examples.error(index),
            cmap="inferno",
            vmin=0,
            vmax=100 * LARGEST_ERROR,
            aspect=examples.spacing[0] / examples.spacing[1],
            interpolation="nearest",
        )
    return errors


def _slice(found: dict[tuple[str, str, str], Examples], pair: tuple[str, str], method: str) -> tuple[str, int]:
    try:
        examples = found[(*pair, method)]
    except KeyError:
        raise McdError(f"Fig. 4: no translation of {' '.join(pair)} by {method}; run it") from None
    return examples.subject, examples.row


def _grey(panel: Axes, examples: Examples, index: int) -> None:
    aspect = examples.spacing[0] / examples.spacing[1]
    panel.imshow(examples.grey(index), cmap="gray", vmin=0, vmax=1, aspect=aspect, interpolation="nearest")


def _scale(sheet: _Sheet, errors: AxesImage | None) -> None:
    """The colour scale of the error, below everything."""
    bar = sheet.axes(sheet.width - 45, 6, 42, 2)
    sheet.drawn.colorbar(errors, cax=bar, orientation="horizontal", extend="max")  # type: ignore[arg-type]
    bar.grid(False)
    words = "right of each image: absolute error, in % of the real volume’s range"
    sheet.write(sheet.width - 48, 7, words, ha="right", va="center", fontsize=SMALL)
