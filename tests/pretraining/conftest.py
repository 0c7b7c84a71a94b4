"""Batches of made-up bodies, and one way to see that a method learns."""

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from mcd.pretraining.base import Pretraining
from mcd.slices.batches import Batch

torch.set_num_threads(1)  # on tensors as small as these, threads only wait for one another


def make_bodies(count: int = 8, channels: int = 1, size: tuple[int, int] = (64, 64), subjects: int = 4) -> Batch:
    """Discs with a smooth pattern of their own, brighter towards the bottom; background 0. The same for the same arguments."""
    draw = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    disc = (y - size[0] / 2 + 0.5) ** 2 + (x - size[1] / 2 + 0.5) ** 2 < (0.42 * min(size)) ** 2
    pattern = F.interpolate(torch.randn(count, channels, 5, 5, generator=draw), size, mode="bicubic")
    noise = 0.2 * torch.randn(count, channels, *size, generator=draw)
    images = (pattern + noise + 2 * y / size[0] - 1) * disc
    ranges = torch.ones(count, channels)  # views change little, so that a few steps teach something
    return Batch(images, None, torch.arange(count) % subjects, torch.linspace(0, 1, count), ranges)


def train_steps(method: Pretraining, batch: Batch, steps: int, learning_rate: float = 1e-3) -> list[dict[str, float]]:
    """The losses of a one-player method over some steps of Adam on one batch."""
    method.train()
    (player, parameters), *others = method.players().items()
    assert not others
    optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    rows = []
    for _ in range(steps):
        losses = method.losses(batch, player)
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
        rows.append({name: float(value.detach()) for name, value in losses.items()})
    return rows


@pytest.fixture
def bodies() -> Callable[..., Batch]:
    return make_bodies


@pytest.fixture
def learn() -> Callable[..., list[dict[str, float]]]:
    return train_steps
