"""A training's losses and their curves while it runs."""

import time
from pathlib import Path

from mcd.training.history import LIVE, History, Pictures, write_history

EVERY = 5.0
"""Seconds between two looks at most: a short training writes little, and never loads what draws."""

DRAWN_AFTER = 30.0


class Live:
    """Writes `<place>.losses.csv` and draws `<place>.losses.png`, after an epoch, now and then.

    Args:
        place: a training's state in the folder of all states, where nothing is taken for a result, and where what is left of
            trainings that are done is removed.
        epochs: of the whole training; a column of the CSV, beside those of a finished training's losses.
    """

    def __init__(self, place: str | Path, epochs: int) -> None:
        self.losses, self.curves = Path(f"{place}{LIVE}"), Path(f"{place}.losses.png")
        self.epochs = epochs
        self._begun = self._shown = time.monotonic()

    def __call__(self, history: History, _: Pictures) -> None:
        now = time.monotonic()
        if now - self._shown < EVERY:
            return
        self._shown = now
        self.losses.parent.mkdir(parents=True, exist_ok=True)
        write_history([{"epochs": self.epochs, **row} for row in history], self.losses)
        if now - self._begun >= DRAWN_AFTER:
            from mcd.reporting.figures.loss_curves import draw_curves  # loads matplotlib, for long trainings alone

            draw_curves(self.losses, self.curves)

    def end(self) -> None:
        """Remove both: the training is done, and its losses are where they belong."""
        for path in (self.losses, self.curves):
            path.unlink(missing_ok=True)
