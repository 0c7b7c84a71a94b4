"""The U-Net of Table I: the backbone of the generator, of the segmentation networks and of every baseline.

Table I counts a transposed convolution as part of the layer that it ends (down layer 4, up layers 1 to 3). Here the four of
them are in a list of their own, `upsample`, because methods that pre-train only an encoder do not train them:

    encoder[0]      input layer         f      x h    x w
    encoder[1..4]   down layers 1-4     2f-16f x h/2  x w/2  ...  h/16 x w/16
    upsample[0]     ends down layer 4
    decoder[0..3]   up layers 1-4       8f-f   x h/8  x w/8  ...  h    x w
    upsample[1..3]  end up layers 1-3
    output          output layer        out_channels x h x w
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mcd.distributed.shares import BatchNorm2d

LEVELS = 5
"""Input layer and four down layers (Table I)."""

SIZE_FACTOR = 2 ** (LEVELS - 1)
"""Height and width of an input are multiples of this: they are halved four times."""


class ConvBlock(nn.Sequential):
    """Twice Conv2d 3x3, BatchNorm2d, ReLU: (N, in, H, W) -> (N, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
            BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class UNet(nn.Module):
    """U-Net with five levels and skip connections (paper Table I; Ronneberger et al. 2015).

    Args:
        filters: f, the channels of the input layer. 64 gives the 31.0 M parameters of the original U-Net.
        in_channels: 1, a slice of one modality.
        out_channels: 1 for a translated image, one per region for a segmentation. The output is linear.
    """

    def __init__(self, filters: int = 64, in_channels: int = 1, out_channels: int = 1) -> None:
        super().__init__()
        self.filters = filters
        widths = [filters * 2**level for level in range(LEVELS)]
        self.encoder = nn.ModuleList(
            ConvBlock(before, after) for before, after in zip([in_channels, *widths], widths, strict=False)
        )
        narrowing = list(zip(widths[:0:-1], widths[-2::-1], strict=True))  # (16f, 8f), (8f, 4f), (4f, 2f), (2f, f)
        self.upsample = nn.ModuleList(nn.ConvTranspose2d(wide, narrow, 2, stride=2) for wide, narrow in narrowing)
        self.decoder = nn.ModuleList(
            ConvBlock(wide, narrow) for wide, narrow in narrowing
        )  # skip + upsampled -> narrow
        self.output = nn.Conv2d(filters, out_channels, 1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """The five levels' feature maps of (N, in, H, W), finest first; the last is the bottleneck (N, 16f, H/16, W/16)."""
        return feature_maps(self.encoder, images)

    def decode(self, features: list[Tensor]) -> list[Tensor]:
        """From the encoder's feature maps, the bottleneck and the outputs of up layers 1 to 4, in this order."""
        stages = [features[-1]]
        for layer, block in enumerate(self.decoder):
            upsampled = self.upsample[layer](stages[-1])
            stages.append(block(torch.cat([features[-2 - layer], upsampled], dim=1)))
        return stages

    def forward(self, images: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H, W); H and W multiples of 16."""
        return self.output(self.decode(self.encode(images))[-1])

    def forward_with_stages(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The output and what `decode` gives: element k is the feature of up layer k, element 0 the bottleneck."""
        stages = self.decode(self.encode(images))
        return self.output(stages[-1]), stages


def feature_maps(encoder: Iterable[nn.Module], images: Tensor) -> list[Tensor]:
    """The output of each level of an encoder for (N, in, H, W), finest first."""
    features = []
    for level, block in enumerate(encoder):
        images = block(images if level == 0 else F.max_pool2d(images, 2))
        features.append(images)
    return features


def bottleneck_channels(filters: int) -> int:
    """Channels of the bottleneck: 16f."""
    return filters * 2 ** (LEVELS - 1)


def encoder_keys(keys: Iterable[str]) -> list[str]:
    """The keys of a U-Net's state that belong to the encoder: input layer and down layers 1-4."""
    return [key for key in keys if key.startswith("encoder.")]


def layer_keys(keys: Iterable[str], up_layers: int) -> list[str]:
    """The keys of a U-Net's state up to and including up layer `up_layers` and the transposed convolution that ends it.

    `up_layers=4` is everything but the output layer; `up_layers=0` is the encoder with the transposed convolution that
    ends down layer 4.
    """
    chosen = ["encoder."]
    chosen += [f"decoder.{layer}." for layer in range(up_layers)]
    chosen += [f"upsample.{layer}." for layer in range(min(up_layers + 1, LEVELS - 1))]
    return [key for key in keys if key.startswith(tuple(chosen))]
