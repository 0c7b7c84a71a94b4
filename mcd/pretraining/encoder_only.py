"""What the methods share that pre-train one U-Net encoder and a head, which is discarded."""

from collections.abc import Sequence

from torch import Tensor, nn

from mcd.models.encoder import Encoder
from mcd.pretraining.base import ENCODER_ONLY, Pretraining
from mcd.pretraining.options import PretrainingOptions


class EncoderPretraining(Pretraining):
    """One player, which owns every parameter; hands over `self.encoder` for every modality."""

    up_layers = ENCODER_ONLY

    def __init__(
        self, options: PretrainingOptions, filters: int, modalities: Sequence[str], size: tuple[int, int]
    ) -> None:
        super().__init__(options, filters, modalities, size)
        self.encoder = Encoder(filters)

    def players(self) -> dict[str, Sequence[nn.Parameter]]:
        return {"network": list(self.parameters())}

    def unet_state(self, modality: str) -> dict[str, Tensor]:
        return self.encoder.state_dict()
