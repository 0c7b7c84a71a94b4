"""Jigsaw: predict in which of N known orders the nine tiles of a slice are shown.

Noroozi and Favaro, "Unsupervised learning of visual representations by solving jigsaw puzzles", ECCV 2016. One network embeds
each of the nine tiles; the embeddings, concatenated in the order shown, are classified:

    min  -log softmax(W [e(t_s(1)), ..., e(t_s(9))])_s      s: one of N permutations of 3x3 tiles

Adapted: the network is the U-Net's encoder with global average pooling. The grid covers the body and not the slice, and tiles
are resized to a multiple of 16, at least 32 pixels (a bottleneck of 2x2: with 1x1 the last convolutions would see only
padding); a slice of 64 pixels is thus magnified about twice. Against shortcuts, each tile is cut at a random position in its
cell and standardised by its own mean and standard deviation. Batch statistics are taken over all tiles of a batch.

Blank tiles cannot be told apart, but the order can: two permutations of the table differ in at least 6 positions (N = 100),
and permuting b blank tiles among themselves changes at most b.
"""

import math
from collections.abc import Sequence
from functools import cache
from itertools import permutations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mcd.errors import McdError
from mcd.losses import at_least_single
from mcd.pretraining.encoder_only import EncoderPretraining
from mcd.pretraining.options import JigsawOptions
from mcd.pretraining.tiles import blank, cut_tiles, reorder, standardised, tile_side
from mcd.slices.batches import Batch
from mcd.training.guards import Levels
from mcd.training.method import Losses

GRID = 3
TILES = GRID * GRID


class Jigsaw(EncoderPretraining):
    """The encoder, an embedding of each tile and a classifier of the order.

    Logs `accuracy` (chance is 1/N) and `blank_tiles`, the share of tiles without tissue.

    Raises:
        McdError: if nine tiles do not have that many permutations.
    """

    options: JigsawOptions
    permutations: Tensor

    def __init__(self, options: JigsawOptions, filters: int, modalities: Sequence[str], size: tuple[int, int]) -> None:
        super().__init__(options, filters, modalities, size)
        self.side = tile_side(size, smallest=2)
        self.register_buffer("permutations", torch.from_numpy(distant_permutations(options.permutations)))
        self.embed = nn.Sequential(
            nn.Linear(self.encoder.channels, options.embedding), nn.BatchNorm1d(options.embedding), nn.ReLU()
        )
        self.classify = nn.Linear(TILES * options.embedding, options.permutations)

    def losses(self, batch: Batch, player: str) -> Losses:
        count, device = len(batch.images), batch.images.device
        tiles = cut_tiles(batch.images, GRID, self.side, self.options.tile_share, jitter=True)
        orders = torch.randint(self.options.permutations, (count,), device=device)
        shuffled = reorder(standardised(tiles), self.permutations[orders])
        embedded = self.embed(self.encoder(shuffled.flatten(0, 1)))
        logits = at_least_single(self.classify(embedded.view(count, -1)))
        return {
            "total": F.cross_entropy(logits, orders),
            "accuracy": (logits.detach().argmax(1) == orders).float().mean(),
            "blank_tiles": blank(tiles).float().mean(),
        }

    def levels(self, batch_size: int) -> Levels:
        return Levels(falling=("total",), chance={"total": math.log(self.options.permutations)})


@cache
def distant_permutations(count: int, tiles: int = TILES) -> np.ndarray:
    """`count` permutations of `tiles` tiles that differ from each other in many positions: (count, tiles) int64.

    Greedy, from the identity: the next is the one whose smallest Hamming distance to those chosen is largest; among
    equals, the one whose mean distance is largest; among those, the first in lexicographic order. No random number is involved,
    so every machine has the same table. For 100 of 9 tiles the smallest distance is 6 and the mean 8.08; the published tables
    consider the mean only, which leaves pairs that differ by one swap.

    Raises:
        McdError: if there are fewer permutations than that.
    """
    everything = np.array(
        list(permutations(range(tiles))), dtype=np.uint8
    ).T.copy()  # (tiles, tiles!), one row per place
    available = everything.shape[1]
    if not 2 <= count <= available:
        raise McdError(f"jigsaw: permutations: {count}; give between 2 and the {available} that {tiles} tiles have")
    smallest = np.full(available, tiles, dtype=np.int64)
    total = np.zeros(available, dtype=np.int64)
    chosen = [0]
    while len(chosen) < count:
        latest = everything[:, chosen[-1]]
        distance = sum((place != tile).astype(np.int64) for place, tile in zip(everything, latest, strict=True))
        smallest = np.minimum(smallest, distance)
        total += distance
        chosen.append(int(np.argmax(smallest * (tiles * count + 1) + total)))
    return everything[:, chosen].T.astype(np.int64)
