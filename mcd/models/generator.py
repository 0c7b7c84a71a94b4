"""The domain-sharing generator (DSG) of Sec. IV-A: two U-Nets with their innermost layers in common."""

from torch import nn

from mcd.models.unet import LEVELS, UNet

MAX_SHARED = 3
"""Table I goes as far as three shared down layers and three shared up layers."""


class DomainSharingGenerator(nn.Module):
    """G_a: X -> Y and G_b: Y -> X, sharing the last k down layers and the first k up layers (Table I).

    A shared layer is one module used by both branches: its parameters, its batch statistics and its gradients are the
    same. It includes the transposed convolution that ends it, as Table I counts them. k = 0 is CycleGAN's pair
    of separate generators, k = 1 the paper's choice.

    Args:
        filters: f of Table I.
        shared: k, 0 to 3.
    """

    def __init__(self, filters: int = 64, shared: int = 1) -> None:
        super().__init__()
        if not 0 <= shared <= MAX_SHARED:
            raise ValueError(f"shared must be 0 to {MAX_SHARED} (Table I), not {shared}")
        self.shared = shared
        self.a = UNet(filters)
        self.b = UNet(filters)
        for layer in range(LEVELS - shared, LEVELS):
            self.b.encoder[layer] = self.a.encoder[layer]
        for layer in range(shared):
            self.b.decoder[layer] = self.a.decoder[layer]
        for layer in range(shared + 1 if shared else 0):
            self.b.upsample[layer] = self.a.upsample[layer]
