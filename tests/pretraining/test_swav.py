"""SwAV."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from wiring import RESTLESS, STILL, assert_all_differ, assert_one_loss, extent, share_found, slope, spread, watch

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
    method.before_epoch(5, 10)
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


def codes_of(scores: Tensor, epsilon: float, iterations: int) -> Tensor:
    """The authors' pseudo-code, of scores (N, K)."""
    q = (scores.double() / epsilon).exp().T
    q = q / q.sum()
    prototypes, count = q.shape
    for _ in range(iterations):
        q = q / q.sum(1, keepdim=True) / prototypes
        q = q / q.sum(0, keepdim=True) / count
    return (q / q.sum(0, keepdim=True)).T.float()


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("queued", [False, True])
def test_the_total_and_its_gradients_are_those_of_the_swapped_prediction(
    queued: bool, frozen: bool, bodies: Callable[..., Any]
) -> None:
    """By hand from what the encoder saw: prototypes of length 1, codes of the large views alone, predictions of all others."""
    options = {"temperature": 0.2, "epsilon": 0.05, "sinkhorn_iterations": 2, "projection": 6, **RESTLESS}
    options |= {"small_crop": (0.05, 0.3), "small_size": 0.5, "queue_start": 0.5, "frozen_epochs": 7 if frozen else 1}
    method = make(prototypes=5, small_views=3, queue=10, **options)
    past = F.normalize(torch.randn(2, 10, 6), dim=2)
    if queued:
        method.queue.copy_(past)
    method.before_epoch(5, 10)
    with torch.no_grad():
        method.prototypes.weight.mul_(torch.rand(5, 1) + 2)  # as after a step of the optimiser
    before = method.prototypes.weight.detach().clone()
    seen = watch(method.encoder)
    losses = method.losses(bodies(size=(32, 32)), "network")
    large, small = list(seen)
    assert large.shape == (2 * 8, 1, 32, 32)
    assert small.shape == (3 * 8, 1, 16, 16)
    assert_all_differ(large.chunk(2))
    assert_all_differ(small.chunk(3))

    z = method.head(torch.cat([method.encoder(large), method.encoder(small)]))
    z = (z / z.norm(dim=1, keepdim=True)).view(5, 8, 6)
    torch.testing.assert_close(method.prototypes.weight, before / before.norm(dim=1, keepdim=True))
    prototypes = method.prototypes.weight.detach() if frozen else method.prototypes.weight
    total = torch.zeros(())
    for i in (0, 1):
        everyone = torch.cat([z[i], past[i]]) if queued else z[i]
        codes = codes_of(everyone.detach() @ prototypes.detach().T, 0.05, 2)[:8]
        for j in range(5):
            if j != i:
                predicted = torch.log_softmax(z[j] @ prototypes.T / 0.2, dim=1)
                total = total - (codes * predicted).sum() / 8 / (2 * 4)
    reached = assert_one_loss(losses["total"], total, method)
    assert reached == ({"encoder", "head"} if frozen else {"encoder", "head", "prototypes"})
    torch.testing.assert_close(method.queue, torch.cat([z[:2].detach(), past if queued else 0 * past], 1)[:, :10])

    assert losses["accuracy"].item() == pytest.approx(share_found(z[0], z[1]))
    assert losses["embedding_sd"].item() == pytest.approx(spread(z[0]), rel=1e-4)
    used = torch.softmax(z.detach() @ prototypes.detach().T / 0.2, dim=2).flatten(0, 1).mean(0).numpy()
    assert losses["prototypes_used"].item() == pytest.approx(np.exp(-(used * np.log(used)).sum()) / 5, rel=1e-4)


def test_large_views_are_large_crops_and_small_ones_small() -> None:
    method = make(crop=(0.64, 0.64), small_crop=(0.04, 0.04), small_views=2, small_size=0.5, **STILL)
    seen = watch(method.encoder)
    method.losses(slope(8, 32), "network")
    large, small = (extent(views) for views in seen)
    torch.testing.assert_close(large, torch.full((16,), 0.8 * 32), atol=1.0, rtol=0)
    torch.testing.assert_close(small, torch.full((16,), 0.2 * 32), atol=1.0, rtol=0)


def test_prototypes_are_frozen_and_the_queue_unused_for_as_long_as_the_options_say() -> None:
    method = make(frozen_epochs=2, queue_start=0.25)
    states = []
    for epoch in range(6):
        method.before_epoch(epoch, 12)
        states.append((method.frozen, method.uses_queue))
    assert states == [(True, False), (True, False), (False, False), (False, True), (False, True), (False, True)]
    method = make(queue=0, queue_start=0.0)
    method.before_epoch(0, 12)
    assert not method.uses_queue
