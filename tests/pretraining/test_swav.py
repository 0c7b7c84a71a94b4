"""SwAV."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from mcd.pretraining.options import SwAVOptions
from mcd.pretraining.swav import SwAV


def make(**options: Any) -> SwAV:
    torch.manual_seed(0)
    defaults = {"prototypes": 12, "small_views": 2, "queue": 16}
    method = SwAV(SwAVOptions(**{**defaults, **options}), 4, ["A"], (32, 32))
    method.before_epoch(5, 10)
    return method


def test_learns_without_collapse(bodies: Callable[..., Any], learn: Callable[..., Any]) -> None:
    method = make(crop=(0.8, 1.0), small_crop=(0.5, 0.8), small_views=1, noise=0.1)
    rows = learn(method, bodies(size=(32, 32)), 40, 3e-3)
    totals = [row["total"] for row in rows]
    assert np.mean(totals[-5:]) < 0.9 * np.mean(totals[:5])
    assert rows[-1]["embedding_sd"] > 0.3
    assert rows[-1]["prototypes_used"] > 0.3


def test_prototypes_stand_still_at_first_and_stay_of_length_one(
    bodies: Callable[..., Any], learn: Callable[..., Any]
) -> None:
    method = make()
    before = method.prototypes.weight.detach().clone()
    method.before_epoch(0, 10)
    learn(method, bodies(size=(32, 32)), 2)
    assert torch.allclose(method.prototypes.weight, before, atol=1e-6)
    method.before_epoch(1, 10)
    learn(method, bodies(size=(32, 32)), 2)
    assert not torch.allclose(method.prototypes.weight, before, atol=1e-4)
    method.prototypes.renormalise()
    assert torch.allclose(method.prototypes.weight.norm(dim=1), torch.ones(12))


def test_the_queue_holds_the_latest_embeddings_first_and_waits_until_it_is_full(bodies: Callable[..., Any]) -> None:
    method = make(queue=12)
    draws = [torch.nn.functional.normalize(torch.randn(2, 8, 128), dim=2) for _ in range(3)]
    alone = method._codes(draws[0])
    assert torch.equal(method.queue[:, :8], draws[0])
    assert not method.queue[:, 8:].any()
    method.queue.zero_()
    method._codes(draws[1])
    assert torch.equal(method._codes(draws[0]), alone)  # not full yet: of no consequence
    assert torch.equal(method.queue[:, 8:], draws[1][:, :4])
    with_queue = method._codes(draws[0])
    assert not torch.allclose(with_queue, alone)
    assert torch.allclose(with_queue.sum(2), torch.ones(2, 8), atol=1e-5)


def test_the_queue_takes_part_from_its_start_on_only() -> None:
    method = make()
    method.queue.copy_(torch.nn.functional.normalize(torch.randn_like(method.queue), dim=2))
    z = torch.nn.functional.normalize(torch.randn(2, 8, 128), dim=2)
    queue = method.queue.clone()
    method.before_epoch(0, 200)
    early = method._codes(z)
    method.queue.copy_(queue)
    method.before_epoch(15, 200)
    assert not torch.allclose(method._codes(z), early)


def test_small_views_are_small_and_may_be_left_out(bodies: Callable[..., Any]) -> None:
    assert make().small_size == (16, 16)
    assert make()._embeddings(bodies(size=(32, 32))).shape == (4, 8, 128)
    assert make(small_views=0)._embeddings(bodies(size=(32, 32))).shape == (2, 8, 128)


def test_large_scores_do_not_overflow_the_codes() -> None:
    method = make(epsilon=0.005)  # exp(1 / 0.005) has no float32
    z = torch.nn.functional.normalize(torch.randn(2, 8, 128), dim=2)
    with torch.no_grad():
        method.prototypes.weight[:2] = z[0, :2]
    assert method._codes(z).isfinite().all()
