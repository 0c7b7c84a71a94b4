"""Fig. 4: what the generators make of a slice, beside the real one and with maps of the error."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcd.errors import McdError
from mcd.reporting.figures.style import NORMAL, SMALL, TWO_COLUMNS, figure, house_style, save
from mcd.translation.examples import Examples, read_examples

LARGEST_ERROR = 0.5
"""Where the colours of the error end, in parts of the real volume's range."""

ROWS = ((2, "{0}′\nfrom {1}"), (4, "{0}″\nfrom {1}′"), (3, "{1}′\nfrom {0}"), (5, "{1}″\nfrom {0}′"))
"""Positions in `Examples.images` in the order drawn, with their names for a pair (X, Y)."""


@dataclass(frozen=True)
class Translated:
    """One pre-training's examples, with what it takes to show them."""

    cohort: str
    pair: str
    examples: str | Path
    method: str  # display name
    cohort_label: str  # says whether it is simulated


@house_style()
def draw_translations(shown: Sequence[Translated], path: str | Path) -> None:
    """Fig. 4: four rows a pair (both translations, both reconstructions); the real slice, then image and error a method.

    Grey levels run from the lowest to the highest value of the patient's real volume, the same for all images of a row; the
    error is in per cent of that range. A method that makes no reconstructions has none.
    """
    methods = list(dict.fromkeys(made.method for made in shown))
    pairs = list(dict.fromkeys((made.cohort, made.pair) for made in shown))
    found = {(made.cohort, made.pair, made.method): read_examples(made.examples) for made in shown}
    labels = {(made.cohort, made.pair): made.cohort_label for made in shown}
    for pair in pairs:
        slices = {_slice(found, pair, method) for method in methods}
        if len(slices) > 1:
            raise McdError(
                f"{path}: the methods' examples of {' '.join(pair)} show different slices; delete them to regenerate them"
            )
    # In mm, by hand, as Fig. 2.
    names, head, between, foot = 15, 6, 6, 13
    count = 1 + 2 * len(methods)
    side = min(20, (TWO_COLUMNS - names - 1) / count)
    width = names + side * count + 1
    height = head + len(pairs) * (between + side * len(ROWS)) + foot
    drawn = figure(height, width)
    drawn.set_layout_engine("none")
    errors = None
    top = height - head
    for pair in pairs:
        first = found[(*pair, methods[0])]
        drawn.text(
            0.5 / width,
            (top - between / 2) / height,
            f"{labels[pair]}, {pair[1]}, patient {first.subject}, slice {first.row}",
            va="center",
            fontsize=SMALL,
            fontweight="bold",
        )
        top -= between
        for index, name in ROWS:
            top -= side
            panels = [
                drawn.add_axes(
                    ((names + side * column) / width, top / height, 0.96 * side / width, 0.96 * side / height)
                )
                for column in range(count)
            ]
            _grey(panels[0], first, index % 2)
            panels[0].set_ylabel(name.format(*first.modalities), rotation=0, ha="right", va="center", fontsize=SMALL)
            for place, method in enumerate(methods):
                made = found[(*pair, method)]
                image, error = panels[1 + 2 * place : 3 + 2 * place]
                if np.isnan(made.images[index]).any():
                    image.set_axis_off()
                    error.set_axis_off()
                    continue
                _grey(image, made, index)
                errors = error.imshow(
                    100 * made.error(index),
                    cmap="inferno",
                    vmin=0,
                    vmax=100 * LARGEST_ERROR,
                    aspect=made.spacing[0] / made.spacing[1],
                    interpolation="nearest",
                )
            for panel in panels:
                panel.set(xticks=[], yticks=[])
                panel.spines[:].set_visible(False)
    for place, name in enumerate(["real", *methods]):
        middle = 0.5 if place == 0 else 2 * place
        drawn.text(
            (names + side * middle) / width,
            (height - head / 2) / height,
            name,
            ha="center",
            va="center",
            fontsize=NORMAL,
        )
    _scale(drawn, errors, width, height)
    save(drawn, path)


def _slice(found: dict[tuple[str, str, str], Examples], pair: tuple[str, str], method: str) -> tuple[str, int]:
    try:
        examples = found[(*pair, method)]
    except KeyError:
        raise McdError(f"Fig. 4: no translation of {' '.join(pair)} by {method}; run it") from None
    return examples.subject, examples.row


def _grey(panel: Axes, examples: Examples, index: int) -> None:
    aspect = examples.spacing[0] / examples.spacing[1]
    panel.imshow(examples.grey(index), cmap="gray", vmin=0, vmax=1, aspect=aspect, interpolation="nearest")


def _scale(drawn: Figure, errors: object, width: float, height: float) -> None:
    """The colours of the error, below everything."""
    bar = drawn.add_axes(((width - 45) / width, 6 / height, 42 / width, 2 / height))
    drawn.colorbar(errors, cax=bar, orientation="horizontal", extend="max")  # type: ignore[arg-type]
    bar.grid(False)
    words = "right of each image: absolute error, in % of the real volume’s range"
    drawn.text((width - 48) / width, 7 / height, words, ha="right", va="center", fontsize=SMALL)
