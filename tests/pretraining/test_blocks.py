"""Blocks that masked pre-trainings hide."""

import pytest
import torch
from torch.nn import functional as F

from mcd.errors import McdError
from mcd.pretraining.blocks import check_blocks, random_blocks


@pytest.mark.parametrize(
    ("size", "side", "share", "hidden"),
    [
        ((64, 64), 16, 0.75, 12),  # of 16
        ((160, 144), 16, 0.75, 68),  # 67.5 of 90, to the even neighbour
        ((48, 48), 16, 0.75, 7),  # 6.75 of 9
        ((48, 64), 8, 0.8, 38),  # 38.4 of 48
        ((32, 32), 16, 0.99, 3),  # never all of them
        ((32, 32), 16, 0.01, 1),  # never none
    ],
)
def test_every_slice_hides_the_same_number_of_whole_blocks(
    size: tuple[int, int], side: int, share: float, hidden: int
) -> None:
    torch.manual_seed(0)
    mask = random_blocks(50, size, side, share)
    assert mask.shape == (50, 1, *size)
    assert mask.dtype == torch.bool
    parts = F.avg_pool2d(mask.float(), side)  # of each block
    assert set(parts.unique().tolist()) == {0.0, 1.0}
    assert (parts.sum((1, 2, 3)) == hidden).all()


def test_blocks_are_drawn_anew_and_each_as_often_as_any_other() -> None:
    torch.manual_seed(0)
    mask = random_blocks(2000, (64, 64), 16, 0.75)
    assert len(mask[:20].flatten(1).unique(dim=0)) > 15
    often = F.avg_pool2d(mask.float(), 16).mean((0, 1))
    assert (often - 0.75).abs().max() < 5 * (0.75 * 0.25 / 2000) ** 0.5
    assert not torch.equal(mask, random_blocks(2000, (64, 64), 16, 0.75))


def test_where_a_side_does_not_divide_a_slice_the_last_blocks_are_cut_off() -> None:
    torch.manual_seed(0)
    mask = random_blocks(1, (32, 48), 20, 0.5)[0, 0]
    assert mask.shape == (32, 48)
    for rows in (slice(0, 20), slice(20, 32)):
        for columns in (slice(0, 20), slice(20, 40), slice(40, 48)):
            assert len(mask[rows, columns].unique()) == 1
    assert [bool(mask[y, x]) for y in (0, 20) for x in (0, 20, 40)].count(True) == 3


def test_a_slice_of_one_block_is_refused() -> None:
    check_blocks("mae", (32, 16), 16)
    with pytest.raises(McdError, match=r"mae: a slice of 32x32 pixels is a single block; lower `block`, now 32"):
        check_blocks("mae", (32, 32), 32)
