"""MAE: what it sees, what it is asked, and what it hands back."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from mcd.errors import McdError
from mcd.models.unet import UNet, layer_keys
from mcd.pretraining.blocks import random_blocks
from mcd.pretraining.mae import MAE
from mcd.pretraining.options import MAEOptions
from mcd.slices.batches import Batch


def make(size: tuple[int, int] = (64, 64), **options: Any) -> MAE:
    torch.manual_seed(0)
    return MAE(MAEOptions(**options), 4, ["A"], size)


def seen_and_said(method: MAE, batch: Batch, seed: int) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """The network's input and output (with its gradient) in one step, and the losses."""
    kept: dict[str, torch.Tensor] = {}

    def keep(_: Any, inputs: Any, output: torch.Tensor) -> None:
        output.retain_grad()
        kept.update(seen=inputs[0], said=output)

    handle = method.unet.register_forward_hook(keep)
    torch.manual_seed(seed)
    losses = method.losses(batch, "network")
    losses["total"].backward()
    handle.remove()
    return kept["seen"], kept["said"], losses


def test_three_quarters_of_the_blocks_are_hidden_and_the_rest_is_seen_as_it_is(bodies: Callable[..., Batch]) -> None:
    batch = bodies()
    seen, _, _ = seen_and_said(make(), batch, 3)
    torch.manual_seed(3)
    hidden = random_blocks(8, (64, 64), 16, 0.75)
    assert (seen[hidden] == 0).all()
    assert torch.equal(seen[~hidden], batch.images[~hidden])
    assert hidden.float().mean() == 0.75


def test_the_total_is_the_mean_square_over_hidden_tissue_alone(bodies: Callable[..., Batch]) -> None:
    batch = bodies()
    _, said, losses = seen_and_said(make(), batch, 3)
    torch.manual_seed(3)
    hidden = random_blocks(8, (64, 64), 16, 0.75).numpy()
    images, found = batch.images.double().numpy(), said.detach().double().numpy()
    asked = hidden & (images != 0)
    errors = [(found[at] - images[at]) ** 2 for at in zip(*np.nonzero(asked), strict=True)]
    assert losses["total"].item() == pytest.approx(np.mean(errors), rel=1e-5)
    assert losses["explained"].item() == pytest.approx(1 - np.mean(errors) / images[asked].var(), rel=1e-4)
    gradient = said.grad
    assert gradient is not None
    assert torch.equal(gradient != 0, torch.from_numpy(asked))


def test_a_batch_without_hidden_tissue_teaches_nothing(bodies: Callable[..., Batch]) -> None:
    batch = bodies()
    black = Batch(torch.zeros_like(batch.images), None, batch.subjects, batch.heights, batch.ranges)
    _, said, losses = seen_and_said(make(), black, 0)
    assert losses["total"] == 0
    assert said.grad is not None
    assert (said.grad == 0).all()


def test_learns(bodies: Callable[..., Batch], learn: Callable[..., Any]) -> None:
    rows = learn(make((32, 32), block=8), bodies(size=(32, 32)), 60)
    assert np.mean([row["total"] for row in rows[-5:]]) < 0.7 * np.mean([row["total"] for row in rows[:5]])
    assert np.mean([row["explained"] for row in rows[-5:]]) > 0.3


def test_hands_back_everything_but_the_output_layer() -> None:
    method = make()
    state = method.unet_state("A")
    assert state.keys() == UNet(4).state_dict().keys()
    assert method.trained_keys(state) == layer_keys(UNet(4).state_dict(), 4)
    assert len(method.players()["network"]) == len(list(UNet(4).parameters()))


def test_slices_of_one_block_are_refused() -> None:
    with pytest.raises(McdError, match="mae: a slice of 16x16 pixels is a single block"):
        make((16, 16))
