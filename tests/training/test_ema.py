"""A network that follows another."""

import pytest
import torch
from torch import nn

from mcd.training.ema import follower, update_ema


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.99, 1.0])
def test_parameters_move_by_the_decay(decay: float) -> None:
    target, source = network(0), network(1)
    before = [parameter.clone() for parameter in target.parameters()]
    update_ema(target, source, decay)
    for old, new, other in zip(before, target.parameters(), source.parameters(), strict=True):
        assert torch.allclose(new, decay * old + (1 - decay) * other, atol=1e-7)


def test_the_extremes_are_exact() -> None:
    target, source = network(0), network(1)
    update_ema(target, source, 1.0)
    assert torch.equal(target.get_parameter("0.weight"), network(0).get_parameter("0.weight"))
    update_ema(target, source, 0.0)
    assert torch.equal(target.get_parameter("0.weight"), source.get_parameter("0.weight"))


def test_batch_statistics_are_left_alone() -> None:
    target, source = network(0), network(1)
    source(torch.randn(8, 3))
    update_ema(target, source, 0.5)
    assert torch.equal(target.get_buffer("1.running_mean"), torch.zeros(4))


def test_a_follower_is_a_copy_without_gradient() -> None:
    source = network(0)
    copy = follower(source)
    assert not any(parameter.requires_grad for parameter in copy.parameters())
    assert all(parameter.requires_grad for parameter in source.parameters())
    update_ema(copy, network(1), 0.0)
    assert not torch.equal(copy.get_parameter("0.weight"), source.get_parameter("0.weight"))
