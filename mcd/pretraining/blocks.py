"""Square blocks of slices, drawn at random: what masked pre-trainings hide."""

import torch
from torch import Tensor

from mcd.errors import McdError


def check_blocks(algorithm: str, size: tuple[int, int], side: int) -> None:
    """Raise `McdError` if a slice of (height, width) has only one block, so that hiding it would leave nothing to see."""
    if max(size) <= side:
        raise McdError(
            f"{algorithm}: a slice of {size[0]}x{size[1]} pixels is a single block; lower `block`, now {side}"
        )


def random_blocks(
    count: int, size: tuple[int, int], side: int, share: float, device: torch.device | str = "cpu"
) -> Tensor:
    """A bool mask (count, 1, H, W), True in a `share` of the blocks of `side` x `side` pixels of each slice.

    The number of blocks is rounded, and is the same in every slice; at least one is True, and at least one False. Blocks at the
    lower and right edge are cut off where the side does not divide the slice's.
    """
    rows, columns = (-(-pixels // side) for pixels in size)
    blocks = rows * columns
    chosen = min(max(round(share * blocks), 1), blocks - 1)
    places = torch.rand(count, blocks, device=device).argsort(1)  # of the blocks, in a random order
    mask = (places < chosen).view(count, 1, rows, columns)
    return mask.repeat_interleave(side, 2).repeat_interleave(side, 3)[:, :, : size[0], : size[1]]
