"""The domain-sharing generator (DSG) of Sec. IV-A: U-Nets, two in the paper, with their innermost layers in common."""

from typing import cast

from torch import Tensor, nn

from mcd.models.unet import LEVELS, UNet

MAX_SHARED = 3
"""Table I goes as far as three shared down layers and three shared up layers."""


class DomainSharingGenerator(nn.Module):
    """G_a: X -> Y and G_b: Y -> X, sharing the last k down layers and the first k up layers (Table I).

    A shared layer is one module used by both branches: its parameters, its batch statistics and its gradients are the
    same. It includes the transposed convolution that ends it, as Table I counts them. k = 0 is CycleGAN's pair
    of separate generators, k = 1 the paper's choice.

    Of M modalities each has a branch, and all share the same layers. A branch's output layer has a channel for each of the
    other modalities, in their order: into which it translates is decided there, so that everything before it is, as in a
    pair, a U-Net of the branch's own modality.

    Args:
        filters: f of Table I.
        shared: k, 0 to 3.
        modalities: M, how many branches; 2 in the paper.
    """

    def __init__(self, filters: int = 64, shared: int = 1, modalities: int = 2) -> None:
        super().__init__()
        if not 0 <= shared <= MAX_SHARED:
            raise ValueError(f"shared must be 0 to {MAX_SHARED} (Table I), not {shared}")
        self.shared = shared
        first, *others = branches = [UNet(filters, out_channels=modalities - 1) for _ in range(modalities)]
        for branch in others:
            for layer in range(LEVELS - shared, LEVELS):
                branch.encoder[layer] = first.encoder[layer]
            for layer in range(shared):
                branch.decoder[layer] = first.decoder[layer]
            for layer in range(shared + 1 if shared else 0):
                branch.upsample[layer] = first.upsample[layer]
        self.branches = nn.ModuleList(branches)

    def branch(self, position: int) -> UNet:
        """That of one of the modalities, in their order; of a pair, 0 is G_a: X -> Y and 1 is G_b: Y -> X."""
        return cast(UNet, self.branches[position])

    def translate(self, images: Tensor, source: int, target: int) -> tuple[Tensor, list[Tensor]]:
        """Slices (N, 1, H, W) of one modality in another, both by their positions, and the branch's stages (`UNet.decode`)."""
        translations, stages = self.branch(source).forward_with_stages(images)
        channel = target - (target > source)
        return translations[:, channel : channel + 1], stages
