import math

import pytest
import torch

from mcd.losses.info_nce import info_nce


def test_candidates_that_are_all_alike_cost_the_logarithm_of_their_number() -> None:
    loss, accuracy = info_nce(torch.randn(5, 3), torch.ones(9, 3), torch.arange(5), negatives=16)
    assert math.isclose(float(loss), math.log(17), rel_tol=1e-6)
    assert accuracy == 0  # a collapsed network is not right by a tie


def test_equals_a_loop_in_double_precision() -> None:
    torch.manual_seed(0)
    predictions, candidates = torch.randn(6, 4, dtype=torch.float64), torch.randn(11, 4, dtype=torch.float64)
    positives = torch.tensor([0, 3, 3, 10, 7, 5])
    torch.manual_seed(1)
    loss, accuracy = info_nce(predictions, candidates, positives, negatives=5)
    torch.manual_seed(1)
    steps = torch.randint(1, 11, (6, 5))
    costs, right = [], []
    for row, positive in enumerate(positives.tolist()):
        score = math.exp(predictions[row] @ candidates[positive])
        others = [math.exp(predictions[row] @ candidates[(positive + int(step)) % 11]) for step in steps[row]]
        costs.append(-math.log(score / (score + sum(others))))
        right.append(score > max(others))
    assert math.isclose(float(loss), sum(costs) / 6, rel_tol=1e-9)
    assert math.isclose(float(accuracy), sum(right) / 6, rel_tol=1e-6)


def test_a_positive_is_never_its_own_negative() -> None:
    candidates = torch.eye(3)
    loss, accuracy = info_nce(1000 * candidates, candidates, torch.arange(3), negatives=200)
    assert loss < 1e-6
    assert accuracy == 1


def test_nothing_to_predict_costs_nothing() -> None:
    candidates = torch.randn(4, 3, requires_grad=True)
    loss, accuracy = info_nce(torch.zeros(0, 3), candidates, torch.zeros(0, dtype=torch.long), negatives=5)
    loss.backward()
    assert loss == 0
    assert accuracy == 0


def test_one_candidate_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        info_nce(torch.zeros(1, 3), torch.zeros(1, 3), torch.zeros(1, dtype=torch.long), negatives=5)
