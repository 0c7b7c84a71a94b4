"""VICReg."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

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
