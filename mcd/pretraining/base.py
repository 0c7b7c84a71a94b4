"""What every pre-training method has in common: its options, and the U-Net weights that it hands over."""

from abc import abstractmethod
from collections.abc import Sequence

from torch import Tensor

from mcd.models.unet import encoder_keys, layer_keys
from mcd.pretraining.options import PretrainingOptions
from mcd.training.method import Method

ENCODER_ONLY = -1
"""As `up_layers`: not even the transposed convolution that ends down layer 4 is trained."""


class Pretraining(Method):
    """A pre-training method: it is built from its options and, after training, gives U-Net weights for each modality.

    Class attributes:
        shared: how many down and up layers the branches of the modalities share (Table I's k; 1 where there is one branch).
        up_layers: how many of the U-Net's up layers it trains (4: all but the output layer), or `ENCODER_ONLY`.

    Args:
        options: the method's own.
        filters: f of the U-Net.
        modalities: channels of the batches: both of the pair if one training sees both, else one.
        size: (height, width) of a slice.
    """

    shared: int = 1
    up_layers: int

    def __init__(
        self, options: PretrainingOptions, filters: int, modalities: Sequence[str], size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.options = options
        self.modalities = tuple(modalities)

    @abstractmethod
    def unet_state(self, modality: str) -> dict[str, Tensor]:
        """The state of the U-Net (or of its encoder) for one of `modalities`, with the U-Net's own names."""

    def trained_keys(self, state: dict[str, Tensor]) -> list[str]:
        """The keys of `unet_state` that pre-training trained."""
        return encoder_keys(state) if self.up_layers == ENCODER_ONLY else layer_keys(state, self.up_layers)
