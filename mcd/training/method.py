"""What the training loop asks of a method, pre-training or segmentation."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor, nn

from mcd.slices.batches import Batch, SliceSet, shuffled_batches
from mcd.training.guards import Levels

Losses = dict[str, Tensor]
"""Loss name -> scalar. `total` is what is minimised; the others are logged."""


class Method(nn.Module, ABC):
    """Something that learns from batches.

    The loop gives each *player* an optimiser of its own and steps them in order on every batch: `losses(batch, player)`
    is minimised over that player's parameters while all others stay fixed. Most methods have one player; a GAN has two.
    Whatever a resumed training needs is in the module's state (parameters and buffers).
    """

    @abstractmethod
    def players(self) -> dict[str, Sequence[nn.Parameter]]:
        """Player -> the parameters it owns, in the order in which they step."""

    @abstractmethod
    def losses(self, batch: Batch, player: str) -> Losses:
        """The named losses of one player on one batch, `total` among them."""

    def rate_factor(self, parameter: nn.Parameter) -> float:
        """By how much a parameter's learning rate differs from the schedule's; the default is 1 for all."""
        return 1.0

    def before_epoch(self, epoch: int, epochs: int) -> None:
        """Called before each epoch (from 0), for weights that ramp. May not hold state of its own beyond the arguments."""

    def after_step(self, step: int, steps: int) -> None:
        """Called after all players stepped, with the number of steps done and of steps in all: moving averages."""

    def pictures(self, batch: Batch) -> dict[str, Tensor]:
        """Example images of some slices: name -> (N, channels, H, W), z-scores or values in 0 to 1; the default is them alone.

        Called in evaluation mode, without gradients, in one process alone. May change nothing that is trained.
        """
        return {"image": batch.images}

    def levels(self, batch_size: int) -> Levels:
        """What the guards of a training may know of the losses, in batches of so many slices; the default is a falling `total`.

        A total that a ramp, a stage or an opponent raises is not to be named.
        """
        return Levels(falling=("total",))

    def batches(self, slices: SliceSet, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """One pass over the slices as index arrays; the default is a plain shuffle."""
        return shuffled_batches(len(slices), batch_size, rng)
