"""SASS: shape-aware semi-supervised segmentation, SASSNet (Li, Zhang and He, MICCAI 2020).

A second head on the features of the U-Net's last layer predicts the regions' signed distance maps (tanh). A
discriminator decides from map and image whether a slice is labelled; the network learns to make the maps of unlabelled
slices indistinguishable from those of labelled ones, and so learns shape without labels:

    L_G = (Dice + CE)(sigmoid(logits), y) + regression * mean (SDM - SDM(y))^2    labelled
        + adversarial * ramp(t) * -log D(SDM, x)                                  unlabelled
    L_D = -log D(SDM, x) on labelled slices - log(1 - D(SDM, x)) on unlabelled ones

Settings are those of the published code (train_gan_sdfloss.py). D sees predicted maps only, never those of the labels.
Adapted:

 - the first head has the table's common loss. The code computes the cross-entropy but leaves it out; with Dice alone the
   network has hardly begun to learn when a short training on few slices ends (simulated PET, DSC of three seeds: 0.33, 0.04,
   0.02; with cross-entropy 0.34, 0.54, 0.04).
 - one map per region; maps as in `mcd.losses.signed_distance`, which says what is different in two dimensions.
 - the discriminator is the code's 3D one with 2D layers (the code's 2D one lacks an activation), and averages over whatever
   size is left, instead of a fixed 7x7.
 - it has one logit where the code has two, which is equivalent, and learns with the common Adam (in the code 1e-4, betas 0.9
   and 0.99), from the predictions of the network's own step, which saves a forward pass.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mcd.losses import at_least_single
from mcd.losses.adversarial import discriminator_loss, generator_loss
from mcd.losses.segmentation import dice_and_cross_entropy, mean_within
from mcd.losses.signed_distance import signed_distance_maps
from mcd.models.unet import UNet
from mcd.segmentation.options import SASSOptions
from mcd.segmentation.semi_supervised import SemiSupervised
from mcd.slices.batches import Batch
from mcd.slices.options import Augmentation
from mcd.training.guards import Levels
from mcd.training.method import Losses


class MapDiscriminator(nn.Module):
    """Whether a slice is labelled: maps (N, R, H, W) and images (N, 1, H, W) -> logits (N,).

    A 4x4 convolution of stride 2 for the maps and one for the image, added; three more; leaky ReLU 0.2 and dropout of channels
    between them; the mean over what is left, and a linear layer.

    Args:
        regions: R.
        filters: f; the layers have f, 2f, 4f and 8f channels.
        dropout: share of the channels that are dropped in training.
    """

    def __init__(self, regions: int, filters: int = 64, dropout: float = 0.5) -> None:
        super().__init__()
        self.of_maps = nn.Conv2d(regions, filters, 4, stride=2, padding=1)
        self.of_image = nn.Conv2d(1, filters, 4, stride=2, padding=1)
        layers: list[nn.Module] = []
        for level in range(3):
            layers += [
                nn.LeakyReLU(0.2),
                nn.Dropout2d(dropout),
                nn.Conv2d(filters * 2**level, filters * 2 ** (level + 1), 4, stride=2, padding=1),
            ]
        self.body = nn.Sequential(*layers, nn.LeakyReLU(0.2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.output = nn.Linear(filters * 8, 1)

    def forward(self, maps: Tensor, images: Tensor) -> Tensor:
        """Logits (N,): above 0 means labelled."""
        return self.output(self.body(self.of_maps(maps) + self.of_image(images))).squeeze(1)


class SASS(SemiSupervised):
    """The network (`unet` and its distance head) against the discriminator, in alternating steps."""

    options: SASSOptions
    partial_labels = True

    def __init__(self, unet: UNet, augmentation: Augmentation, options: SASSOptions) -> None:
        super().__init__(unet, augmentation, options)
        regions = unet.output.out_channels
        self.distance_head = nn.Conv2d(unet.filters, regions, 1)
        self.discriminator = MapDiscriminator(regions, self.options.discriminator_filters, self.options.dropout)
        self._predicted: tuple[Tensor, Tensor, Tensor] | None = None

    def players(self) -> dict[str, Sequence[nn.Parameter]]:
        return {
            "network": [*self.unet.parameters(), *self.distance_head.parameters()],
            "discriminator": list(self.discriminator.parameters()),
        }

    def losses(self, batch: Batch, player: str) -> Losses:
        return self._network_losses(batch) if player == "network" else self._discriminator_losses()

    def levels(self, batch_size: int) -> Levels:
        return Levels(falling=("segmentation",))  # the total holds a weight that ramps up

    def _network_losses(self, batch: Batch) -> Losses:
        images, targets, labelled = self.augmented(batch)
        known = self.known(batch)
        logits, stages = self.unet.forward_with_stages(images)
        maps = torch.tanh(at_least_single(self.distance_head(stages[-1])))
        self._predicted = (maps.detach(), images, labelled)
        drawn = signed_distance_maps(targets)
        if known is None:
            regression = F.mse_loss(maps[labelled], drawn)
        else:
            regression = mean_within((maps[labelled] - drawn).square(), known)
        self.discriminator.eval()  # no dropout here, as in the code
        losses = {
            "segmentation": dice_and_cross_entropy(logits[labelled], targets, known),
            "regression": regression,
            "adversarial": generator_loss(self.discriminator(maps[~labelled], images[~labelled])),
        }
        weight = self.options.adversarial * self.ramp()
        losses["total"] = (
            losses["segmentation"] + self.options.regression * losses["regression"] + weight * losses["adversarial"]
        )
        return {**losses, "adversarial_weight": weight}

    def _discriminator_losses(self) -> Losses:
        assert self._predicted is not None, "the network steps first"
        maps, images, labelled = self._predicted
        self.discriminator.train()
        logits = self.discriminator(maps, images)
        return {
            "total": discriminator_loss(logits[labelled], logits[~labelled]),
            "discriminator_accuracy": ((logits > 0) == labelled).float().mean(),
        }
