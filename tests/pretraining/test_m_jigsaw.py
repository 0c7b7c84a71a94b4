from collections.abc import Callable
from typing import Any

import pytest
import torch
from wiring import assert_one_loss, watch

from mcd.errors import McdError
from mcd.pretraining.m_jigsaw import MJigsaw, mixed, reassembled
from mcd.pretraining.options import MJigsawOptions
from mcd.pretraining.tiles import reorder
from mcd.slices.batches import Batch


def _m_jigsaw(**options: Any) -> MJigsaw:
    torch.manual_seed(0)
    return MJigsaw(MJigsawOptions(**options), 4, ("A", "B"), (64, 64))


def test_the_right_permutation_costs_nothing_and_its_transpose_does() -> None:
    torch.manual_seed(0)
    tiles, places = torch.randn(6, 9, 1, 4, 4), torch.rand(6, 9).argsort(1)
    shuffled = reorder(tiles, places)
    right = torch.nn.functional.one_hot(places, 9).float()  # row j: shuffled tile j belongs at places[j]
    assert torch.equal(reassembled(right, shuffled), tiles)
    assert (reassembled(right.mT, shuffled) - tiles).square().mean() > 0.1


def test_a_soft_permutation_mixes_tiles() -> None:
    torch.manual_seed(0)
    soft, shuffled = torch.rand(2, 4, 4), torch.randn(2, 4, 1, 3, 3)
    result = reassembled(soft, shuffled)
    for n in range(2):
        for place in range(4):
            expected = sum(soft[n, j, place] * shuffled[n, j] for j in range(4))
            torch.testing.assert_close(result[n, place], expected)


def test_each_tile_shows_one_modality() -> None:
    torch.manual_seed(0)
    tiles = torch.stack([torch.zeros(50, 9, 8, 8), torch.ones(50, 9, 8, 8)], dim=2)
    one = mixed(tiles)
    assert one.shape == (50, 9, 1, 8, 8)
    shares = one.mean((2, 3, 4))
    assert set(shares.unique().tolist()) == {0.0, 1.0}
    assert 0.4 < shares.mean() < 0.6


def test_an_encoder_that_knows_the_places_solves_the_puzzle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tile i is i + 1 in one modality and 100 more in the other; in the target each shows the one that it was given."""
    numbers = torch.arange(1.0, 10).view(3, 3).repeat_interleave(32, 0).repeat_interleave(32, 1)
    batch = Batch(
        torch.stack([numbers, numbers + 100])[None].repeat(8, 1, 1, 1),
        None,
        torch.arange(8),
        torch.zeros(8),
        torch.ones(8, 2),
    )
    method = _m_jigsaw(iterations=5)
    monkeypatch.setattr(method.score, "forward", lambda features: features)

    def place(tiles: torch.Tensor, scale: float = 100) -> torch.Tensor:
        return scale * torch.nn.functional.one_hot((tiles.mean((1, 2, 3)) % 100).round().long() - 1, 9).float()

    monkeypatch.setattr(method.encoder, "forward", place)
    losses = method.losses(batch, "network")
    assert losses["total"] < 1e-6
    assert losses["accuracy"] == 1
    monkeypatch.setattr(method.encoder, "forward", lambda tiles: place(tiles, scale=0))
    undecided = method.losses(batch, "network")  # every place gets the mean of all tiles
    assert undecided["total"] > 100


def test_blank_tiles_do_not_count(bodies: Callable[..., Batch]) -> None:
    batch = Batch(torch.zeros(2, 2, 64, 64), None, torch.arange(2), torch.zeros(2), torch.ones(2, 2))
    losses = _m_jigsaw().losses(batch, "network")
    assert losses["blank_tiles"] == 1
    assert losses["accuracy"] == 0
    assert losses["total"] == 0


def test_one_encoder_is_handed_back_for_both() -> None:
    method = _m_jigsaw()
    a, b = method.unet_state("A"), method.unet_state("B")
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_learns_one_batch(bodies: Callable[..., Batch], learn: Callable[..., Any]) -> None:
    rows = learn(_m_jigsaw(), bodies(8, 2), 15)
    assert rows[-1]["total"] < 0.7 * rows[0]["total"]
    assert rows[-1]["accuracy"] > 0.5


def test_a_puzzle_of_one_tile_is_refused() -> None:
    with pytest.raises(McdError, match=r"grid: .* greater than or equal to 2"):
        MJigsawOptions.read({"grid": 1}, "m_jigsaw")


def test_the_total_compares_the_puzzle_put_together_by_s_transposed_with_the_ordered_one() -> None:
    """Tiles tell their place and modality, so that the ordered puzzle is known from what the encoder saw."""
    torch.manual_seed(0)
    method = MJigsaw(MJigsawOptions(temperature=0.25, iterations=3, tile_share=1.0), 4, ("A", "B"), (96, 96))
    numbers = (torch.arange(9.0).view(3, 3) - 4).repeat_interleave(32, 0).repeat_interleave(32, 1)  # 0: a blank tile
    images = torch.stack([numbers, torch.where(numbers != 0, numbers + 20, 0.0)])[None].repeat(4, 1, 1, 1) / 4
    images[:, :, 31:65, 31:65] = 0  # with a margin for the interpolation
    seen = watch(method.encoder)
    losses = method.losses(Batch(images, None, torch.arange(4), torch.zeros(4), torch.ones(4, 2)), "network")
    shown = seen[0].unflatten(0, (4, 9))
    values = (4 * shown.flatten(2).median(2).values).round().long()
    assert len(values[values > 10]) > 5  # both modalities are seen
    assert len(values[values < 10]) > 5
    places = torch.where(values > 10, values - 20, values) + 4
    assert all(sorted(row) == list(range(9)) for row in places.tolist())
    assert len({tuple(row) for row in places.tolist()}) == 4

    scores = method.score(method.encoder(seen[0])).view(4, 9, 9)
    total, right = torch.zeros(()), []
    for n in range(4):
        soft = (scores[n] / 0.25).exp()
        for _ in range(3):
            soft = soft / soft.sum(0, keepdim=True)
            soft = soft / soft.sum(1, keepdim=True)
        for place in range(9):
            found = sum(soft[j, place] * shown[n, j] for j in range(9))
            ordered = shown[n, places[n].tolist().index(place)]
            total = total + (found - ordered).square().mean() / 36
        right += [soft[j].argmax() == places[n, j] for j in range(9) if values[n, j] != 0]
    assert assert_one_loss(losses["total"], total, method) == {"encoder", "score"}
    assert losses["accuracy"].item() == pytest.approx(sum(map(bool, right)) / 32)
    assert losses["blank_tiles"].item() == pytest.approx(1 / 9)
