"""Domain-sharing GAN (DSGAN): the paper's pre-training (Sec. IV, Eq. 1-8), and every ablation of it.

Per batch of paired slices (x, y), with G_a: X -> Y and G_b: Y -> X sharing their innermost layers:

    translation      y' = G_a(x)     x' = G_b(y)         L_T, Eq. 5       weight gamma  = 10
    reconstruction   x'' = G_b(y')   y'' = G_a(x')       L_R, Eq. 6       weight beta   = 1
    adversary        Dis_Y on y', y  Dis_X on x', x      L_GAN, Eq. 4     weight        = 1
    contrast         shared features of (x, y), (x', y') L_C, Eq. 2, 3    weight lambda = 0.1

The variants of Tables III and V are the same class with other weights and sharing depths:

    Con-Only      L_C alone, nothing shared      Multi-DoS     Cycle-P-GAN with sharing
    P-GAN         L_GAN + L_T                    Multi-Con     Cycle-P-GAN with L_C
    Cycle-GAN     L_GAN + L_R                    Multi-ConDoS  everything
    Cycle-P-GAN   L_GAN + L_T + L_R

A loss of weight 0 is not computed, and what only that loss needs (discriminators, the second pass) is not built.
"""

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from mcd.distributed.shares import shared
from mcd.losses import at_least_single
from mcd.losses.adversarial import discriminator_loss, generator_loss
from mcd.losses.contrastive import feature_distance, multimodal_contrastive
from mcd.models.discriminator import PatchDiscriminator
from mcd.models.generator import DomainSharingGenerator
from mcd.models.unet import LEVELS
from mcd.pretraining.base import Pretraining
from mcd.pretraining.options import DSGANOptions
from mcd.slices.batches import Batch
from mcd.training.guards import Levels
from mcd.training.method import Losses


class DSGAN(Pretraining):
    """Two generators with shared layers against two discriminators; minimax of Eq. 8 in alternating steps."""

    options: DSGANOptions
    up_layers: int = LEVELS - 1

    def __init__(
        self, options: DSGANOptions, filters: int, modalities: Sequence[str], size: tuple[int, int] = (0, 0)
    ) -> None:
        super().__init__(options, filters, modalities, size)
        self.generator = DomainSharingGenerator(filters, options.shared)
        self.shared = options.shared
        self.feature_stage = max(options.shared, 1) if options.feature == "up_layer" else 0
        # L_C and L_R use translated images, which are meaningful only if L_GAN or L_T trains them (Sec. V-B on L_R)
        self.translates = bool(options.adversarial or options.translation)
        if not self.translates:
            self.up_layers = self.feature_stage  # no loss reaches the layers after the feature
        self.discriminators: nn.ModuleDict = nn.ModuleDict()
        if options.adversarial:
            self.discriminators["x"] = PatchDiscriminator(options.discriminator_filters)
            self.discriminators["y"] = PatchDiscriminator(options.discriminator_filters)
        self._translated: tuple[Tensor, Tensor] | None = None

    def players(self) -> dict[str, Sequence[nn.Parameter]]:
        owners: dict[str, nn.Module] = {"generator": self.generator}
        if self.discriminators:
            owners["discriminator"] = self.discriminators
        return {player: list(module.parameters()) for player, module in owners.items()}

    def losses(self, batch: Batch, player: str) -> Losses:
        x, y = batch.images[:, :1], batch.images[:, 1:2]
        return self._generator_losses(x, y) if player == "generator" else self._discriminator_losses(x, y)

    def levels(self, batch_size: int) -> Levels:
        weights = self.options
        compared = weights.contrastive and weights.feature_loss == "contrastive"
        names = {"translation": weights.translation, "reconstruction": weights.reconstruction, "contrastive": compared}
        brackets = 2 if self.translates else 1
        # a discriminator that guesses says 1/2 of real and of fake, in either domain
        guess = math.log(2) if weights.adversarial_form == "log" else 0.25
        return Levels(
            falling=[name for name, weight in names.items() if weight],
            chance={"contrastive": brackets * 2 * math.log(batch_size)} if compared else {},
            adversary=("adversarial", "discriminator_total") if self.discriminators else None,
            guessing=(2 * guess, 4 * guess),
        )

    def _generator_losses(self, x: Tensor, y: Tensor) -> Losses:
        weights = self.options
        y_translated, feature_x = shared(self.to_y, x)
        x_translated, feature_y = shared(self.to_x, y)
        losses: Losses = {}
        if weights.adversarial:
            form = self.options.adversarial_form
            losses["adversarial"] = generator_loss(self.discriminators["y"](y_translated), form) + generator_loss(
                self.discriminators["x"](x_translated), form
            )
            self._translated = (x_translated.detach(), y_translated.detach())
        if weights.translation:
            losses["translation"] = F.l1_loss(at_least_single(y_translated), y) + F.l1_loss(
                at_least_single(x_translated), x
            )
        if weights.contrastive:
            losses["contrastive"] = self._feature_loss(feature_x, feature_y)
        if self.translates and (weights.reconstruction or weights.contrastive):
            x_again, feature_y_translated = shared(self.to_x, y_translated)
            y_again, feature_x_translated = shared(self.to_y, x_translated)
            if weights.reconstruction:
                losses["reconstruction"] = F.l1_loss(at_least_single(x_again), x) + F.l1_loss(
                    at_least_single(y_again), y
                )
            if weights.contrastive:
                losses["contrastive"] = losses["contrastive"] + self._feature_loss(
                    feature_x_translated, feature_y_translated
                )
        losses["total"] = sum(getattr(weights, name) * value for name, value in losses.items())
        return losses

    def _discriminator_losses(self, x: Tensor, y: Tensor) -> Losses:
        assert self._translated is not None, "the generator steps first"
        x_translated, y_translated = self._translated
        form = self.options.adversarial_form
        of_x, of_y = self.discriminators["x"], self.discriminators["y"]
        return {
            "total": discriminator_loss(of_x(x), of_x(x_translated), form)
            + discriminator_loss(of_y(y), of_y(y_translated), form)
        }

    def to_y(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """G_a's translation of (N, 1, H, W) slices of X, and the feature that L_C compares."""
        translated, stages = self.generator.a.forward_with_stages(images)
        return translated, stages[self.feature_stage]

    def to_x(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The same with G_b, for slices of Y."""
        translated, stages = self.generator.b.forward_with_stages(images)
        return translated, stages[self.feature_stage]

    def _feature_loss(self, a: Tensor, b: Tensor) -> Tensor:
        """One bracket of Eq. 3 on the two branches' features."""
        if self.options.feature_loss == "contrastive":
            return multimodal_contrastive(a, b, self.options.temperature)
        return feature_distance(a, b, self.options.feature_loss)

    def unet_state(self, modality: str) -> dict[str, Tensor]:
        branch = self.generator.a if modality == self.modalities[0] else self.generator.b
        return branch.state_dict()
