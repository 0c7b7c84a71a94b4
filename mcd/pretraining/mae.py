"""MAE: fill in the blocks of a slice that are hidden, here with the whole U-Net.

K. He, X. Chen, S. Xie, Y. Li, P. Dollar, R. Girshick: Masked Autoencoders Are Scalable Vision Learners, CVPR 2022; for
U-Nets as in T. Wald et al.: Revisiting MAE Pre-training for 3D Medical Image Segmentation, CVPR 2025, whose code (nnssl,
`BaseMAETrainer`) hides blocks of a dense convolutional network's input:

    L = mean of (unet(x where visible, 0 where hidden) - x)^2  over the hidden tissue,    75 % of the blocks of 16 pixels hidden

A hidden pixel is 0, the mean of the z-scored tissue, as in that code; the authors' ViT leaves hidden patches out altogether,
which a dense U-Net cannot (their SparK variant with sparse convolutions is another method).

Not in the paper's tables: a control for methods that hand back a decoder, as Multi-ConDoS does. Adapted: in two dimensions;
the error counts tissue alone, since a hidden background is 0 and is shown as 0; the number of blocks is rounded, where the
code rounds down, which hides 67 % of a slice of 3 x 3 blocks; Adam at the paper's rate, and no augmentation but the masks,
as for DSGAN (in the code SGD, rotation, scaling and mirror images).
"""

from collections.abc import Sequence

from torch import Tensor

from mcd.distributed.shares import shared
from mcd.losses import at_least_single
from mcd.losses.segmentation import mean_within
from mcd.pretraining.blocks import check_blocks, random_blocks
from mcd.pretraining.health import explained
from mcd.pretraining.options import MAEOptions
from mcd.pretraining.whole_unet import UNetPretraining
from mcd.slices.batches import Batch
from mcd.training.method import Losses


class MAE(UNetPretraining):
    """One U-Net. Logs `explained`, the share of the hidden tissue's variance that it explains.

    Raises:
        McdError: for slices of a single block.
    """

    options: MAEOptions

    def __init__(self, options: MAEOptions, filters: int, modalities: Sequence[str], size: tuple[int, int]) -> None:
        super().__init__(options, filters, modalities, size)
        check_blocks("mae", size, options.block)

    def losses(self, batch: Batch, player: str) -> Losses:
        images = batch.images
        hidden = self._hidden(images)
        predicted = at_least_single(shared(self.unet, images.masked_fill(hidden, 0.0)))
        scored = hidden & (images != 0)
        return {
            "total": mean_within((predicted - images).square(), scored),
            "explained": explained(predicted, images, scored),
        }

    def pictures(self, batch: Batch) -> dict[str, Tensor]:
        visible = batch.images.masked_fill(self._hidden(batch.images), 0.0)
        return {"image": batch.images, "visible": visible, "restored": self.unet(visible)}

    def _hidden(self, images: Tensor) -> Tensor:
        """Which pixels of each slice are hidden, bool (N, 1, H, W)."""
        size = (images.shape[-2], images.shape[-1])
        return random_blocks(len(images), size, self.options.block, self.options.hidden, images.device)
