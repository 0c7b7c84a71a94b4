"""DTML: its losses against the formulas, and that each network learns from the other."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt
from wiring import assert_one_loss, watch

from mcd.segmentation.dtml import DTML
from mcd.slices.batches import Batch

Make = Callable[..., DTML]


def dice(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """1 - soft Dice over a batch, a region at a time."""
    losses = []
    for region in range(truth.shape[1]):
        p, y = probabilities[:, region].ravel(), truth[:, region].ravel()
        losses.append(1 - (2 * (p @ y) + 1) / (p.sum() + y.sum() + 1))
    return float(np.mean(losses))


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -700, 700)))


def test_every_loss_is_the_formulas(make_method: Make, batch: Batch) -> None:
    method = make_method("dtml", consistency=0.7, regression=0.2, sharpness=30.0)
    method.progress.fill_(0.8)
    with torch.no_grad():
        losses = {name: value.item() for name, value in method.losses(batch, "networks").items()}
        logits = method.unet(batch.images).double().numpy()
        maps = np.tanh(method.distance_net(batch.images).double().numpy())
    assert batch.targets is not None
    truth = batch.targets[:3].double().numpy()
    p = sigmoid(logits[:3])
    cross_entropy = -np.mean(truth * np.log(p) + (1 - truth) * np.log(1 - p))
    assert losses["segmentation"] == pytest.approx(0.5 * (dice(p, truth) + cross_entropy), rel=1e-4)
    assert losses["distance"] == pytest.approx(dice(sigmoid(-30 * maps[:3]), truth), rel=1e-4)
    expected = np.ones_like(truth)  # the second region is missing from the third slice
    for n, region in [(n, r) for n in range(3) for r in range(2) if truth[n, r].any()]:
        inside, outside = (distance_transform_edt(m) for m in (truth[n, region] > 0, truth[n, region] == 0))
        expected[n, region] = outside / outside.max() - inside / inside.max()
    assert losses["regression"] == pytest.approx(np.abs(maps[:3] - expected).mean(), rel=1e-4)
    assert losses["consistency"] == pytest.approx(np.mean((sigmoid(-30 * maps) - sigmoid(logits)) ** 2), rel=1e-4)
    assert losses["consistency_weight"] == pytest.approx(0.7 * np.exp(-5 * 0.2**2), rel=1e-5)
    assert losses["total"] == pytest.approx(
        losses["segmentation"]
        + losses["distance"]
        + 0.2 * losses["regression"]
        + losses["consistency_weight"] * losses["consistency"],
        rel=1e-5,
    )


def test_the_two_networks_start_apart_and_share_nothing(make_method: Make) -> None:
    method = make_method("dtml")
    own = {id(parameter) for parameter in method.unet.parameters()}
    assert not own & {id(parameter) for parameter in method.distance_net.parameters()}
    assert [p.shape for p in method.unet.parameters()] == [p.shape for p in method.distance_net.parameters()]
    assert not torch.equal(method.unet.output.weight, method.distance_net.output.weight)
    assert len(method.players()["networks"]) == len(list(method.parameters()))


@pytest.mark.parametrize(("network", "own"), [("unet", "segmentation"), ("distance_net", "distance")])
def test_each_network_learns_its_own_task_and_the_others_view(
    network: str, own: str, make_method: Make, batch: Batch
) -> None:
    reached = {}
    for loss in ("segmentation", "distance", "regression", "consistency"):
        method = make_method("dtml", sharpness=5.0, regression=0.3)
        method.losses(batch, "networks")[loss].backward()
        reached[loss] = getattr(method, network).output.weight.grad is not None
    assert reached[own]
    assert reached["consistency"]
    assert reached["regression"] == (network == "distance_net")
    assert reached["segmentation"] != reached["distance"]


def test_a_network_that_puts_everything_outside_comes_back_only_by_regression(make_method: Make, batch: Batch) -> None:
    """The steep sigmoid has no gradient away from 0; this is why the maps' own error is part of the loss."""
    norms = []
    for regression in (0.0, 0.3):
        method = make_method("dtml", regression=regression)
        with torch.no_grad():
            output = method.distance_net.output
            output.weight.zero_()
            output.get_parameter("bias").fill_(0.5)
        method.losses(batch, "networks")["total"].backward()
        gradient = output.get_parameter("bias").grad
        assert gradient is not None
        norms.append(gradient.norm().item())
    assert norms[0] < 1e-6
    assert norms[1] > 1e-2


def test_as_published_the_maps_own_error_is_not_computed(make_method: Make, batch: Batch) -> None:
    assert "regression" not in make_method("dtml").losses(batch, "networks")


def test_both_networks_see_the_same_slices_and_neither_is_detached_from_the_others_view(
    make_method: Make, batch: Batch
) -> None:
    """The total by hand in training, with every gradient: the consistency is counted once, and teaches both."""
    method = make_method("dtml", consistency=0.7, regression=0.2, sharpness=5.0, ramp=1.0)
    method.train()
    method.progress.fill_(0.8)
    shown = watch(method.unet), watch(method.distance_net)
    losses = method.losses(batch, "networks")
    (of_regions,), (of_maps,) = map(list, shown)
    assert torch.equal(of_regions, of_maps)
    assert torch.equal(of_regions, batch.images)

    p, maps = torch.sigmoid(method.unet(of_regions)), torch.tanh(method.distance_net(of_maps))
    of_the_maps = 1 / (1 + torch.exp(5.0 * maps))
    assert batch.targets is not None
    truth = batch.targets[:3]

    def overlap_lost(probabilities: torch.Tensor) -> torch.Tensor:
        overlap, sizes = (probabilities * truth).sum((0, 2, 3)), (probabilities + truth).sum((0, 2, 3))
        return (1 - (2 * overlap + 1) / (sizes + 1)).mean()

    distances = np.ones(truth.shape, dtype=np.float32)
    for n, region in [(n, r) for n in range(3) for r in range(2) if truth[n, r].any()]:
        inside, outside = (distance_transform_edt(m) for m in (truth[n, region] > 0, truth[n, region] == 0))
        distances[n, region] = outside / outside.max() - inside / inside.max()
    cross_entropy = -(truth * p[:3].log() + (1 - truth) * (1 - p[:3]).log()).mean()
    expected = (
        0.5 * (overlap_lost(p[:3]) + cross_entropy)
        + overlap_lost(of_the_maps[:3])
        + 0.2 * (maps[:3] - torch.from_numpy(distances)).abs().mean()
        + 0.7 * np.exp(-5 * 0.2**2) * (of_the_maps - p).square().mean()
    )
    assert assert_one_loss(losses["total"], expected, method) == {"unet", "distance_net"}
