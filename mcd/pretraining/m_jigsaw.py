"""M-Jigsaw: put a puzzle of tiles from two modalities in order.

Taleb, Lippert, Klein and Nabi, "Multimodal self-supervised learning for medical image analysis", IPMI 2021
(arXiv 1912.05396). Each tile shows a modality drawn at random; the network gives every tile of the shuffled puzzle P a score
for every position, the Sinkhorn operator turns them into a soft permutation S, and the reassembled puzzle is compared with the
ordered one, P*:

    min  | P* - S^T P |^2       S[j, i]: how much of shuffled tile j goes to position i

Only the order has to be found: a tile shows the same modality in P* as in P.

Adapted: the network is one U-Net encoder for both modalities, with global average pooling and a linear layer for the scores.
It is transferred to both. The grid covers the union of both modalities' bodies. The modalities must be registered and have
similar ranges, or one of them dominates the error: slices are z-scored. Blank tiles cost nothing wherever they go.
The plain Sinkhorn operator is used, without Gumbel noise (from memory of the paper).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mcd.losses.sinkhorn import log_sinkhorn
from mcd.pretraining.encoder_only import EncoderPretraining
from mcd.pretraining.options import MJigsawOptions
from mcd.pretraining.tiles import blank, cut_tiles, reorder, tile_side
from mcd.slices.batches import Batch
from mcd.training.method import Losses


class MJigsaw(EncoderPretraining):
    """One encoder for both modalities, and a linear layer that scores positions.

    Logs `accuracy`, the share of tiles with tissue whose best position is right (chance is 1/grid^2), and `blank_tiles`.

    Raises:
        McdError: for a grid of one tile.
    """

    options: MJigsawOptions

    def __init__(self, options: MJigsawOptions, filters: int, modalities: Sequence[str], size: tuple[int, int]) -> None:
        super().__init__(options, filters, modalities, size)
        self.side = tile_side(size, smallest=2)
        self.score = nn.Linear(self.encoder.channels, options.grid**2)

    def losses(self, batch: Batch, player: str) -> Losses:
        share = self.options.tile_share
        tiles = mixed(cut_tiles(batch.images, self.options.grid, self.side, share, jitter=share < 1))
        places = torch.rand(tiles.shape[:2], device=tiles.device).argsort(1)
        shuffled = reorder(tiles, places)
        scores = self.score(self.encoder(shuffled.flatten(0, 1))).view(len(tiles), self.options.grid**2, -1)
        soft = log_sinkhorn(scores / self.options.temperature, self.options.iterations).exp()
        occupied = ~blank(shuffled)
        right = (soft.detach().argmax(2) == places) & occupied
        return {
            "total": F.mse_loss(reassembled(soft, shuffled), tiles),
            "accuracy": right.sum() / occupied.sum().clamp_min(1),
            "blank_tiles": 1 - occupied.float().mean(),
        }


def mixed(tiles: Tensor) -> Tensor:
    """Tiles in all modalities (N, T, M, S, S) -> each in one modality, drawn at random: (N, T, 1, S, S)."""
    modality = torch.randint(tiles.shape[2], tiles.shape[:2], device=tiles.device)
    return tiles.gather(2, modality[:, :, None, None, None].expand(-1, -1, 1, *tiles.shape[3:]))


def reassembled(permutation: Tensor, shuffled: Tensor) -> Tensor:
    """S^T P: the (soft) permutation (N, T, T), from shuffled tile j to position i, applied to tiles (N, T, ...)."""
    with torch.autocast(shuffled.device.type, enabled=False):
        return (permutation.mT @ shuffled.flatten(2).to(permutation.dtype)).view(shuffled.shape)
