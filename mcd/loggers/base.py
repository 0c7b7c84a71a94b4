"""What a training shows to TensorBoard, Weights & Biases or MLflow (`compute.logger`), and what each of them is asked for.

Each is a module of this package, named as in the configuration and as the library that it needs, with one class, `Writer`. It
is loaded for those who ask for it alone. Nothing leaves this machine unless the library's own variables say so.
"""

import logging
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Protocol

import numpy as np

from mcd.errors import McdError, first_line
from mcd.files import access_mode, explained
from mcd.records import LOGS
from mcd.training.history import NOT_LOSSES, History, Pictures, Watch

log = logging.getLogger(__name__)

LOGGER = "MCD_LOGGER"
"""The environment variable by which a configuration's `compute.logger` reaches every job, since no parameter of a rule may be
changed by it."""

PICTURES = 10
"""About how many epochs of a training are shown in example images, the first and the last among them."""


class Writer(Protocol):
    """One run of a tracker, from its first epoch on.

    Args:
        folder: of all runs, for what is written here.
        run: its name, with slashes.
    """

    def __init__(self, folder: Path, run: str) -> None: ...

    def losses(self, epoch: int, values: Mapping[str, float]) -> None:
        """Take the losses of an epoch, from 1."""

    def picture(self, epoch: int, name: str, pixels: np.ndarray) -> None:
        """Take an example image, (H, W) uint8."""

    def close(self) -> None:
        """The training is done."""


def check_installed(logger: str | None) -> None:
    """Raise `McdError` for a logger whose library is not installed."""
    if logger and find_spec(logger) is None:
        raise McdError(f"compute.logger: {logger} is not installed; pip install {logger}, or leave the key out")


class Logged:
    """A `Watch` that hands on what it is shown. Modalities that are trained one after the other are runs of their own.

    A training that was interrupted, and resumes, hands on all its losses again, with which those from before are replaced or,
    where the tracker keeps them, repeated in a run of the same name. A tracker that fails later, such as one whose server is
    gone, is given up with a warning: no training ends for it.

    Args:
        epochs: of a whole training; its run is closed after the last.

    Raises:
        McdError: where the library is not installed, or the folder cannot be made.
    """

    def __init__(self, logger: str, folder: str | Path, run: str, epochs: int) -> None:
        check_installed(logger)
        self.logger, self.folder, self.run, self.epochs = logger, Path(folder), run, epochs
        every = max(epochs // PICTURES, 1)
        self._pictured = {1, *range(every, epochs + 1, every), epochs}
        self._writer: Writer | None = None
        self._logged = 0
        self._given_up = False

    def __call__(self, history: History, pictures: Pictures) -> None:
        if self._given_up:
            return
        try:
            self._hand_on(history, pictures)
        except McdError:
            raise
        except Exception as error:  # whatever a library or its server raises
            log.warning("%s: given up for this training (%s)", self.logger, first_line(error))
            self._given_up = True

    def _hand_on(self, history: History, pictures: Pictures) -> None:
        modality = history[-1].get("modality", "")
        rows = [row for row in history if row.get("modality", "") == modality]
        if self._writer is None:
            self._writer, self._logged = self._opened(modality), 0
        for row in rows[self._logged :]:
            values = {name: float(value) for name, value in row.items() if name not in NOT_LOSSES}
            self._writer.losses(row["epoch"], {**values, "learning_rate": row["learning_rate"]})
        self._logged = len(rows)
        epoch = rows[-1]["epoch"]
        if epoch in self._pictured:
            for name, images in pictures().items():
                self._writer.picture(epoch, name, sheet(images))
        if epoch == self.epochs:
            self._writer.close()
            self._writer = None

    def _opened(self, modality: str) -> Writer:
        with explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(access_mode(images=True, folder=True))  # libraries give their files any mode
        writer: type[Writer] = resolve_name(f"mcd.loggers.{self.logger}:Writer")
        return writer(self.folder, f"{self.run}/{modality}" if modality else self.run)


def logged(logger: str | None, folder: str | Path, run: str, epochs: int) -> list[Watch]:
    """A `Logged` in a folder of the logger's name, or nothing where there is no logger."""
    return [Logged(logger, Path(folder, logger), run, epochs)] if logger else []


def logged_job(checkpoint: str, epochs: int) -> list[Watch]:
    """What the configuration of the workflow asks for, in the folder of its logs; named after the folder of the checkpoint."""
    return logged(os.environ.get(LOGGER), LOGS, Path(*Path(checkpoint).parts[1:-1]).as_posix(), epochs)


class Watches(tuple[Watch, ...]):
    """Several watches as one."""

    __slots__ = ()

    def __call__(self, history: History, pictures: Pictures) -> None:
        for watch in self:
            watch(history, pictures)


def sheet(images: np.ndarray) -> np.ndarray:
    """(N, C, H, W) as one picture, (C x H, N x W) uint8: a column per slice, a row per channel.

    A channel within 0 to 1 is shown on that scale, any other from its 1st to its 99th percentile.
    """
    rows = []
    for channel in np.moveaxis(images, 1, 0):
        low, high = (0.0, 1.0) if channel.min() >= 0 and channel.max() <= 1 else np.percentile(channel, [1, 99])
        grey = np.clip((channel - low) / max(high - low, 1e-6), 0, 1)
        rows.append(np.concatenate(list(grey), axis=1))
    return np.round(255 * np.concatenate(rows)).astype(np.uint8)
