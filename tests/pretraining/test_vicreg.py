"""VICReg."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from wiring import RESTLESS, assert_all_differ, assert_one_loss, share_found, spread, watch

from mcd.errors import McdError
from mcd.pretraining.options import VICRegOptions
from mcd.pretraining.vicreg import VICReg, covariance_loss, variance_loss


def test_losses_equal_their_formulas() -> None:
    torch.manual_seed(0)
    z = torch.randn(6, 4).double()
    covariance = np.cov(z.numpy().T)
    expected = np.mean([max(0.0, 1 - np.sqrt(covariance[d, d] + 1e-4)) for d in range(4)])
    assert variance_loss(z).item() == pytest.approx(expected, rel=1e-9)
    expected = sum(covariance[i, j] ** 2 for i in range(4) for j in range(4) if i != j) / 4
    assert covariance_loss(z).item() == pytest.approx(expected, rel=1e-9)


def test_collapse_costs_variance_and_redundancy_costs_covariance() -> None:
    assert variance_loss(torch.ones(8, 4)).item() == pytest.approx(0.99, abs=1e-6)
    z = 3 * torch.randn(200, 1)
    assert variance_loss(z.repeat(1, 4)).item() == 0
    assert covariance_loss(z.repeat(1, 4)) > 10 * covariance_loss(3 * torch.randn(200, 4))


def test_learns_without_collapse(bodies: Callable[..., Any], learn: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    rows = learn(VICReg(VICRegOptions(crop=(0.8, 1.0)), 4, ["A"], (32, 32)), bodies(size=(32, 32)), 30)
    assert np.mean([row["total"] for row in rows[-5:]]) < 0.92 * np.mean([row["total"] for row in rows[:5]])
    assert rows[-1]["embedding_sd"] > 0.3


def test_the_total_is_eq_6_with_each_weight_at_its_own_term(bodies: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    options = VICRegOptions(invariance=2.0, variance=3.0, covariance=5.0, **RESTLESS)
    method = VICReg(options, 2, ["A"], (32, 32))
    seen = watch(method.encoder)
    losses = method.losses(bodies(size=(32, 32)), "network")
    (views,) = seen
    assert views.shape == (16, 1, 32, 32)
    assert_all_differ(views.chunk(2))

    z = method.expander(method.encoder(views)).unflatten(0, (2, 8))
    coordinates = z.shape[2]
    invariance = torch.stack([(a - b).square().sum() / coordinates for a, b in zip(*z, strict=True)]).mean()
    variance = covariance = torch.zeros(())
    for view in z:
        centred = view - view.mean(0)
        matrix = centred.T @ centred / 7
        sds = (matrix.diagonal() + 1e-4).sqrt()
        variance = variance + torch.stack([(1 - sd).clamp_min(0) for sd in sds]).mean()
        covariance = covariance + (matrix - matrix.diagonal().diag()).square().sum() / coordinates
    for name, value in (("invariance", invariance), ("variance", variance), ("covariance", covariance)):
        assert losses[name].item() == pytest.approx(value.item(), rel=1e-4)
        assert value.item() > 1e-3
    expected = 2 * invariance + 3 * variance + 5 * covariance
    assert assert_one_loss(losses["total"], expected, method) == {"encoder", "expander"}
    assert losses["accuracy"].item() == pytest.approx(share_found(*z))
    assert losses["embedding_sd"].item() == pytest.approx(spread(z[0]), rel=1e-4)


def test_the_expander_has_two_hidden_layers_four_times_as_wide_as_the_feature() -> None:
    layers = [layer for layer in VICReg(VICRegOptions(), 2, ["A"], (32, 32)).expander if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in layers] == [(32, 128), (128, 128), (128, 128)]


@pytest.mark.parametrize("loss", ["invariance", "variance", "covariance"])
def test_one_loss_is_enough_and_none_is_refused(loss: str) -> None:
    none = dict.fromkeys(("invariance", "variance", "covariance"), 0.0)
    assert getattr(VICRegOptions.read({**none, loss: 0.5}, "vicreg"), loss) == 0.5
    with pytest.raises(McdError, match="all weights are 0"):
        VICRegOptions.read(none, "vicreg")
