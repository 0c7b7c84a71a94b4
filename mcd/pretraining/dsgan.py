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

Two options, off as in the paper, give the method what contrastive baselines have: `batches: spread`, and `shift`, by which
each branch sees the pair at a place of its own: G_a translates x and is compared with y at one, G_b at another, and L_C
compares features of both.

Multi-ConDoS-M (ours; the paper trains pairs, and has to choose a grouping) is the same on all M > 2 modalities of a cohort:
a branch and a discriminator each around one set of shared layers, and every step is the one above on a pair that is drawn for
it (`mcd.slices.batches.PairedSlices`). A branch has one decoder for its translations into all others: only the output layer,
which fine-tuning does not take over, knows into which. So each modality is handed back a U-Net that was trained as a whole, and
with two modalities this is the paper's pair.
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
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
from mcd.slices.batches import Batch, PairedSlices, SliceSet, pair_batches, shuffled_batches, spread_batches
from mcd.training.guards import Levels
from mcd.training.method import Losses


class DSGAN(Pretraining):
    """Generators with shared layers, one a modality, against as many discriminators; minimax of Eq. 8 in alternating steps."""

    options: DSGANOptions
    up_layers: int = LEVELS - 1

    def __init__(
        self, options: DSGANOptions, filters: int, modalities: Sequence[str], size: tuple[int, int] = (0, 0)
    ) -> None:
        super().__init__(options, filters, modalities, size)
        self.generator = DomainSharingGenerator(filters, options.shared, len(self.modalities))
        self.shared = options.shared
        self.feature_stage = max(options.shared, 1) if options.feature == "up_layer" else 0
        # L_C and L_R use translated images, which are meaningful only if L_GAN or L_T trains them (Sec. V-B on L_R)
        self.translates = bool(options.adversarial or options.translation)
        if not self.translates:
            self.up_layers = self.feature_stage  # no loss reaches the layers after the feature
        judges = self.modalities if options.adversarial else ()
        self.discriminators = nn.ModuleList(PatchDiscriminator(options.discriminator_filters) for _ in judges)
        self._judged: dict[int, tuple[Tensor, Tensor]] = {}  # modality -> its real and translated slices of this step

    def players(self) -> dict[str, Sequence[nn.Parameter]]:
        owners: dict[str, nn.Module] = {"generator": self.generator}
        if self.discriminators:
            owners["discriminator"] = self.discriminators
        return {player: list(module.parameters()) for player, module in owners.items()}

    def losses(self, batch: Batch, player: str) -> Losses:
        if player == "generator":
            return self._generator_losses(batch.images, batch.pair or (0, 1))
        return self._discriminator_losses()

    def batches(self, slices: SliceSet, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        def one_pass(chosen: np.ndarray) -> Iterator[np.ndarray]:
            if self.options.batches == "spread":
                drawn = spread_batches(slices.subject_of[chosen], slices.height_of[chosen], batch_size, rng)
            else:
                drawn = shuffled_batches(len(chosen), batch_size, rng)
            return (chosen[indices] for indices in drawn)

        if isinstance(slices, PairedSlices):
            return pair_batches(slices, one_pass, rng)
        return one_pass(np.arange(len(slices)))

    def pictures(self, batch: Batch) -> dict[str, Tensor]:
        x, y = batch.images[:, :1], batch.images[:, 1:2]
        if not self.translates:
            return {"image": batch.images}
        at_x, at_y = batch.pair or (0, 1)

        def both(of_x: Tensor, of_y: Tensor) -> Tensor:
            return torch.cat([self.translate(of_y, at_y, at_x)[0], self.translate(of_x, at_x, at_y)[0]], dim=1)

        translated = both(x, y)
        again = both(translated[:, :1], translated[:, 1:])
        made = {"image": batch.images, "translation": translated}
        return {**made, "reconstruction": again} if self.options.reconstruction else made

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

    def _generator_losses(self, images: Tensor, pair: tuple[int, int]) -> Losses:
        weights = self.options
        at_x, at_y = pair
        to_y, to_x = (partial(self.translate, source=a, target=b) for a, b in ((at_x, at_y), (at_y, at_x)))
        x, y_at_x = self.placed(images)
        x_at_y, y = self.placed(images)
        y_translated, feature_x = shared(to_y, x)
        x_translated, feature_y = shared(to_x, y)
        losses: Losses = {}
        if weights.adversarial:
            form = self.options.adversarial_form
            losses["adversarial"] = generator_loss(self.discriminators[at_y](y_translated), form) + generator_loss(
                self.discriminators[at_x](x_translated), form
            )
            self._judged = {at_x: (x_at_y, x_translated.detach()), at_y: (y_at_x, y_translated.detach())}
        if weights.translation:
            losses["translation"] = F.l1_loss(at_least_single(y_translated), y_at_x) + F.l1_loss(
                at_least_single(x_translated), x_at_y
            )
        if weights.contrastive:
            losses["contrastive"] = self._feature_loss(feature_x, feature_y)
        if self.translates and (weights.reconstruction or weights.contrastive):
            x_again, feature_y_translated = shared(to_x, y_translated)
            y_again, feature_x_translated = shared(to_y, x_translated)
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

    def _discriminator_losses(self) -> Losses:
        assert self._judged, "the generator steps first"
        form = self.options.adversarial_form
        of_x, of_y = (
            discriminator_loss(self.discriminators[modality](real), self.discriminators[modality](translated), form)
            for modality, (real, translated) in self._judged.items()
        )
        return {"total": of_x + of_y}

    def placed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The pair (x, y) where a branch sees it: every slice moved by as much in both modalities."""
        if self.options.shift:
            images = shifted(images, self.options.shift)
        return images[:, :1], images[:, 1:2]

    def translate(self, images: Tensor, source: int, target: int) -> tuple[Tensor, Tensor]:
        """Slices (N, 1, H, W) of one of `modalities` in another, both by position, and the feature that L_C compares."""
        translated, stages = self.generator.translate(images, source, target)
        return translated, stages[self.feature_stage]

    def _feature_loss(self, a: Tensor, b: Tensor) -> Tensor:
        """One bracket of Eq. 3 on the two branches' features."""
        if self.options.feature_loss == "contrastive":
            return multimodal_contrastive(a, b, self.options.temperature)
        return feature_distance(a, b, self.options.feature_loss)

    def unet_state(self, modality: str) -> dict[str, Tensor]:
        return self.generator.branch(self.modalities.index(modality)).state_dict()


def shifted(images: Tensor, share: float) -> Tensor:
    """Each slice of (N, C, H, W) moved by whole pixels, at most `share` of its height and width; background 0 comes in."""
    count, _, height, width = images.shape

    def sources(length: int) -> tuple[Tensor, Tensor]:
        """Where each row (column) of each slice comes from, (N, L), and whether that lies within it."""
        most = int(share * length)
        move = torch.randint(-most, most + 1, (count, 1), device=images.device)
        at = torch.arange(length, device=images.device) - move
        return at.clamp(0, length - 1), (at >= 0) & (at < length)

    (rows, inside_rows), (columns, inside_columns) = sources(height), sources(width)
    slices = torch.arange(count, device=images.device)[:, None, None]
    moved = images.transpose(0, 1)[:, slices, rows[:, :, None], columns[:, None, :]].transpose(0, 1)
    return torch.where((inside_rows[:, :, None] & inside_columns[:, None, :])[:, None], moved, 0.0)
