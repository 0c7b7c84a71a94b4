"""G-L: its batches, its two stages, and what it hands back."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from wiring import RESTLESS, STILL, assert_all_differ, assert_one_loss, cosine, extent, slope, spread, watch

from mcd.errors import McdError
from mcd.models.unet import UNet
from mcd.pretraining.gl import GL, region_layout, volume_batches
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


def test_the_global_total_attracts_slices_of_one_part_and_reaches_encoder_and_global_head(
    bodies: Callable[..., Any],
) -> None:
    """Two volumes of three parts, volume by volume, by hand from what the encoder saw."""
    method, batch = make(parts=3, temperature=0.5, hidden=16, projection=6, **RESTLESS), bodies(6, size=(32, 32))
    method.before_epoch(0, 2)
    seen = watch(method.unet.encoder[0])
    losses = method.losses(batch, "network")
    (views,) = seen
    assert views.shape == (12, 1, 32, 32)
    assert_all_differ(views.chunk(2))

    z = method.global_head(method.unet.encode(views)[-1].flatten(1))
    part = [0, 1, 2, 0, 1, 2] * 2
    terms, found = [], []
    for i in range(12):
        repelled = sum(torch.exp(cosine(z[i], z[n]) / 0.5) for n in range(12) if part[n] != part[i])
        for p in range(12):
            if p != i and part[p] == part[i]:
                attracted = torch.exp(cosine(z[i], z[p]) / 0.5)
                terms.append(-torch.log(attracted / (attracted + repelled)))
        nearest = max((cosine(z[i], z[k]).item(), k) for k in range(12) if k != i)[1]
        found.append(part[nearest] == part[i])
    assert len(terms) == 12 * 3
    reached = assert_one_loss(losses["total"], torch.stack(terms).mean(), method)
    assert reached == {"unet", "global_head"}
    assert losses["accuracy"].item() == pytest.approx(np.mean(found))
    assert losses["embedding_sd"].item() == pytest.approx(spread(z), rel=1e-4)


def test_the_local_total_tells_a_region_from_its_neighbours_and_leaves_the_encoder_alone(
    bodies: Callable[..., Any],
) -> None:
    """By hand from what the encoder saw: two views that differ in intensity alone, and regions cut from the feature map."""
    options = {**RESTLESS, "noise": 0.0, "blurred": 0.0}
    method, batch = make(temperature=0.5, projection=6, **options), bodies(3, size=(32, 32))
    method.train()
    method.before_epoch(1, 2)
    seen = watch(method.unet.encoder[0])
    losses = method.losses(batch, "network")
    (views,) = seen
    assert views.shape == (6, 1, 32, 32)
    assert_all_differ([*views.chunk(2), batch.images])
    assert all(torch.equal(view != 0, batch.images != 0) for view in views.chunk(2))  # nothing has moved

    with torch.no_grad():
        features = method.unet.encode(views)
    feature_map = method.local_head(method.unet.decode(features)[3])
    assert feature_map.shape[2:] == (16, 16)
    middle, end = (16 - 3) / 2, 16 - 3
    lattice = [(y, x) for y in (0, middle, end) for x in (0, middle, end)]
    corners = [
        (int(y), int(x)) for y, x in lattice + [(y, x) for y in (end / 4, 3 * end / 4) for x in (end / 4, 3 * end / 4)]
    ]
    z = torch.stack([method.region_head(feature_map[:, :, y : y + 3, x : x + 3].flatten(1)) for y, x in corners], dim=1)
    a, b = z.chunk(2)
    terms, found = [], []
    for here, there in ((a, b), (b, a)):
        for n in range(3):
            for r in range(13):
                others = [k for k in range(13) if method.negatives[r, k]]
                own = torch.exp(cosine(here[n, r], there[n, r]) / 0.5)
                repelled = [torch.exp(cosine(here[n, r], view[n, k]) / 0.5) for k in others for view in (here, there)]
                terms.append(-torch.log(own / (own + sum(repelled))))
                found.append(bool(own > max(repelled)))
    reached = assert_one_loss(losses["total"], torch.stack(terms).mean(), method)
    assert reached == {"unet", "local_head", "region_head"}
    assert losses["accuracy"].item() == pytest.approx(np.mean(found[:39]))
    assert losses["embedding_sd"].item() == pytest.approx(spread(a.flatten(0, 1)), rel=1e-4)


def test_each_stage_trains_its_own_part_of_the_u_net(bodies: Callable[..., Any]) -> None:
    batch = bodies(size=(32, 32))
    for epoch, part in enumerate(({"encoder"}, {"decoder", "upsample"})):
        method = make()
        method.before_epoch(epoch, 2)
        method.losses(batch, "network")["total"].backward()
        reached = {name.split(".")[0] for name, value in method.unet.named_parameters() if value.grad is not None}
        assert reached == part


def test_global_views_are_crops_of_their_share() -> None:
    method = make(crop=(0.25, 0.25), **STILL)
    seen = watch(method.unet.encoder[0])
    method.losses(slope(8, 32), "network")
    torch.testing.assert_close(extent(seen[0]), torch.full((16,), 16.0), atol=1.0, rtol=0)


def test_a_regions_negatives_are_the_five_nearest_others() -> None:
    rows, columns, negatives = region_layout(16, 40)
    centres = torch.stack(
        [(rows[:, 1] - 1) / 13, (columns[:, 1] - 1) / 37], dim=1
    )  # in units of the map, as far as integers go
    distance = torch.cdist(centres, centres)
    for r in range(13):
        chosen = negatives[r].nonzero().flatten().tolist()
        left = [k for k in range(13) if k != r and k not in chosen]
        assert len(chosen) == 5
        assert r not in chosen
        assert max(distance[r, chosen]) <= min(distance[r, left]) + 0.06
