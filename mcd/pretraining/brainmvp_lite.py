"""BrainMVP-lite: blocks of a modality are filled from the other one or from a learnt template, and the modality is restored.

S. Rui, L. Chen, Z. Tang, L. Wang, M. Liu, S. Zhang, X. Wang: Multi-modal Vision Pre-training for Medical Image Analysis
(BrainMVP), CVPR 2025; terms, weights and stages are those of the published code (`models/Uniformer.py`, `utils/ops.py`,
`do_pretrain.sh`).

A step draws one modality x of the pair; y is the other. Two views of each slice have 80 % of x's blocks of 8 pixels
replaced, each view its own: in x_T by the template of x's modality, a learnt image; in x_C by y.

    L = 10 |net(x_T) - x|^2 + |net(x_C) - x|^2 + InfoNCE(bottleneck of x_T, of x_C)

InfoNCE is the mean of both directions, on flattened bottlenecks, with t = 1. For the first fifth of the training both views
have the template, so that it takes shape; InfoNCE counts in the last third (300 and 1000 of the authors' 1500 epochs).

What "lite" leaves out: volumes and the UniFormer (the paper's U-Net on slices instead), eight modalities of which some are
missing (a pair instead), and the templates' second use, as an augmentation of fine-tuning. Not in the paper's tables: the
paper's thesis, that one modality teaches about the other, without a GAN.

Adapted: one network for both modalities, as the authors', and so handed back for both. It keeps its skip connections, which
the authors cut during pre-training, so that the decoder that is handed back is the one that segments. A template is not one
volume in atlas space but some slices along z, between which it is interpolated at a slice's height; it is in z-scores, where
the authors scale theirs to 0..1 as they do their images. Background stays 0, and errors are means over the tissue, so that
the weights mean the same however much of a slice is background. Neighbouring slices of a subject do not share a batch, where
they would be each other's negatives. Adam at the paper's rate, and no augmentation but the blocks, as for DSGAN.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from mcd.distributed.shares import shared
from mcd.losses import at_least_single
from mcd.losses.contrastive import cross_modal
from mcd.losses.segmentation import mean_within
from mcd.pretraining.blocks import check_blocks, random_blocks
from mcd.pretraining.health import explained, retrieval_accuracy
from mcd.pretraining.options import BrainMVPLiteOptions
from mcd.pretraining.whole_unet import UNetPretraining
from mcd.slices.batches import Batch, SliceSet, spread_batches
from mcd.training.guards import Levels
from mcd.training.method import Losses


class BrainMVPLite(UNetPretraining):
    """One U-Net for both modalities, and a template for each.

    Logs `explained`, the share of the variance of x's replaced tissue that the network explains from x_C (at first filled from
    the template, too), `explained_by_template`, the same from x_T, and `accuracy`, how often a view's bottleneck finds the
    other's.

    Attributes:
        templates: (modalities, slices along z, H, W), z-scores; 0 at first, as the authors'.
        crossing, contrasting: whether this epoch fills a view from the other modality, and whether InfoNCE counts.

    Raises:
        McdError: for slices of a single block.
    """

    options: BrainMVPLiteOptions

    def __init__(
        self, options: BrainMVPLiteOptions, filters: int, modalities: Sequence[str], size: tuple[int, int]
    ) -> None:
        super().__init__(options, filters, modalities, size)
        check_blocks("brainmvp_lite", size, options.block)
        self.templates = nn.Parameter(torch.zeros(len(self.modalities), options.template_slices, *size))
        self.crossing = self.contrasting = True

    def before_epoch(self, epoch: int, epochs: int) -> None:
        self.crossing = epoch >= self.options.template_alone * epochs
        self.contrasting = epoch >= self.options.contrast_start * epochs

    def losses(self, batch: Batch, player: str) -> Losses:
        modality = int(torch.randint(len(self.modalities), ()))
        x, y = batch.images.roll(-modality, dims=1).split(1, dim=1)
        template = self.template(modality, batch.heights) * (x != 0)
        from_template, replaced_by_template = self._filled(x, template)
        from_other, replaced_by_other = self._filled(x, y if self.crossing else template)
        restored, bottlenecks = shared(self._restore, torch.cat([from_template, from_other]))
        by_template, by_other = at_least_single(restored).chunk(2)
        of_template, of_other = bottlenecks.flatten(1).chunk(2)
        there, back = cross_modal(of_template, of_other, self.options.temperature)
        losses = {
            "template": mean_within((by_template - x).square(), x != 0),
            "cross_modal": mean_within((by_other - x).square(), x != 0),
            "contrast": (there + back) / 2,
        }
        weights = self.options
        total = weights.template * losses["template"] + weights.cross_modal * losses["cross_modal"]
        return {
            "total": total + weights.contrast * losses["contrast"] if self.contrasting else total,
            **losses,
            "explained": explained(by_other, x, replaced_by_other & (x != 0)),
            "explained_by_template": explained(by_template, x, replaced_by_template & (x != 0)),
            "accuracy": retrieval_accuracy(of_template, of_other),
        }

    def pictures(self, batch: Batch) -> dict[str, Tensor]:
        x, y = batch.images.split(1, dim=1)
        (of_x, _), (of_y, _) = self._filled(x, y), self._filled(y, x)
        filled = torch.cat([of_x, of_y], dim=1)
        restored = torch.cat([self.unet(of_x), self.unet(of_y)], dim=1)
        templates = torch.cat(
            [self.template(modality, batch.heights) for modality in range(len(self.modalities))], dim=1
        )
        return {"image": batch.images, "filled": filled, "restored": restored, "template": templates}

    def levels(self, batch_size: int) -> Levels:
        return Levels(falling=("template",))  # the other view changes its filling, and the total its terms

    def template(self, modality: int, heights: Tensor) -> Tensor:
        """A modality's template at the relative heights (N,) of slices, linear between its own slices: (N, 1, H, W)."""
        own = self.templates[modality]
        at = heights.clamp(0, 1) * (len(own) - 1)
        below = at.long()
        above = (below + 1).clamp(max=len(own) - 1)
        part = (at - below).view(-1, 1, 1)
        return ((1 - part) * own[below] + part * own[above]).unsqueeze(1)

    def _filled(self, images: Tensor, filling: Tensor) -> tuple[Tensor, Tensor]:
        """The images with some blocks taken from `filling`, and which: two tensors (N, 1, H, W)."""
        size = (images.shape[-2], images.shape[-1])
        replaced = random_blocks(len(images), size, self.options.block, self.options.hidden, images.device)
        return torch.where(replaced, filling, images), replaced

    def _restore(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """The network's output for views (N, 1, H, W), and its bottleneck."""
        output, stages = self.unet.forward_with_stages(views)
        return output, stages[0]

    def batches(self, slices: SliceSet, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        return spread_batches(slices.subject_of, slices.height_of, batch_size, rng)
