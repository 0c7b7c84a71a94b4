"""The swapped prediction against loops, and the codes that it is given."""

import math

import pytest
import torch

from mcd.losses.sinkhorn import log_sinkhorn
from mcd.losses.swapped_prediction import swapped_prediction


def test_equals_the_sum_over_pairs_of_views() -> None:
    torch.manual_seed(0)
    scores, codes = torch.randn(5, 4, 6).double(), torch.rand(2, 4, 6).double()
    codes = codes / codes.sum(-1, keepdim=True)
    total = 0.0
    for i in range(2):
        of_this_code = 0.0
        for v in range(5):
            if v != i:
                for n in range(4):
                    whole = sum(math.exp(s / 0.1) for s in scores[v, n].tolist())
                    for k in range(6):
                        of_this_code -= (
                            codes[i, n, k].item() * math.log(math.exp(scores[v, n, k].item() / 0.1) / whole) / 4
                        )
        total += of_this_code / 4
    assert swapped_prediction(scores, codes, 0.1).item() == pytest.approx(total / 2, rel=1e-9)


def test_of_perfect_predictions_is_zero() -> None:
    codes = torch.eye(4).expand(2, 4, 4)
    assert swapped_prediction(codes.repeat(2, 1, 1), codes, 0.05).item() == pytest.approx(0, abs=1e-6)


def test_lets_no_gradient_into_the_codes() -> None:
    scores = torch.randn(3, 4, 5, requires_grad=True)
    codes = torch.softmax(scores[:2], dim=-1)
    (gradient,) = torch.autograd.grad(swapped_prediction(scores, codes), scores)
    (alone,) = torch.autograd.grad(swapped_prediction(scores, codes.detach()), scores)
    assert torch.equal(gradient, alone)


@pytest.mark.parametrize("count", [5, 64])
def test_codes_sum_to_one_a_slice_and_use_all_prototypes_alike(count: int) -> None:
    torch.manual_seed(0)
    scores = torch.nn.functional.normalize(torch.randn(count, 16), dim=1) / 0.05
    codes = log_sinkhorn(scores, iterations=50, column_sum=count / 16).exp()
    assert torch.allclose(codes.sum(1), torch.ones(count), atol=1e-5)
    assert torch.allclose(codes.sum(0), torch.full((16,), count / 16), rtol=0.02)
