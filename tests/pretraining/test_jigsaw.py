import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from wiring import assert_one_loss, watch

from mcd.errors import McdError
from mcd.pretraining.jigsaw import TILES, Jigsaw, distant_permutations
from mcd.pretraining.options import JigsawOptions
from mcd.slices.batches import Batch


def _jigsaw(filters: int = 4, **options: Any) -> Jigsaw:
    torch.manual_seed(0)
    return Jigsaw(JigsawOptions(**options), filters, ("A",), (64, 64))


def _distances(table: np.ndarray) -> np.ndarray:
    return (table[:, None] != table[None]).sum(-1)[np.triu_indices(len(table), 1)]


def test_permutations_are_distinct_and_far_apart() -> None:
    table = distant_permutations(100)
    assert table.shape == (100, TILES)
    assert all(sorted(row) == list(range(TILES)) for row in table.tolist())
    distances = _distances(table)
    assert distances.min() == 6
    assert math.isclose(distances.mean(), 8.08, abs_tol=0.005)
    # the same on every machine, or a resumed training would change its classes
    digest = hashlib.sha256(table.astype(np.uint8).tobytes()).hexdigest()
    assert digest.startswith("f106418522bdb91c")


def test_the_choice_is_greedy() -> None:
    """Against a plain search, on 5 tiles: no candidate beats the one taken."""
    table = distant_permutations(12, tiles=5)
    everything = distant_permutations(120, tiles=5)
    for taken in range(1, 12):

        def rank(row: np.ndarray, taken: int = taken) -> tuple[int, int]:
            distances = (table[:taken] != row).sum(1)
            return int(distances.min()), int(distances.sum())

        assert rank(table[taken]) == max(rank(row) for row in everything)


def test_four_tiles_have_24_orders() -> None:
    everything = distant_permutations(24, tiles=4)
    assert len({tuple(row) for row in everything.tolist()}) == 24
    assert _distances(everything).min() == 2
    with pytest.raises(McdError, match="jigsaw: permutations: 25; give between 2 and the 24"):
        distant_permutations(25, tiles=4)


def test_a_new_network_guesses(bodies: Callable[..., Batch]) -> None:
    losses = _jigsaw().losses(bodies(24), "network")
    assert abs(losses["total"].item() - math.log(100)) < 0.4
    assert losses["blank_tiles"] == 0


def test_the_label_is_the_order_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles that are standing waves of their own: an encoder that knows them, and a table look-up, are always right."""
    method = _jigsaw(permutations=20, embedding=TILES, tile_share=1.0)
    wave = torch.arange(96.0)
    phase = torch.arange(9).view(3, 3).repeat_interleave(32, 0).repeat_interleave(32, 1) + 1
    batch = Batch(
        torch.cos(math.pi * wave * phase / 32)[None, None].repeat(16, 1, 1, 1),
        None,
        torch.arange(16),
        torch.zeros(16),
        torch.ones(16, 1),
    )
    known = torch.fft.rfft(torch.cos(math.pi * torch.arange(32.0) * torch.arange(1, 10).view(9, 1) / 32)).abs()

    def recognise(tiles: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.rfft(tiles[:, 0].mean(1)).abs()
        similarity = torch.nn.functional.cosine_similarity(spectrum[:, None], known, dim=-1)
        return torch.nn.functional.one_hot(similarity.argmax(1), TILES).float()

    monkeypatch.setattr(method.encoder, "forward", recognise)
    monkeypatch.setattr(method.embed, "forward", lambda tiles: tiles)
    weights = torch.nn.functional.one_hot(method.permutations, TILES).float().flatten(1)
    monkeypatch.setattr(method.classify, "forward", lambda embedded: 100 * embedded @ weights.T)
    method.side = 32
    losses = method.losses(batch, "network")
    assert losses["accuracy"] == 1
    assert losses["total"] < 1e-6


def test_learns_the_orders_of_one_batch(bodies: Callable[..., Batch], learn: Callable[..., Any]) -> None:
    rows = learn(_jigsaw(permutations=4, embedding=64), bodies(8), 25)
    early, late = (np.mean([row["total"] for row in part]) for part in (rows[:5], rows[-5:]))
    assert late < 0.7 * early
    assert np.mean([row["accuracy"] for row in rows[-5:]]) > 0.6


def test_tiles_are_cut_with_gaps_at_random_places_standardised_and_shuffled(bodies: Callable[..., Batch]) -> None:
    """What the encoder saw is cut by hand with the same random numbers, from slices full of body; then the total."""
    torch.manual_seed(0)
    images = torch.nn.functional.interpolate(torch.randn(4, 1, 9, 9), (64, 64), mode="bicubic") + 10
    batch = Batch(images, None, torch.arange(4), torch.zeros(4), torch.ones(4, 1))
    method = _jigsaw(permutations=20, embedding=16, tile_share=0.6)
    seen = watch(method.encoder)
    torch.manual_seed(1)
    losses = method.losses(batch, "network")
    (shown,) = seen
    assert shown.shape == (36, 1, 32, 32)

    torch.manual_seed(1)
    down, right = torch.rand(4, TILES), torch.rand(4, TILES)  # where a tile lies in its cell
    orders = torch.randint(20, (4,))
    table = distant_permutations(20)
    cell, side = 64 / 3, 0.6 * 64 / 3
    places = (np.arange(32) + 0.5) / 32 * side - 0.5
    starts = set()
    for n in range(4):
        for position, tile in enumerate(table[orders[n]]):
            row, column = divmod(int(tile), 3)
            top = cell * row + (cell - side) * down[n, tile].item()
            left = cell * column + (cell - side) * right[n, tile].item()
            grid = np.meshgrid(top + places, left + places, indexing="ij")
            cut = map_coordinates(images[n, 0].numpy().astype(float), grid, order=1, mode="grid-constant")
            cut = (cut - cut.mean()) / cut.std()
            np.testing.assert_allclose(shown[9 * n + position, 0].numpy(), cut, atol=2e-3)
            starts.add((round(top - cell * row, 3), round(left - cell * column, 3)))
    assert len(starts) == 36

    embedded = method.embed(method.encoder(shown)).view(4, -1)
    costs = [-torch.log_softmax(method.classify(row), 0)[order] for row, order in zip(embedded, orders, strict=True)]
    assert assert_one_loss(losses["total"], torch.stack(costs).mean(), method) == {"encoder", "embed", "classify"}
    found = [method.classify(row).argmax().item() for row in embedded]
    assert losses["accuracy"].item() == pytest.approx(np.mean([f == o for f, o in zip(found, orders, strict=True)]))


def test_each_tile_that_the_encoder_sees_has_mean_0_and_sd_1(bodies: Callable[..., Batch]) -> None:
    method = _jigsaw(permutations=20, embedding=16)
    batch = bodies(8)
    batch = replace(batch, images=torch.where(batch.images != 0, 5 * batch.images + 30, 0.0))
    seen = watch(method.encoder)
    losses = method.losses(batch, "network")
    assert losses["blank_tiles"] == 0
    torch.testing.assert_close(seen[0].mean((1, 2, 3)), torch.zeros(72), atol=1e-4, rtol=0)
    torch.testing.assert_close(seen[0].std((1, 2, 3), correction=0), torch.ones(72), atol=1e-4, rtol=0)
