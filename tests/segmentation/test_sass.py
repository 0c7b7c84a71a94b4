"""SASS: its losses against the formulas, and that the two players leave each other alone."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from wiring import assert_one_loss, watch

from mcd.losses.segmentation import dice_and_cross_entropy
from mcd.losses.signed_distance import signed_distance_maps
from mcd.segmentation.sass import SASS, MapDiscriminator
from mcd.slices.batches import Batch
from mcd.training.loop import only

Make = Callable[..., SASS]


def make_sass(make_method: Make, **options: float) -> SASS:
    return make_method("sass", discriminator_filters=4, **options)


def test_both_players_losses_are_the_formulas(make_method: Make, batch: Batch) -> None:
    method = make_sass(make_method, adversarial=0.5, regression=0.2, dropout=0.0)
    method.progress.fill_(0.9)
    with torch.no_grad():
        losses = method.losses(batch, "network")
        judged = method.losses(batch, "discriminator")
        features = method.unet.forward_with_stages(batch.images)[1][-1]
        maps = torch.tanh(method.distance_head(features))
        logits = method.discriminator(maps, batch.images)
        segmentation = method.unet(batch.images)
    assert batch.targets is not None
    two = torch.stack([torch.zeros_like(logits), logits], dim=1)  # the published two logits: 1 is labelled
    adversarial = F.cross_entropy(two[3:], torch.ones(2).long())
    truth = batch.targets[:3]
    torch.testing.assert_close(losses["adversarial"], adversarial)
    torch.testing.assert_close(losses["regression"], ((maps[:3] - signed_distance_maps(truth)) ** 2).mean())
    weight = 0.5 * np.exp(-5 * 0.1**2)
    torch.testing.assert_close(
        losses["total"],
        dice_and_cross_entropy(segmentation[:3], truth) + 0.2 * losses["regression"] + float(weight) * adversarial,
    )
    expected = F.cross_entropy(two[:3], torch.ones(3).long()) + F.cross_entropy(two[3:], torch.zeros(2).long())
    torch.testing.assert_close(judged["total"], expected)
    right = (logits[:3] > 0).sum() + (logits[3:] <= 0).sum()
    assert judged["discriminator_accuracy"].item() == pytest.approx(right.item() / 5)


def test_each_players_step_leaves_the_other_as_it_was(make_method: Make, batch: Batch) -> None:
    method = make_sass(make_method).train()
    players = {name: list(parameters) for name, parameters in method.players().items()}
    optimizers = {name: torch.optim.Adam(parameters) for name, parameters in players.items()}
    for name, other in (("network", "discriminator"), ("discriminator", "network")):
        before = {key: [p.clone() for p in parameters] for key, parameters in players.items()}
        buffers = {key: value.clone() for key, value in method.unet.named_buffers()}
        for parameter in method.parameters():
            parameter.grad = None
        with only(name, players):
            method.losses(batch, name)["total"].backward()
        assert all(parameter.grad is None for parameter in players[other])
        optimizers[name].step()
        assert all(map(torch.equal, before[other], players[other]))
        assert not any(map(torch.equal, before[name], players[name]))
        if name == "discriminator":
            assert all(torch.equal(buffers[key], value) for key, value in method.unet.named_buffers())


def test_the_network_is_judged_without_dropout_and_the_discriminator_learns_with_it(
    make_method: Make, batch: Batch
) -> None:
    method = make_sass(make_method).train()
    first, second = (method.losses(batch, "network")["adversarial"] for _ in range(2))
    assert torch.equal(first, second)
    torch.manual_seed(0)
    first, second = (method.losses(batch, "discriminator")["total"] for _ in range(2))
    assert not torch.equal(first, second)


def test_the_discriminator_sees_predictions_and_never_the_labels_maps(
    make_method: Make, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = make_sass(make_method)
    seen: list[torch.Tensor] = []
    method.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    method.losses(batch, "network")
    method.losses(batch, "discriminator")
    for_network, for_discriminator = seen
    assert for_network.requires_grad
    assert not for_discriminator.requires_grad
    assert torch.equal(for_network, for_discriminator[3:])
    assert batch.targets is not None
    assert not torch.allclose(for_discriminator[:3], signed_distance_maps(batch.targets[:3]), atol=0.1)


@pytest.mark.parametrize("size", [16, 32, 64, 144, 160])
def test_the_discriminator_takes_any_size_of_slice(size: int) -> None:
    discriminator = MapDiscriminator(3, filters=2)
    assert discriminator(torch.zeros(2, 3, size, size), torch.zeros(2, 1, size, size)).shape == (2,)


def test_the_discriminator_is_nonlinear_between_all_its_layers() -> None:
    kinds = [type(layer) for layer in MapDiscriminator(1).body if isinstance(layer, nn.LeakyReLU | nn.Conv2d)]
    assert kinds == [nn.LeakyReLU, nn.Conv2d] * 3 + [nn.LeakyReLU]


def test_the_discriminator_can_learn_to_tell(make_method: Make, batch: Batch) -> None:
    method = make_sass(make_method, dropout=0.0)
    method.losses(batch, "network")
    optimizer = torch.optim.Adam(method.discriminator.parameters(), lr=1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        losses = method.losses(batch, "discriminator")
        losses["total"].backward()
        optimizer.step()
    assert losses["discriminator_accuracy"] == 1


def test_the_heads_share_the_features(make_method: Make, batch: Batch) -> None:
    method = make_sass(make_method)
    method.losses(batch, "network")["regression"].backward()
    assert method.unet.get_parameter("decoder.3.0.weight").grad is not None
    assert method.unet.output.weight.grad is None


def test_the_network_learns_from_all_three_terms_and_through_the_discriminator(make_method: Make, batch: Batch) -> None:
    """The total of either player by hand in training, with every gradient, from what the discriminator saw."""
    method = make_sass(make_method, adversarial=0.5, regression=0.2, ramp=1.0)
    method.train()
    method.progress.fill_(0.9)
    shown = watch(method.unet.encoder[0])
    judged = watch(method.discriminator)
    losses = method.losses(batch, "network")
    torch.manual_seed(1)
    telling = method.losses(batch, "discriminator")["total"]
    assert len(shown) == 1  # the discriminator learns from the network's own step
    assert torch.equal(shown[0], batch.images)
    of_unlabelled, of_all = list(judged)

    logits, stages = method.unet.forward_with_stages(batch.images)
    p, maps = torch.sigmoid(logits[:3]), torch.tanh(method.distance_head(stages[-1]))
    torch.testing.assert_close(of_all, maps.detach())
    torch.testing.assert_close(of_unlabelled, maps[3:].detach())
    assert batch.targets is not None
    truth = batch.targets[:3]
    overlap, sizes = (p * truth).sum((0, 2, 3)), (p + truth).sum((0, 2, 3))
    dice = (1 - (2 * overlap + 1) / (sizes + 1)).mean()
    cross_entropy = -(truth * p.log() + (1 - truth) * (1 - p).log()).mean()
    method.discriminator.eval()
    fooling = -torch.log(torch.sigmoid(method.discriminator(maps[3:], batch.images[3:]))).mean()
    expected = (
        (dice + cross_entropy)
        + 0.2 * (maps[:3] - signed_distance_maps(truth)).square().mean()
        + 0.5 * float(np.exp(-5 * 0.1**2)) * fooling
    )
    assert assert_one_loss(losses["total"], expected, method) == {"unet", "distance_head", "discriminator"}

    method.discriminator.train()
    torch.manual_seed(1)
    says = torch.sigmoid(method.discriminator(maps.detach(), batch.images))
    expected = -torch.log(says[:3]).mean() - torch.log(1 - says[3:]).mean()
    assert assert_one_loss(telling, expected, method) == {"discriminator"}
