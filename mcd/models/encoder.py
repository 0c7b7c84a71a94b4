"""The U-Net's encoder alone, for methods that pre-train nothing else."""

import torch
from torch import Tensor, nn

from mcd.distributed.shares import shared
from mcd.models.unet import UNet, bottleneck_channels, feature_maps


class Encoder(nn.Module):
    """Input layer and down layers 1-4, with the parameter names of a `UNet`.

    Args:
        filters: f of the U-Net.
        in_channels: 1, a slice of one modality.

    Attributes:
        channels: 16f, the length of the pooled feature.
    """

    def __init__(self, filters: int = 64, in_channels: int = 1) -> None:
        super().__init__()
        self.encoder = UNet(filters, in_channels).encoder
        self.channels = bottleneck_channels(filters)

    def encode(self, images: Tensor) -> list[Tensor]:
        """The five levels' feature maps, as `UNet.encode`."""
        return feature_maps(self.encoder, images)

    def bottleneck(self, images: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, 16f, H/16, W/16)."""
        return self.encode(images)[-1]

    def forward(self, images: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, 16f), the bottleneck's mean over space, in single precision."""
        return shared(self._pooled, images)

    def _pooled(self, images: Tensor) -> Tensor:
        features = self.bottleneck(images)
        return features.to(torch.promote_types(features.dtype, torch.float32)).mean((2, 3))
