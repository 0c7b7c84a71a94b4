"""DTML: dual-task mutual learning (Zhang and Zhang, arXiv 2103.04708, 2021).

Two U-Nets learn two tasks from the same slices: `unet` the regions, a second one their signed distance maps (tanh). A steep
sigmoid turns the maps into masks, and on labelled and unlabelled slices alike each network is drawn towards the other's masks:

    L_seg = 1/2 (Dice + CE)(sigmoid(logits), y)                                           labelled
    L_dis = Dice(sigmoid(-k SDM), y) + regression * mean |SDM - SDM(y)|                   labelled
    L     = L_seg + L_dis + w(t) mean (sigmoid(-k SDM) - sigmoid(logits))^2               all

Settings are those of the published code (train_la_dtml.py). The segmentation network predicts, as there. Adapted:

 - one map per region; maps as in `mcd.losses.signed_distance`, which says what is different in two dimensions.
 - `regression`: the code computes the last term of L_dis but leaves it out of the loss, so here its weight is 0. The
   rest trains the maps only through the steep sigmoid, which has a gradient only in pixels within a hundredth of the
   boundary: a network that puts all pixels of all slices outside stays there. Where `distance` stays near 1, give
   the term the weight that the code declares (beta = 0.3) and does not use. On the simulated PET it was not needed (DSC of
   three seeds with 0: 0.50, 0.51, 0.24; with 0.3: 0.35, 0.50, 0.12).
 - the code back-propagates the consistency twice, once with each network's loss, neither of them detached, and thus trains
   with 2 w(t). Here it counts once, as published; `consistency: 2.0` is the code as it runs.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from mcd.losses import at_least_single
from mcd.losses.segmentation import dice_and_cross_entropy, mean_within, soft_dice
from mcd.losses.signed_distance import mask_logits, signed_distance_maps
from mcd.models.unet import UNet
from mcd.segmentation.options import DTMLOptions
from mcd.segmentation.semi_supervised import SemiSupervised
from mcd.slices.batches import Batch
from mcd.slices.options import Augmentation
from mcd.training.guards import Levels
from mcd.training.method import Losses


class DTML(SemiSupervised):
    """The segmentation network (`unet`) and the distance network, which learn from each other."""

    options: DTMLOptions
    partial_labels = True

    def __init__(self, unet: UNet, augmentation: Augmentation, options: DTMLOptions) -> None:
        super().__init__(unet, augmentation, options)
        self.distance_net = UNet(unet.filters, out_channels=unet.output.out_channels)

    def players(self) -> dict[str, Sequence[nn.Parameter]]:
        return {"networks": [*self.unet.parameters(), *self.distance_net.parameters()]}

    def losses(self, batch: Batch, player: str) -> Losses:
        images, targets, labelled = self.augmented(batch)
        known = self.known(batch)
        logits = at_least_single(self.unet(images))
        maps = torch.tanh(at_least_single(self.distance_net(images)))
        logits_of_maps = mask_logits(maps, self.options.sharpness)
        losses = {
            "segmentation": 0.5 * dice_and_cross_entropy(logits[labelled], targets, known),
            "distance": soft_dice(logits_of_maps[labelled], targets, within=known),
            "consistency": F.mse_loss(torch.sigmoid(logits_of_maps), torch.sigmoid(logits)),
        }
        weight = self.options.consistency * self.ramp()
        total = losses["segmentation"] + losses["distance"] + weight * losses["consistency"]
        if self.options.regression:
            drawn = signed_distance_maps(targets)
            if known is None:
                losses["regression"] = F.l1_loss(maps[labelled], drawn)
            else:
                losses["regression"] = mean_within((maps[labelled] - drawn).abs(), known)
            total = total + self.options.regression * losses["regression"]
        return {"total": total, **losses, "consistency_weight": weight}

    def levels(self, batch_size: int) -> Levels:
        return Levels(falling=("segmentation",))  # the total holds a weight that ramps up
