import pytest
import torch

from mcd.losses.sinkhorn import log_sinkhorn


def test_a_square_matrix_becomes_doubly_stochastic() -> None:
    torch.manual_seed(0)
    scores = torch.randn(5, 9, 9)
    for spread, iterations in ((1, 20), (3, 200)):  # the sharper the scores, the slower
        matrix = log_sinkhorn(spread * scores, iterations).exp()
        torch.testing.assert_close(matrix.sum(2), torch.ones(5, 9), atol=1e-6, rtol=0)
        torch.testing.assert_close(matrix.sum(1), torch.ones(5, 9), atol=1e-3, rtol=0)


def test_codes_use_every_prototype_alike() -> None:
    torch.manual_seed(0)
    codes = log_sinkhorn(torch.randn(24, 6) * 2, iterations=50, column_sum=4).exp()
    torch.testing.assert_close(codes.sum(1), torch.ones(24))
    torch.testing.assert_close(codes.sum(0), torch.full((6,), 4.0), atol=1e-2, rtol=0)


def test_equals_the_plain_iteration_in_double_precision() -> None:
    torch.manual_seed(0)
    scores = torch.randn(4, 7, dtype=torch.float64)
    plain = scores.exp()
    for _ in range(20):
        for column in range(7):
            plain[:, column] *= (4 / 7) / plain[:, column].sum()
        for row in range(4):
            plain[row] /= plain[row].sum()
    torch.testing.assert_close(log_sinkhorn(scores, 20, 4 / 7).exp(), plain)


def test_scores_that_overflow_an_exponential_are_taken() -> None:
    scores = 1000 * torch.eye(4)
    torch.testing.assert_close(log_sinkhorn(scores).exp(), torch.eye(4))
    half = log_sinkhorn(scores.to(torch.bfloat16))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half.exp(), torch.eye(4))


@pytest.mark.parametrize("shift", ["rows", "columns"])
def test_a_constant_on_a_row_or_column_changes_nothing(shift: str) -> None:
    torch.manual_seed(0)
    scores = torch.randn(6, 6, dtype=torch.float64)
    moved = scores + torch.randn((6, 1) if shift == "rows" else (1, 6), dtype=torch.float64)
    torch.testing.assert_close(log_sinkhorn(moved, 100), log_sinkhorn(scores, 100))
