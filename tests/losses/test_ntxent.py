"""NT-Xent against a double loop in double precision, and its invariants."""

import math

import numpy as np
import pytest
import torch

from mcd.losses.ntxent import nt_xent


def by_hand(a: torch.Tensor, b: torch.Tensor, temperature: float) -> float:
    """Eq. 1 of SimCLR, one pair and one term at a time."""
    views = [row / np.linalg.norm(row) for row in torch.cat([a, b]).double().numpy()]
    count, losses = len(a), []
    for i in range(2 * count):
        partner = (i + count) % (2 * count)
        terms = [math.exp(float(views[i] @ views[k]) / temperature) for k in range(2 * count) if k != i]
        losses.append(-math.log(math.exp(float(views[i] @ views[partner]) / temperature) / sum(terms)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_equals_the_formula(temperature: float) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(5, 7), torch.randn(5, 7) * 3
    assert nt_xent(a, b, temperature).item() == pytest.approx(by_hand(a, b, temperature), rel=1e-5)


def test_is_symmetric_in_the_views_and_blind_to_length() -> None:
    torch.manual_seed(1)
    a, b = torch.randn(4, 6), torch.randn(4, 6)
    assert torch.allclose(nt_xent(a, b), nt_xent(b, a))
    assert torch.allclose(nt_xent(a, b), nt_xent(5 * a, 0.1 * b), rtol=1e-5)


def test_of_embeddings_that_are_all_alike_is_the_logarithm_of_the_choices() -> None:
    z = torch.ones(6, 3)
    assert nt_xent(z, z).item() == pytest.approx(math.log(11), rel=1e-6)


def test_survives_half_precision_where_an_exponential_would_overflow() -> None:
    z = torch.eye(4, dtype=torch.float16)
    assert nt_xent(z, z, temperature=0.01).item() == pytest.approx(0, abs=1e-6)


def test_refuses_a_single_pair() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        nt_xent(torch.ones(1, 3), torch.ones(1, 3))
