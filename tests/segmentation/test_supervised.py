"""Fine-tuning's loss, and that images and targets are augmented together."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from wiring import assert_one_loss, watch

from mcd.segmentation.supervised import Supervised
from mcd.slices.batches import Batch
from mcd.slices.options import Augmentation

Make = Callable[..., Supervised]


def labelled_part(batch: Batch) -> Batch:
    assert batch.targets is not None
    return Batch(batch.images[:3], batch.targets[:3], batch.subjects[:3], batch.heights[:3], batch.ranges[:3])


def test_the_total_is_dice_and_cross_entropy_of_every_region_and_trains_the_whole_u_net(
    make_method: Make, batch: Batch
) -> None:
    method, batch = make_method("supervised").train(), labelled_part(batch)
    seen = watch(method.unet)
    losses = method.losses(batch, "network")
    assert torch.equal(seen[0], batch.images)
    p, truth = torch.sigmoid(method.unet(batch.images)), batch.targets
    assert truth is not None
    expected = -(truth * p.log() + (1 - truth) * (1 - p).log()).mean()
    for region in range(2):
        q, y = p[:, region], truth[:, region]
        expected = expected + (1 - (2 * (q * y).sum() + 1) / (q.sum() + y.sum() + 1)) / 2
    assert assert_one_loss(losses["total"], expected, method) == {"unet"}
    assert {id(p) for p in method.players()["network"]} == {id(p) for p in method.unet.parameters()}


def test_the_network_sees_augmented_images_and_learns_the_targets_that_belong_to_them(
    make_method: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images that are their own targets: a network that copies its input is right only if both were moved alike."""
    augmentation = Augmentation(mirror=True, rotation=20, scale=0.2, shift=0.1, intensity=0.0)
    method = make_method("supervised", augmentation)
    images = torch.zeros(3, 1, 32, 32)
    images[:, :, 4:12, 6:20] = 1
    images[:, :, 20:28, 8:12] = 1
    shown: list[torch.Tensor] = []

    def copy(augmented: torch.Tensor) -> torch.Tensor:
        shown.append(augmented)
        return 20 * (2 * augmented - 1).expand(-1, 2, -1, -1)

    monkeypatch.setattr(method.unet, "forward", copy)
    targets = images.repeat(1, 2, 1, 1)
    torch.manual_seed(0)
    batch = Batch(images, targets, torch.arange(3), torch.zeros(3), torch.ones(3, 1))
    total = method.losses(batch, "network")["total"]
    assert not torch.isclose(shown[0], images, atol=0.1).flatten(1).all(1).any()
    assert len(torch.unique(shown[0].round(), dim=0)) == 3
    assert total < 1.5
    apart = method.losses(replace(batch, targets=targets.roll(8, dims=3)), "network")["total"]
    assert apart > 3
