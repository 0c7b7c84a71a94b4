"""The paper's losses against loops and formulas in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcd.losses.adversarial import discriminator_loss, generator_loss
from mcd.losses.contrastive import feature_distance, multimodal_contrastive
from mcd.losses.segmentation import dice_and_cross_entropy, soft_dice


def equation_2(x: torch.Tensor, y: torch.Tensor, i: int, t: float) -> float:
    """l(x_i, y_i) with plain Python sums: one positive, the cross-modal y_j as negatives."""

    def similarity(u: torch.Tensor, v: torch.Tensor) -> float:
        u, v = u.flatten(), v.flatten()
        return float(u @ v) / (math.sqrt(float(u @ u)) * math.sqrt(float(v @ v)))

    terms = [math.exp(similarity(x[i], y[j]) / t) for j in range(len(y))]
    return -math.log(terms[i] / sum(terms))


@settings(max_examples=25, deadline=None)
@given(n=st.integers(2, 6), t=st.floats(0.05, 2.0), seed=st.integers(0, 1000))
def test_contrastive_equals_equations_2_and_3(n: int, t: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(n, 3, 4, 2, dtype=torch.float64, generator=generator) for _ in range(2))
    expected = sum(equation_2(x, y, i, t) + equation_2(y, x, i, t) for i in range(n)) / n
    assert float(multimodal_contrastive(x, y, t)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [2, 7, 48])
def test_contrastive_of_identical_features_is_ln_n_each_way(n: int) -> None:
    same = torch.ones(n, 5, dtype=torch.float64)
    assert float(multimodal_contrastive(same, same)) == pytest.approx(2 * math.log(n))


def test_contrastive_ignores_scale_and_prefers_true_pairs() -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 16)
    assert multimodal_contrastive(x, 3 * x) == pytest.approx(float(multimodal_contrastive(x, x)), rel=1e-5)
    assert multimodal_contrastive(x, x) < multimodal_contrastive(x, x.roll(1, 0))


def test_contrastive_refuses_a_batch_of_one() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        multimodal_contrastive(torch.ones(1, 4), torch.ones(1, 4))


def test_contrastive_is_computed_in_single_precision_under_autocast() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(4, 9), torch.randn(4, 9)
    with torch.autocast("cpu", torch.bfloat16):
        half = multimodal_contrastive(x, y)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, multimodal_contrastive(x, y))


def test_alternatives_are_mean_distances() -> None:
    x, y = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 2.5]])
    assert float(feature_distance(x, y, "l1")) == pytest.approx((2 + 0.5) / 2)
    assert float(feature_distance(x, y, "mse")) == pytest.approx((4 + 0.25) / 2)


def test_adversarial_equals_equation_4() -> None:
    torch.manual_seed(1)
    real, fake = torch.randn(3, 1, 5, 5, dtype=torch.float64), torch.randn(3, 1, 5, 5, dtype=torch.float64)

    def sigmoid(z: torch.Tensor) -> torch.Tensor:
        return 1 / (1 + torch.exp(-z))

    equation_4 = torch.log(sigmoid(real)).mean() + torch.log(1 - sigmoid(fake)).mean()
    torch.testing.assert_close(discriminator_loss(real, fake), -equation_4)
    torch.testing.assert_close(generator_loss(fake), -torch.log(sigmoid(fake)).mean())
    torch.testing.assert_close(
        discriminator_loss(real, fake, "least_squares"), ((real - 1) ** 2).mean() + (fake**2).mean()
    )


def test_generator_has_a_gradient_where_the_printed_form_saturates() -> None:
    logit = torch.tensor([-20.0], requires_grad=True)  # a discriminator that wins
    generator_loss(logit).backward()
    assert logit.grad is not None
    assert abs(float(logit.grad)) > 0.99


def test_dice_counts_overlap_over_the_batch() -> None:
    targets = torch.zeros(2, 2, 4, 4)
    targets[0, 0, :2] = 1
    targets[1, 1, :, 3] = 1
    certain = torch.where(targets > 0, 50.0, -50.0)
    assert float(soft_dice(certain, targets)) == pytest.approx(0, abs=1e-6)
    assert float(soft_dice(-certain, targets)) > 0.9
    half = torch.zeros_like(
        targets
    )  # probability 0.5: 2 * 4 / (16 + 8) for the first region, 2 * 2 / (16 + 4) for the other
    by_hand = 1 - ((2 * 4 + 1) / (16 + 8 + 1) + (2 * 2 + 1) / (16 + 4 + 1)) / 2
    assert float(soft_dice(half, targets)) == pytest.approx(by_hand)
    assert float(dice_and_cross_entropy(half, targets)) == pytest.approx(by_hand + math.log(2))


def test_a_region_that_a_batch_does_not_hold_is_left_to_the_cross_entropy() -> None:
    targets = torch.zeros(2, 2, 4, 4)
    targets[0, 0, :2] = 1  # the second region is nowhere
    faint = torch.full_like(targets, -4.0).requires_grad_()  # what a network says that has begun to find something
    assert float(soft_dice(faint, targets).detach()) == pytest.approx(
        0.5 * float(soft_dice(faint[:, :1], targets[:, :1]).detach())
    )
    dice_and_cross_entropy(faint, targets).backward()
    assert faint.grad is not None
    cross_entropy = torch.sigmoid(faint.detach()) / faint.numel()  # what falls upon an empty pixel
    torch.testing.assert_close(faint.grad[:, 1], cross_entropy[:, 1])
    assert (faint.grad[0, 0, :2] < -20 * cross_entropy[0, 0, :2]).all()  # towards the region that is there
