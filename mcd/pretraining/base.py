"""What every pre-training method has in common: its options, and the U-Net weights that it hands back."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from mcd.models.unet import encoder_keys, layer_keys
from mcd.training.method import Method
from mcd.training.schedule import Schedule

ENCODER_ONLY = -1
"""As the number of pre-trained up layers: not even the transposed convolution that ends down layer 4."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a method lets the configuration set. Subclasses add their own; defaults are the published values.

    Attributes:
        learning_rate: of Adam (paper Sec. V).
        betas: of Adam (its default).
        weight_decay: of Adam.
        decay: of the learning rate.
        warmup_epochs: epochs over which the learning rate rises from 0.
    """

    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    decay: Literal["constant", "cosine"] = "constant"
    warmup_epochs: int = 0

    def schedule(self, epochs: int, batch_size: int, steps_per_epoch: int | None) -> Schedule:
        """The training schedule: the method's step sizes, and the length and batch that all methods share."""
        return Schedule(
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=self.learning_rate,
            betas=self.betas,
            weight_decay=self.weight_decay,
            decay=self.decay,
            warmup_epochs=self.warmup_epochs,
            steps_per_epoch=steps_per_epoch,
        )


class Pretraining(Method):
    """A pre-training method: built from its options, and after training asked for U-Net weights by modality.

    Class attributes:
        options_class: the method's options.
        multimodal: whether one training sees both modalities of a pair as paired images.
        up_layers: how many of the U-Net's up layers it trains (4: all but the output layer), or `ENCODER_ONLY`.

    Args:
        options: the method's own.
        filters: f of the U-Net.
        modalities: channels of the batches: both of the pair where `multimodal`, else one.
        size: (height, width) of a slice.
    """

    options_class: ClassVar[type[Options]]
    multimodal: ClassVar[bool]
    up_layers: int

    def __init__(self, options: Options, filters: int, modalities: Sequence[str], size: tuple[int, int]) -> None:
        super().__init__()
        self.options = options
        self.modalities = tuple(modalities)

    @abstractmethod
    def unet_state(self, modality: str) -> dict[str, Tensor]:
        """The state of the U-Net (or of its encoder) for one of `modalities`, with the U-Net's own names."""

    def trained_keys(self, state: dict[str, Tensor]) -> list[str]:
        """Those names of `unet_state` that pre-training trained."""
        return encoder_keys(state) if self.up_layers == ENCODER_ONLY else layer_keys(state, self.up_layers)
