"""The fine-tuning loss on a part of the pixels."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.losses.segmentation import dice_and_cross_entropy, mean_within, overlap_loss, soft_dice


@pytest.fixture
def said() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(3, 2, 8, 8), (torch.rand(3, 2, 8, 8) < 0.3).float()


@pytest.mark.parametrize("loss", [soft_dice, dice_and_cross_entropy])
def test_within_a_window_the_loss_is_that_of_the_window(loss: object, said: tuple[Tensor, Tensor]) -> None:
    assert callable(loss)
    logits, targets = said
    window = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    window[:, :, 2:7, 1:5] = True
    expected = loss(logits[:, :, 2:7, 1:5], targets[:, :, 2:7, 1:5])
    torch.testing.assert_close(loss(logits, targets, within=window), expected)
    torch.testing.assert_close(loss(logits, targets, within=torch.ones_like(window)), loss(logits, targets))


@pytest.mark.parametrize("loss", [soft_dice, dice_and_cross_entropy])
def test_pixels_outside_get_no_gradient_whatever_they_say(loss: object, said: tuple[Tensor, Tensor]) -> None:
    assert callable(loss)
    logits, targets = said
    within = torch.rand(3, 2, 8, 8) < 0.5  # of each region its own
    logits = torch.where(within, logits, 30.0).requires_grad_()
    loss(logits, targets, within=within).backward()
    assert logits.grad is not None
    assert torch.equal(logits.grad != 0, within)
    other = loss(torch.where(within, logits, -7.0), torch.where(within, targets, 1 - targets), within=within)
    torch.testing.assert_close(other, loss(logits, targets, within=within))


def test_within_nothing_there_is_nothing_to_learn(said: tuple[Tensor, Tensor]) -> None:
    logits, targets = said
    nowhere = torch.zeros(3, 1, 8, 8, dtype=torch.bool)
    assert soft_dice(logits, targets, within=nowhere) == 0
    assert dice_and_cross_entropy(logits, targets, within=nowhere) == 0
    assert mean_within(logits, nowhere) == 0


def test_overlap_of_classes_is_that_of_their_probabilities(said: tuple[Tensor, Tensor]) -> None:
    logits, _ = said
    classes = F.one_hot(logits.argmax(1), 2).movedim(-1, 1).float()
    assert overlap_loss(classes, classes) == 0
    assert overlap_loss(1 - classes, classes).item() > 0.98
    two_sigmoids = torch.stack([logits[:, 0] - logits[:, 1], logits[:, 1] - logits[:, 0]], dim=1)
    torch.testing.assert_close(overlap_loss(logits.softmax(1), classes), soft_dice(two_sigmoids, classes))


def test_a_mean_within_is_over_the_mask_as_it_broadcasts() -> None:
    values = torch.arange(12.0).view(1, 3, 2, 2)
    within = torch.tensor([[True, False], [False, True]]).view(1, 1, 2, 2)
    assert mean_within(values, within) == values[:, :, [0, 1], [0, 1]].mean()
