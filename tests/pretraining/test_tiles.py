import torch

from mcd.pretraining.tiles import blank, cut_tiles, reorder, standardised, tile_side


def test_tiles_of_a_slice_full_of_body_put_together_are_the_slice() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 2, 96, 96) + 1
    tiles = cut_tiles(images, grid=3, side=32)
    rows = torch.cat(list(tiles.unflatten(1, (3, 3)).unbind(2)), dim=-1)
    torch.testing.assert_close(torch.cat(list(rows.unbind(1)), dim=-2), images, atol=1e-4, rtol=0)


def test_tiles_cover_the_body_and_not_the_slice() -> None:
    images = torch.zeros(1, 1, 96, 96)
    body = torch.rand(48, 60) + 1
    images[0, 0, 10:58, 30:90] = body
    whole = cut_tiles(images, grid=1, side=60)[0, 0, 0]
    wide = torch.nn.functional.interpolate(body[None, None], (60, 60), mode="bilinear")[0, 0]
    torch.testing.assert_close(whole[2:-2, 2:-2], wide[2:-2, 2:-2], atol=1e-4, rtol=0)
    assert not blank(cut_tiles(images, grid=3, side=16)).any()


def test_a_tip_of_the_body_is_not_magnified_beyond_measure() -> None:
    images = torch.zeros(1, 1, 64, 64)
    images[0, 0, 30:34, 30:34] = 1
    whole = cut_tiles(images, grid=1, side=64)[0, 0, 0]
    assert (whole > 0.5).sum() == 8 * 8  # from 4x4: the box is half of the slice


def test_jitter_moves_a_tile_within_its_cell() -> None:
    torch.manual_seed(0)
    ramp = torch.arange(96.0)[None, None, None, :].expand(200, 1, 96, 96) + 1
    tiles = cut_tiles(ramp, grid=3, side=16, share=0.75, jitter=True)
    starts = tiles[:, :, 0, 8, 0] - tiles[:, :3, 0, 8, 0].mean(0).repeat(3)
    assert starts.std() > 1
    middle = tiles[..., 8, :].mean(-1)[:, :, 0] - 0.5  # position of a tile's centre
    cell = torch.arange(3).repeat(3) * 32
    assert (middle - 12 >= cell - 1e-3).all()
    assert (middle + 12 <= cell + 32 + 1e-3).all()
    fixed = cut_tiles(ramp, grid=3, side=16, share=0.75)[..., 8, :].mean(-1)[:, :, 0] - 0.5
    torch.testing.assert_close(fixed, (cell + 16.0).expand(200, -1), atol=1e-3, rtol=0)


def test_a_reordering_is_undone_by_its_inverse() -> None:
    torch.manual_seed(0)
    tiles, order = torch.randn(4, 9, 1, 2, 2), torch.rand(4, 9).argsort(1)
    shuffled = reorder(tiles, order)
    assert all(torch.equal(shuffled[n, j], tiles[n, order[n, j]]) for n in range(4) for j in range(9))
    assert torch.equal(reorder(shuffled, order.argsort(1)), tiles)


def test_standardised_tiles_do_not_tell_their_brightness() -> None:
    torch.manual_seed(0)
    tiles = torch.randn(2, 9, 1, 16, 16)
    torch.testing.assert_close(standardised(tiles * 3 + 7), standardised(tiles), atol=1e-4, rtol=0)
    torch.testing.assert_close(standardised(tiles).mean((2, 3, 4)), torch.zeros(2, 9), atol=1e-5, rtol=0)
    torch.testing.assert_close(standardised(tiles).square().mean((2, 3, 4)), torch.ones(2, 9), atol=1e-5, rtol=0)
    assert torch.equal(standardised(torch.full((1, 1, 1, 4, 4), 5.0)), torch.zeros(1, 1, 1, 4, 4))


def test_sides_are_multiples_of_16_near_a_quarter() -> None:
    assert [tile_side((side, side)) for side in (32, 64, 96, 128, 144, 160, 256)] == [16, 16, 32, 32, 32, 32, 64]
    assert tile_side((64, 160), smallest=2) == 32


def test_blank_looks_at_every_channel() -> None:
    tiles = torch.zeros(1, 3, 2, 8, 8)
    tiles[0, 1, 0] = 1
    tiles[0, 2, :, 0, 0] = 1
    assert blank(tiles).tolist() == [[True, False, True]]
