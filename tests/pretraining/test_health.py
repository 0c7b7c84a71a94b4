"""The signs of learning and of collapse."""

import pytest
import torch

from mcd.pretraining.health import embedding_sd, explained, nearest_other, retrieval_accuracy


def test_retrieval_counts_those_that_find_their_own_partner() -> None:
    z = torch.eye(4)
    assert retrieval_accuracy(z, 3 * z).item() == 1
    assert retrieval_accuracy(z, z[[1, 0, 2, 3]]).item() == pytest.approx(0.5)


def test_the_nearest_other_is_never_itself() -> None:
    z = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.8]])
    assert nearest_other(z).tolist() == [1, 0, 3, 2]


def test_spread_is_one_on_the_sphere_and_zero_when_collapsed() -> None:
    torch.manual_seed(0)
    assert embedding_sd(torch.randn(4000, 64)).item() == pytest.approx(1, abs=0.02)
    assert embedding_sd(torch.ones(8, 64) * torch.arange(1, 9)[:, None]).item() == pytest.approx(0, abs=1e-6)


def test_explained_is_one_for_the_truth_and_zero_for_the_mean_within_the_mask() -> None:
    torch.manual_seed(0)
    images = torch.randn(4, 1, 8, 8) + 3
    within = torch.rand(4, 1, 8, 8) < 0.3
    elsewhere = torch.where(within, images, 99.0)  # what is said outside the mask does not count
    assert explained(elsewhere, images, within).item() == pytest.approx(1)
    mean = images[within].mean()
    assert explained(mean.expand_as(images), images, within).item() == pytest.approx(0, abs=1e-5)
    assert explained(2 * mean - images, images, within).item() == pytest.approx(-3, rel=1e-4)
