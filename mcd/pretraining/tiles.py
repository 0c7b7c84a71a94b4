"""Puzzle tiles of slices, cut inside the body: what Jigsaw, M-Jigsaw and CPC have in common."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.models.unet import SIZE_FACTOR
from mcd.pretraining.views import extent_of


def tile_side(size: tuple[int, int], smallest: int = 1) -> int:
    """Side of a square tile in pixels: a quarter of the slice's shorter side, to the nearest multiple of 16.

    A quarter is Noroozi and Favaro's 64 of 255 pixels and van den Oord et al.'s 64 of 256; a U-Net halves four times.

    Args:
        smallest: of the result, in units of 16 pixels.
    """
    return SIZE_FACTOR * max(round(min(size) / (4 * SIZE_FACTOR)), smallest)


def cut_tiles(images: Tensor, grid: int, side: int, share: float = 1.0, jitter: bool = False) -> Tensor:
    """Lay `grid` x `grid` cells over the body of each slice and cut a tile from each.

    The cells cover the body's bounding box (that of all channels together, at least half of the slice), since a tile of
    background has no position. Tiles are resized by one bilinear interpolation: a 64-pixel slice has cells of some
    17 pixels, and a U-Net needs multiples of 16.

    Args:
        images: (N, C, H, W), background 0.
        side: of a tile in the result, pixels.
        share: of a cell's height and width that a tile takes.
        jitter: place each tile at random in its cell, rather than in the middle: with gaps of unknown width
            between them, tiles cannot be matched by their common edges.

    Returns:
        (N, grid * grid, C, side, side), in reading order.
    """
    count, _, height, width = images.shape
    device, cells = images.device, grid * grid
    tissue = (images != 0).any(1)
    top, bottom = extent_of(tissue.any(2))
    left, right = extent_of(tissue.any(1))

    def edges(start: Tensor, stop: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
        """First edge and length (N, cells) of the tiles along one axis, for cells at the positions `at` (cells,)."""
        cell = ((stop - start) / grid)[:, None]
        free = torch.rand(count, cells, device=device) if jitter else torch.full((count, cells), 0.5, device=device)
        return start[:, None] + cell * (at + (1 - share) * free), cell.expand(-1, cells) * share

    rows, columns = torch.arange(cells, device=device) // grid, torch.arange(cells, device=device) % grid
    y, tall = edges(top, bottom, rows)
    x, wide = edges(left, right, columns)
    none = torch.zeros_like(x)
    theta = torch.stack(
        [wide / width, none, (2 * x + wide) / width - 1, none, tall / height, (2 * y + tall) / height - 1], dim=-1
    )
    grids = F.affine_grid(theta.view(-1, 2, 3), [count * cells, 1, side, side], align_corners=False)
    tiles = F.grid_sample(images.repeat_interleave(cells, dim=0), grids, mode="bilinear", align_corners=False)
    return tiles.unflatten(0, (count, cells))


def reorder(tiles: Tensor, order: Tensor) -> Tensor:
    """Tiles (N, T, ...) with tile `order[n, j]` at position j; `order` is (N, T). `order.argsort(1)` undoes it."""
    return tiles[torch.arange(len(tiles), device=tiles.device)[:, None], order]


def blank(tiles: Tensor, least: float = 0.05) -> Tensor:
    """Which of the tiles (..., C, S, S) have less than `least` tissue in every channel: bool (...)."""
    return ((tiles != 0).float().mean((-2, -1)) < least).all(-1)


def standardised(tiles: Tensor) -> Tensor:
    """Each of the tiles (..., C, S, S) with mean 0 and standard deviation 1; a constant tile becomes 0."""
    sd, mean = torch.std_mean(tiles, dim=(-3, -2, -1), keepdim=True, correction=0)
    return (tiles - mean) / sd.clamp_min(1e-3)
