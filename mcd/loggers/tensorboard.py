"""TensorBoard: `tensorboard --logdir FOLDER`."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch.utils.tensorboard import SummaryWriter

_SECONDS = 5  # between two writes to the disk


class Writer:
    """Event files in a folder of the run's name; those of an earlier attempt at the same run are no longer shown."""

    def __init__(self, folder: Path, run: str) -> None:
        self._writer = SummaryWriter(str(folder / run), purge_step=0, flush_secs=_SECONDS)

    def losses(self, epoch: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, epoch)

    def picture(self, epoch: int, name: str, pixels: np.ndarray) -> None:
        self._writer.add_image(name, pixels, epoch, dataformats="HW")

    def close(self) -> None:
        self._writer.close()
