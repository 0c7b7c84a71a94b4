"""BYOL."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from wiring import RESTLESS, STILL, assert_all_differ, assert_one_loss, share_found, spread, watch

from mcd.pretraining.byol import BYOL, momentum, prediction_distance
from mcd.pretraining.options import BYOLOptions


@pytest.fixture
def method() -> BYOL:
    torch.manual_seed(0)
    return BYOL(BYOLOptions(), 4, ["A"], (32, 32))


def test_distance_is_that_of_unit_vectors() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(5, 4), torch.randn(5, 4)
    units = [z / z.norm(dim=1, keepdim=True) for z in (a, b)]
    assert prediction_distance(a, b).item() == pytest.approx(
        (units[0] - units[1]).square().sum(1).mean().item(), rel=1e-5
    )
    assert prediction_distance(a, 2 * a).item() == pytest.approx(0, abs=1e-6)
    assert prediction_distance(a, -a).item() == pytest.approx(4, abs=1e-6)


def test_momentum_rises_from_its_start_to_one() -> None:
    assert momentum(0.99, 0) == 0.99
    assert momentum(0.99, 1) == 1
    assert momentum(0.9, 0.5) == pytest.approx(0.95)
    assert momentum(0.9, 0.25) == pytest.approx(1 - 0.1 * (math.cos(math.pi / 4) + 1) / 2)


def test_no_gradient_reaches_the_target_and_no_optimiser_owns_it(method: BYOL, bodies: Callable[..., Any]) -> None:
    method.losses(bodies(size=(32, 32)), "network")["total"].backward()
    target = [*method.target_encoder.parameters(), *method.target_head.parameters()]
    assert all(parameter.grad is None for parameter in target)
    owned = {id(parameter) for parameter in method.players()["network"]}
    assert not owned & {id(parameter) for parameter in target}
    assert all(parameter.grad is not None for parameter in method.players()["network"])


def test_the_target_starts_as_a_copy_and_follows_after_a_step(method: BYOL) -> None:
    online = nn.ModuleList([method.encoder, method.head])
    target = nn.ModuleList([method.target_encoder, method.target_head])
    pairs = list(zip(online.parameters(), target.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    with torch.no_grad():
        for a, _ in pairs:
            a.add_(1.0)
    method.after_step(1, 1000)
    decay = momentum(0.99, 1 / 1000)
    assert all(torch.allclose(a - b, torch.tensor(decay), atol=1e-5) for a, b in pairs)
    before = [b.clone() for _, b in pairs]
    method.after_step(1000, 1000)
    assert all(torch.equal(b, old) for (_, b), old in zip(pairs, before, strict=True))


def test_heads_have_the_batch_normalisation_that_keeps_small_batches_from_collapse(method: BYOL) -> None:
    assert any(isinstance(layer, nn.BatchNorm1d) for layer in method.head)
    assert any(isinstance(layer, nn.BatchNorm1d) for layer in method.predictor)


def test_learns_without_collapse(bodies: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    method = BYOL(BYOLOptions(crop=(0.8, 1.0)), 4, ["A"], (32, 32))
    batch = bodies(size=(32, 32))
    optimizer = torch.optim.Adam(method.players()["network"], lr=1e-3)
    totals = []
    for step in range(30):
        losses = method.losses(batch, "network")
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
        method.after_step(step + 1, 1000)
        totals.append(float(losses["total"].detach()))
    assert np.mean(totals[-5:]) < 0.7 * np.mean(totals[:5])
    assert losses["embedding_sd"] > 0.3


def drifted(**options: Any) -> BYOL:
    """A method whose target has moved away from the network."""
    torch.manual_seed(0)
    method = BYOL(BYOLOptions(projection=6, **options), 4, ["A"], (32, 32))
    with torch.no_grad():
        for parameter in [*method.target_encoder.parameters(), *method.target_head.parameters()]:
            parameter.add_(0.3 * torch.randn_like(parameter))
    return method


def test_each_views_prediction_is_compared_with_the_targets_embedding_of_the_other(bodies: Callable[..., Any]) -> None:
    """Eq. 2, both ways round, by hand from what the networks saw; the gradient is the online network's alone."""
    method = drifted(**RESTLESS, blurred_other=0.1)
    online, target = watch(method.encoder), watch(method.target_encoder)
    losses = method.losses(bodies(size=(32, 32)), "network")
    views = list(online)
    assert [view.shape for view in views] == [(8, 1, 32, 32)] * 2
    assert all(map(torch.equal, views, target))
    assert_all_differ(views)

    z = [method.head(method.encoder(view)) for view in views]
    q = [method.predictor(embedding) for embedding in z]
    t = [method.target_head(method.target_encoder(view)).detach() for view in views]
    expected = torch.zeros(())
    for one, other in ((0, 1), (1, 0)):
        for n in range(8):
            prediction, goal = q[one][n] / q[one][n].norm(), t[other][n] / t[other][n].norm()
            expected = expected + (prediction - goal).square().sum() / 8
    assert assert_one_loss(losses["total"], expected, method) == {"encoder", "head", "predictor"}
    assert losses["accuracy"].item() == pytest.approx(share_found(*z))
    assert losses["embedding_sd"].item() == pytest.approx(spread(z[0]), rel=1e-4)


def test_one_view_is_always_blurred_and_the_other_as_often_as_its_option_says(bodies: Callable[..., Any]) -> None:
    method, batch = drifted(crop=(1.0, 1.0), **{**STILL, "blur": 2.0}), bodies(size=(32, 32))
    seen = watch(method.encoder)
    for first, other in ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0)):
        method.options = method.options.model_copy(update={"blurred": first, "blurred_other": other})
        method.losses(batch, "network")
    *views, sharp, again = seen
    assert torch.equal(sharp, again)
    roughness = [(view.diff(dim=3).abs().mean() / sharp.diff(dim=3).abs().mean()).item() for view in views]
    assert [smooth < 0.8 for smooth in roughness] == [True, False, False, True]
    assert roughness[1] == roughness[2] == 1


def test_the_network_is_handed_over_and_not_its_target() -> None:
    method = drifted()
    state, own = method.unet_state("A"), method.encoder.state_dict()
    assert state.keys() == own.keys()
    assert all(torch.equal(state[key], own[key]) for key in own)
    assert not torch.equal(state["encoder.0.0.weight"], method.target_encoder.state_dict()["encoder.0.0.weight"])
