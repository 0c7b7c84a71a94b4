import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from wiring import assert_one_loss, watch

from mcd.pretraining.options import RotationOptions
from mcd.pretraining.rotation import Rotation, all_turns
from mcd.slices.batches import Batch


def _rotation(**options: Any) -> Rotation:
    torch.manual_seed(0)
    return Rotation(RotationOptions(**options), 4, ("A",), (64, 64))


def test_turns_are_lossless_and_four_of_them_are_none() -> None:
    torch.manual_seed(0)
    images = torch.randn(3, 1, 32, 32)
    turned = all_turns(images).unflatten(0, (4, 3))
    assert torch.equal(turned[0], images)
    for turns in range(4):
        assert torch.equal(all_turns(turned[turns]).unflatten(0, (4, 3))[(4 - turns) % 4], images)
        assert torch.equal(turned[turns].flatten().sort()[0], images.flatten().sort()[0])
    assert torch.equal(
        turned[1][0, 0, 0], images[0, 0, :, -1]
    )  # counter-clockwise: the right column becomes the top row


def test_a_slice_is_padded_alike_on_both_sides_before_it_is_turned() -> None:
    turned = all_turns(torch.ones(1, 1, 32, 64))
    assert turned.shape == (4, 1, 64, 64)
    assert torch.equal(turned[0], turned[2])  # no border tells a half turn
    assert turned[0, 0, :16].sum() == turned[0, 0, 48:].sum() == 0


@pytest.mark.parametrize("copies", ["all", "one"])
def test_a_new_network_guesses(copies: str, bodies: Callable[..., Batch]) -> None:
    method = _rotation(copies=copies)
    losses = method.losses(bodies(32), "network")
    assert abs(losses["total"].item() - math.log(4)) < 0.2


def test_labels_are_the_turns_that_were_made(bodies: Callable[..., Batch], monkeypatch: pytest.MonkeyPatch) -> None:
    """With an encoder that finds the corner in which the marked quadrant is, the accuracy is 1; labels are even."""
    images = torch.zeros(64, 1, 32, 32)
    images[:, :, :16, 16:] = 1  # the upper right; quarter turns move it to the upper left, lower left, lower right
    corners = [(slice(0, 16), slice(16, 32)), (slice(0, 16), slice(0, 16))]
    corners += [(slice(16, 32), slice(0, 16)), (slice(16, 32), slice(16, 32))]
    batch = Batch(images, None, torch.arange(64), torch.zeros(64), torch.ones(64, 1))
    for copies in ("all", "one"):
        method = _rotation(copies=copies)
        seen: list[torch.Tensor] = []

        def find(turned: torch.Tensor, seen: list[torch.Tensor] = seen) -> torch.Tensor:
            scores = torch.stack([turned[:, 0, rows, columns].mean((1, 2)) for rows, columns in corners], dim=1)
            seen.append(scores.argmax(1))
            return 100 * scores

        monkeypatch.setattr(method.encoder, "forward", find)
        monkeypatch.setattr(method.head, "forward", lambda scores: scores)
        losses = method.losses(batch, "network")
        assert losses["accuracy"] == 1
        assert losses["total"] < 1e-6
        counts = seen[0].bincount(minlength=4)
        assert counts.tolist() == [64] * 4 if copies == "all" else counts.min() > 5


def test_learns_one_batch(bodies: Callable[..., Batch], learn: Callable[..., Any]) -> None:
    rows = learn(_rotation(), bodies(), 12)
    assert rows[-1]["total"] < 0.5 * rows[0]["total"]
    assert rows[-1]["accuracy"] > 0.9


@pytest.mark.parametrize("copies", ["all", "one"])
def test_the_total_is_the_mean_cross_entropy_of_the_turns_seen(copies: str, bodies: Callable[..., Batch]) -> None:
    """A slice that is not square: which turn the encoder saw is found by numpy; the gradient reaches encoder and head."""
    method, batch = _rotation(copies=copies), bodies(12, size=(32, 48))
    seen = watch(method.encoder)
    losses = method.losses(batch, "network")
    (shown,) = seen
    square = np.pad(batch.images.numpy(), ((0, 0), (0, 0), (8, 8), (0, 0)))
    turned = [np.rot90(square, turns, axes=(2, 3)) for turns in range(4)]
    which = [
        [(n, turns) for n in range(12) for turns in range(4) if np.array_equal(view, turned[turns][n])]
        for view in shown.numpy()
    ]
    assert all(len(found) == 1 for found in which)
    pairs = [found[0] for found in which]
    if copies == "all":
        assert sorted(pairs) == [(n, turns) for n in range(12) for turns in range(4)]
    else:
        assert [n for n, _ in pairs] == list(range(12))

    logits = method.head(method.encoder(shown))
    costs = [-torch.log(row.exp()[turns] / row.exp().sum()) for row, (_, turns) in zip(logits, pairs, strict=True)]
    assert assert_one_loss(losses["total"], torch.stack(costs).mean(), method) == {"encoder", "head"}
    right = [row.argmax().item() == turns for row, (_, turns) in zip(logits, pairs, strict=True)]
    assert losses["accuracy"].item() == pytest.approx(np.mean(right))
