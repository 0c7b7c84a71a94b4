"""What the methods share that pre-train one whole U-Net, encoder and decoder."""

from collections.abc import Sequence

from torch import Tensor, nn

from mcd.models.unet import LEVELS, UNet
from mcd.pretraining.base import Pretraining
from mcd.pretraining.options import PretrainingOptions


class UNetPretraining(Pretraining):
    """One player, which owns every parameter; hands over everything of `self.unet` but its output layer, for every modality.

    Args:
        out_channels: of the U-Net.
    """

    up_layers: int = LEVELS - 1

    def __init__(
        self,
        options: PretrainingOptions,
        filters: int,
        modalities: Sequence[str],
        size: tuple[int, int],
        out_channels: int = 1,
    ) -> None:
        super().__init__(options, filters, modalities, size)
        self.unet = UNet(filters, out_channels=out_channels)

    def players(self) -> dict[str, Sequence[nn.Parameter]]:
        return {"network": list(self.parameters())}

    def unet_state(self, modality: str) -> dict[str, Tensor]:
        return self.unet.state_dict()
