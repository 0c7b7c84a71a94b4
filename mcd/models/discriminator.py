"""The discriminators Dis_X and Dis_Y (Sec. IV-A; the paper names no architecture)."""

from torch import Tensor, nn

from mcd.distributed.shares import BatchNorm2d, shared


class PatchDiscriminator(nn.Sequential):
    """70x70 PatchGAN of pix2pix (Isola et al. 2017), unconditional: (N, 1, H, W) -> logits (N, 1, H/8 - 2, W/8 - 2).

    Five 4x4 convolutions with f, 2f, 4f, 8f and 1 channels, the first three of stride 2, leaky ReLU 0.2, batch norm in
    all but the first and the last. Weights are drawn from N(0, 0.02), as pix2pix and CycleGAN do.

    Args:
        filters: f; 64 in pix2pix.
    """

    def __init__(self, filters: int = 64) -> None:
        layers: list[nn.Module] = [nn.Conv2d(1, filters, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        for index, stride in enumerate((2, 2, 1)):
            before, after = filters * 2**index, filters * 2 ** (index + 1)
            layers += [
                nn.Conv2d(before, after, 4, stride=stride, padding=1, bias=False),  # batch norm brings its own bias
                BatchNorm2d(after),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        layers.append(nn.Conv2d(8 * filters, 1, 4, padding=1))
        super().__init__(*layers)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        """One logit per patch: above 0 means real."""
        return shared(super().forward, images)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
