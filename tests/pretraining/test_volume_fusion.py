"""Volume Fusion: its boxes, its mixing, and that the loss asks only where there is something to see."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from mcd.models.unet import UNet, layer_keys
from mcd.pretraining.options import VolumeFusionOptions
from mcd.pretraining.volume_fusion import VolumeFusion, box_classes, fuse
from mcd.slices.batches import Batch


def make(size: tuple[int, int] = (32, 32), **options: Any) -> VolumeFusion:
    torch.manual_seed(0)
    return VolumeFusion(VolumeFusionOptions(**options), 4, ["A"], size)


def test_each_class_is_its_share_of_the_slice_and_the_rest_of_another(bodies: Callable[..., Batch]) -> None:
    images = bodies(size=(32, 32)).images
    for n in range(8):
        images[n, :, :, : 2 * n] = 0  # bodies of different widths
    classes = torch.arange(5).repeat(8, 32, 7)[:, :, :32]
    torch.manual_seed(0)
    fused, occupied = fuse(images, classes, 5)
    partners = []
    for n in range(8):
        whole, none = classes[n] == 4, classes[n] == 0
        assert torch.equal(fused[n, 0][whole], images[n, 0][whole])
        (partner,) = (m for m in range(8) if torch.equal(fused[n, 0][none], images[m, 0][none]))
        assert not torch.equal(images[n] != 0, images[partner] != 0)
        partners.append(partner)
        for k, share in enumerate((0, 0.25, 0.5, 0.75, 1)):
            at = classes[n] == k
            expected = share * images[n, 0][at] + (1 - share) * images[partner, 0][at]
            torch.testing.assert_close(fused[n, 0][at], expected)
        assert torch.equal(occupied[n, 0], (images[n, 0] != 0) | (images[partner, 0] != 0))
    assert all(partner != n for n, partner in enumerate(partners))
    assert sorted(partners) == list(range(8))  # each is the background of one other
    assert (fused[~occupied] == 0).all()


def test_no_slice_is_ever_mixed_with_itself() -> None:
    images = torch.arange(1.0, 4).view(3, 1, 1, 1).expand(3, 1, 16, 16)
    partners = set()
    for seed in range(30):
        torch.manual_seed(seed)
        fused, _ = fuse(images, torch.zeros(3, 16, 16, dtype=torch.long), 5)
        partners.add(tuple(fused[:, 0, 0, 0].tolist()))
    assert partners == {(3.0, 1.0, 2.0), (2.0, 3.0, 1.0)}


def test_one_slice_cannot_be_mixed() -> None:
    with pytest.raises(ValueError, match="at least 2 slices"):
        fuse(torch.ones(1, 1, 16, 16), torch.zeros(1, 16, 16, dtype=torch.long), 5)


def test_a_box_is_a_rectangle_of_one_class_within_the_slice() -> None:
    torch.manual_seed(0)
    options = VolumeFusionOptions(classes=5, boxes=(1, 1), side=(0.25, 0.5))
    classes = box_classes(500, (32, 64), options)
    sides, corners = set(), set()
    for one in classes[classes.flatten(1).any(1)]:
        rows, columns = (torch.nonzero((one != 0).any(axis)).flatten() for axis in (1, 0))
        box = one[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert len(box.unique()) == 1
        sides.add(tuple(box.shape))
        corners |= {("top", rows[0].item()), ("bottom", rows[-1].item()), ("right", columns[-1].item())}
    assert {height for height, _ in sides} == set(range(8, 17))
    assert {width for _, width in sides} == set(range(16, 33))
    assert {("top", 0), ("bottom", 31), ("right", 63)} <= corners
    drawn = classes.flatten(1).amax(1).bincount(minlength=5) / 500
    assert (drawn - 0.2).abs().max() < 0.08  # all five, among them that of the surroundings


def test_later_boxes_cover_earlier_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[torch.Tensor] = []
    randint = torch.randint

    def spy(*arguments: Any, **named: Any) -> torch.Tensor:
        values = randint(*arguments, **named)
        if arguments[0] == 7:
            drawn.append(values.flatten())
        return values

    monkeypatch.setattr(torch, "randint", spy)
    torch.manual_seed(0)
    classes = box_classes(40, (16, 16), VolumeFusionOptions(classes=7, boxes=(2, 4), side=(1.0, 1.0)))
    assert (classes == classes[:, :1, :1]).all()
    assert len(drawn) == 4
    candidates = torch.stack(drawn[1:])  # the second box at the least
    assert (classes[:, 0, 0] == candidates).any(0).all()
    assert (classes[:, 0, 0] != drawn[0]).sum() > 25
    assert {int((classes[:, 0, 0] == one).sum()) > 5 for one in drawn[1:]} == {True}  # 2, 3 and 4 boxes all occur


def test_by_default_half_of_a_slice_is_covered() -> None:
    torch.manual_seed(0)
    covered = box_classes(2000, (128, 128), VolumeFusionOptions(classes=10_000)) > 0
    assert covered.float().mean().item() == pytest.approx(0.5, abs=0.02)


def one_step(method: VolumeFusion, batch: Batch, seed: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    kept = []

    def keep(_: Any, inputs: Any, output: torch.Tensor) -> None:
        output.retain_grad()
        kept.extend([inputs[0], output])

    handle = method.unet.register_forward_hook(keep)
    torch.manual_seed(seed)
    losses = method.losses(batch, "network")
    losses["total"].backward()
    handle.remove()
    torch.manual_seed(seed)
    classes = box_classes(len(batch.images), (32, 32), method.options)
    fused, _ = fuse(batch.images, classes, method.options.classes)
    assert torch.equal(kept[0], fused)
    return kept[1], losses


def test_the_total_is_cross_entropy_and_dice_where_there_is_tissue(bodies: Callable[..., Batch]) -> None:
    method, batch = make(classes=3), bodies(size=(32, 32))
    logits, losses = one_step(method, batch, 5)
    torch.manual_seed(5)
    classes = box_classes(8, (32, 32), method.options)
    _, occupied = fuse(batch.images, classes, 3)
    assert not occupied.all()
    p = np.exp(logits.detach().double().numpy())
    p /= p.sum(1, keepdims=True)
    truth, there = classes.numpy(), occupied[:, 0].numpy()
    cross_entropy = -np.mean(np.log(np.take_along_axis(p, truth[:, None], 1)[:, 0][there]))
    dice, recalls = [], []
    for k in range(3):
        own, said = (truth == k)[there], p[:, k][there]
        dice.append(1 - (2 * said[own].sum() + 1) / (said.sum() + own.sum() + 1))
        recalls.append((p.argmax(1) == k)[there][own].mean())
    assert losses["cross_entropy"].item() == pytest.approx(cross_entropy, rel=1e-5)
    assert losses["dice"].item() == pytest.approx(np.mean(dice), rel=1e-5)
    assert losses["total"].item() == pytest.approx(cross_entropy + np.mean(dice), rel=1e-5)
    assert losses["accuracy"].item() == pytest.approx(np.mean(recalls), rel=1e-5)
    assert logits.grad is not None
    assert torch.equal((logits.grad != 0).any(1, keepdim=True), occupied)


def test_who_always_says_the_same_is_right_as_often_as_chance(
    bodies: Callable[..., Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    method = make(boxes=(12, 12))
    same = torch.zeros(8, 5, 32, 32)
    same[:, 0] = 1
    monkeypatch.setattr("mcd.pretraining.volume_fusion.shared", lambda network, images: same)
    assert method.losses(bodies(size=(32, 32)), "network")["accuracy"].item() == pytest.approx(1 / 5)


def test_learns_the_boxes_of_one_mixture(bodies: Callable[..., Batch]) -> None:
    """Which of two made-up bodies is in front cannot be told; real slices are left to the benchmark of pretext tasks."""
    method, batch = make(), bodies(size=(32, 32))
    optimizer = torch.optim.Adam(method.players()["network"], lr=1e-2)
    rows = []
    for _ in range(60):
        torch.manual_seed(0)
        losses = method.losses(batch, "network")
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
        rows.append({name: value.item() for name, value in losses.items()})
    assert rows[-1]["total"] < 0.5 * rows[0]["total"]
    assert rows[0]["accuracy"] < 0.3
    assert rows[-1]["accuracy"] > 0.6


def test_hands_back_everything_but_the_output_layer() -> None:
    method = make()
    state = method.unet_state("A")
    assert state["output.weight"].shape[0] == 5
    assert method.trained_keys(state) == layer_keys(UNet(4).state_dict(), 4)
