"""Weights & Biases. Written to this machine alone (`wandb sync` uploads it), unless `WANDB_MODE` says otherwise."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import wandb


class Writer:
    """A run of the project that `WANDB_PROJECT` names, or of `multi-condos`."""

    def __init__(self, folder: Path, run: str) -> None:
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "multi-condos"),
            name=run,
            dir=str(folder),
            mode=os.environ.get("WANDB_MODE", "offline"),
        )

    def losses(self, epoch: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=epoch)

    def picture(self, epoch: int, name: str, pixels: np.ndarray) -> None:
        self._run.log({name: wandb.Image(pixels)}, step=epoch)

    def close(self) -> None:
        self._run.finish()
