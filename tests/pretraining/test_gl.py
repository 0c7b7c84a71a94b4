"""G-L: its batches, its two stages, and what it hands back."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from mcd.errors import McdError
from mcd.models.unet import UNet
from mcd.pretraining.gl import GL, volume_batches
from mcd.pretraining.options import GLOptions


def make(**options: Any) -> GL:
    torch.manual_seed(0)
    return GL(GLOptions(**options), 4, ["A"], (32, 32))


def test_a_batch_holds_one_slice_of_each_part_of_different_volumes() -> None:
    subject_of = np.repeat(np.arange(5), 10)
    heights = np.tile(np.linspace(0, 1, 10), 5)
    batches = list(volume_batches(subject_of, heights, volumes=3, parts=4, rng=np.random.default_rng(0)))
    assert len(batches) == 50 // 12
    for indices in batches:
        assert len(np.unique(subject_of[indices])) == 3
        for volume in indices.reshape(3, 4):
            assert len(np.unique(subject_of[volume])) == 1
            assert (np.diff(heights[volume]) > 0).all()  # the parts, from bottom to top
    drawn = np.unique(
        np.concatenate(
            [b for _ in range(20) for b in volume_batches(subject_of, heights, 3, 4, np.random.default_rng(_))]
        )
    )
    assert len(drawn) == 50  # every slice has its turn


def test_slices_may_lie_in_any_order_and_short_volumes_are_left_out() -> None:
    subject_of = np.array([0, 1, 0, 1, 0, 1, 0, 2])
    heights = np.array([0.9, 0.1, 0.1, 0.5, 0.5, 0.9, 0.7, 0.5])
    batches = list(volume_batches(subject_of, heights, volumes=2, parts=4, rng=np.random.default_rng(0)))
    assert [indices.tolist() for indices in batches] == [[2, 4, 6, 0]] * 2
    with pytest.raises(McdError, match="no subject has 5 slices"):
        list(volume_batches(subject_of, heights, volumes=2, parts=5, rng=np.random.default_rng(0)))


def test_learns_globally_then_locally_while_the_encoder_stands_still(
    bodies: Callable[..., Any], learn: Callable[..., Any]
) -> None:
    method, batch = make(crop=(0.8, 0.8)), bodies(size=(32, 32))
    method.train()
    method.before_epoch(0, 2)
    rows = learn(method, batch, 25)
    assert np.mean([row["total"] for row in rows[-5:]]) < 0.7 * np.mean([row["total"] for row in rows[:5]])
    assert rows[-1]["embedding_sd"] > 0.3
    before = {name: value.clone() for name, value in method.unet.state_dict().items()}

    rows = []
    optimizer = torch.optim.Adam(method.players()["network"], lr=1e-3)
    for _ in range(15):
        method.train()
        method.before_epoch(1, 2)
        losses = method.losses(batch, "network")
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
        rows.append(float(losses["total"].detach()))
    assert np.mean(rows[-5:]) < 0.5 * np.mean(rows[:5])
    for name, value in method.unet.state_dict().items():
        if name.startswith("encoder."):
            assert torch.equal(value, before[name]), name  # weights and batch statistics
        elif name.endswith("weight"):
            assert not torch.equal(value, before[name]), name


@pytest.mark.parametrize(("epochs", "first_local"), [(2, 1), (3, 2), (10, 5), (200, 100)])
def test_the_stages_share_the_training_half_and_half(epochs: int, first_local: int) -> None:
    method = make()
    stages = []
    for epoch in range(epochs):
        method.before_epoch(epoch, epochs)
        stages.append(method.local)
    assert stages.index(True) == first_local
    assert all(stages[first_local:])


def test_one_epoch_or_a_batch_below_the_parts_is_the_users_error() -> None:
    with pytest.raises(McdError, match="2 `epochs`"):
        make().before_epoch(0, 1)
    with pytest.raises(McdError, match="batch_size"):
        make().batches(None, 3, np.random.default_rng(0))  # type: ignore[arg-type]


def test_hands_back_encoder_and_three_up_layers_under_the_u_nets_names() -> None:
    state = make().unet_state("A")
    whole = set(UNet(4).state_dict())
    missing = whole - set(state)
    assert set(state) < whole
    assert {name.split(".")[0] + "." + name.split(".")[1] for name in missing} == {
        "decoder.3",
        "upsample.3",
        "output.weight",
        "output.bias",
    }
    assert set(make().trained_keys(state)) == set(state)


def test_a_large_bottleneck_is_averaged_to_the_authors_size(bodies: Callable[..., Any]) -> None:
    large = GL(GLOptions(hidden=8), 4, ["A"], (160, 144))
    assert large.global_head[0].in_features == 64 * 5 * 4
    player = next(iter(large.players()))
    assert large.losses(bodies(size=(160, 144)), player)["total"].isfinite()
    # a smaller one is flattened as it is
    assert make().global_head[0].in_features == 64 * 2 * 2
