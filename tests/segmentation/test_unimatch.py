"""UniMatch: what counts as sure, what is mixed with what, what is spoilt, and where gradients go."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from mcd.losses.segmentation import dice_and_cross_entropy
from mcd.segmentation.options import UniMatchOptions
from mcd.segmentation.unimatch import UniMatch, change_strongly, confident, cutmix_boxes
from mcd.slices.batches import Batch

Make = Callable[..., UniMatch]


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def test_sure_is_a_probability_of_at_least_the_threshold_for_or_against() -> None:
    said = [0.02, 0.051, 0.4, 0.501, 0.949, 0.951]
    logits = torch.tensor([logit(p) for p in said], requires_grad=True).view(1, 1, 1, -1)
    regions, sure = confident(logits, 0.95)
    assert regions.flatten().tolist() == [0, 0, 0, 1, 1, 1]
    assert sure.flatten().tolist() == [True, False, False, False, False, True]
    assert not regions.requires_grad


def test_boxes_have_the_area_and_the_shape_that_they_may_have() -> None:
    torch.manual_seed(0)
    boxes = cutmix_boxes(2000, (64, 96), UniMatchOptions())
    assert boxes.shape == (2000, 1, 64, 96)
    there = boxes[boxes.flatten(1).any(1)][:, 0]
    assert len(there) / 2000 == pytest.approx(0.5, abs=0.05)
    heights, widths = there.any(2).sum(1), there.any(1).sum(1)
    assert torch.equal(heights * widths, there.sum((1, 2)))  # whole rectangles
    shares = heights * widths / (64 * 96)
    assert shares.max() <= 0.4
    assert shares.min() > 0.01  # sides are rounded down
    free = (heights < 64) & (widths < 96) & (heights > 20) & (widths > 20)
    ratios = (heights / widths)[free]
    assert 0.28 < ratios.min() < 0.4
    assert ratios.max() < 3.5
    assert there.any(0)[0, 0]
    assert there.any(0)[-1, -1]


@pytest.mark.parametrize(("size", "box"), [((16, 64), (14, 57)), ((64, 16), (14, 16))])
def test_a_box_is_held_to_its_own_side_of_the_slice(size: tuple[int, int], box: tuple[int, int]) -> None:
    """Four fifths of the area, a quarter as high as wide: of a high slice, as wide as it goes."""
    options = UniMatchOptions(cutmix=1.0, cutmix_area=(0.8, 0.8), cutmix_aspect=(0.25, 0.25))
    boxes = cutmix_boxes(20, size, options)[:, 0]
    assert boxes.any(2).sum(1).unique().tolist() == [box[0]]
    assert boxes.any(1).sum(1).unique().tolist() == [box[1]]


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_all_or_none_have_a_box(probability: float) -> None:
    boxes = cutmix_boxes(200, (32, 32), UniMatchOptions(cutmix=probability, cutmix_area=(0.1, 0.2)))
    assert (boxes.flatten(1).any(1) == bool(probability)).all()


def test_a_box_brings_image_region_and_certainty_of_one_other_slice(make_method: Make) -> None:
    method = make_method("unimatch", cutmix=1.0, cutmix_area=(0.2, 0.4), jittered=0.0, blurred=0.0)
    images = torch.arange(1.0, 6).view(5, 1, 1, 1).expand(5, 1, 32, 32)
    codes = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1], [0, 0]]).view(5, 2, 1, 1).expand(5, 2, 32, 32)
    sure = torch.tensor([[True, False], [False, False], [True, True], [False, True], [True, True]])
    sure = sure.view(5, 2, 1, 1).expand(5, 2, 32, 32)
    torch.manual_seed(0)
    view, regions, certain = method._strong_view(images, torch.ones(5, 1), codes, sure)
    for n in range(5):
        brought = view[n, 0] != n + 1
        (partner,) = (view[n, 0][brought].unique() - 1).long().tolist()
        assert partner != n
        assert 0.15 < brought.float().mean() < 0.41
        for where, source in ((brought, partner), (~brought, n)):
            assert (regions[n][:, where] == codes[source, :, 0, 0, None]).all()
            assert (certain[n][:, where] == sure[source, :, 0, 0, None]).all()


def test_strength_is_a_share_of_the_volumes_range_and_the_background_stays_zero() -> None:
    torch.manual_seed(0)
    images = torch.randn(400, 1, 8, 8)
    images[:, :, :3] = 0
    ranges = torch.tensor([[2.0], [8.0]]).repeat_interleave(200, dim=0)
    offsets = UniMatchOptions(jittered=1.0, contrast=0.0, blurred=0.0)
    changed = change_strongly(images, ranges, offsets)
    assert (changed[:, :, :3] == 0).all()
    moved = (changed - images)[:, 0, 3:]
    assert (moved.amax((1, 2)) - moved.amin((1, 2))).max() < 1e-5
    for width, group in zip((2, 8), moved[:, 0, 0].split(200), strict=True):
        assert 0.23 * width < group.abs().max() <= 0.25 * width
    factors = change_strongly(images, ranges, UniMatchOptions(jittered=1.0, brightness=0.0, blurred=0.0))
    ratios = (factors / images)[:, 0, 3:]
    torch.testing.assert_close(ratios.amax((1, 2)), ratios.amin((1, 2)))
    assert 0.5 <= ratios.min() < 0.55
    assert 1.45 < ratios.max() <= 1.5
    rarely = change_strongly(images, ranges, UniMatchOptions(jittered=0.3, blurred=0.0))
    assert (rarely != images).flatten(1).any(1).float().mean().item() == pytest.approx(0.3, abs=0.08)
    blurred = change_strongly(images, ranges, UniMatchOptions(jittered=0.0, blurred=1.0))
    assert blurred[:, :, 3:].std() < 0.95 * images[:, :, 3:].std()


def soft_dice(logits: torch.Tensor, truth: torch.Tensor, within: torch.Tensor) -> torch.Tensor:
    losses = []
    for region in range(logits.shape[1]):
        at = within[:, region]
        p, y = torch.sigmoid(logits[:, region])[at], truth[:, region][at]
        losses.append((1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)) * y.any())
    return torch.stack(losses).mean()


def test_the_total_is_the_formulas(make_method: Make, batch: Batch) -> None:
    with torch.no_grad():
        p = torch.sigmoid(make_method("unimatch").unet(batch.images)[3:])
        middle = torch.maximum(p, 1 - p).median().item()
        method = make_method("unimatch", confidence=middle, views=0.6, features=0.7)
        torch.manual_seed(3)
        losses = method.losses(batch, "network")
        torch.manual_seed(3)
        images, targets, labelled = method.augmented(batch)
        logits, spoilt = method._with_spoilt_features(images, ~labelled)
        p = torch.sigmoid(logits[3:])
        regions, sure = (p > 0.5).float(), torch.maximum(p, 1 - p) >= middle
        strong = [method._strong_view(images[3:], batch.ranges[3:], regions, sure) for _ in range(2)]
        said = method.unet(torch.cat([strong[0][0], strong[1][0]]))
    assert 0 < sure.float().mean() < 1
    supervised = 0.5 * dice_and_cross_entropy(logits[:3], targets)
    views = sum(soft_dice(said[2 * n : 2 * n + 2], *strong[n][1:]) for n in range(2)) / 2
    features = soft_dice(spoilt, regions, sure)
    torch.testing.assert_close(losses["supervised"], supervised)
    torch.testing.assert_close(losses["views"], views)
    torch.testing.assert_close(losses["features"], features)
    torch.testing.assert_close(losses["total"], (supervised + 0.6 * views + 0.7 * features) / 2)
    torch.testing.assert_close(losses["sure"], sure.float().mean())


def test_without_certainty_only_labels_teach(make_method: Make, batch: Batch) -> None:
    method = make_method("unimatch", confidence=1.0)
    losses = method.losses(batch, "network")
    assert losses["sure"] == 0
    torch.testing.assert_close(losses["total"], losses["supervised"] / 2)


def test_no_gradient_reaches_what_the_network_learns_to_say(make_method: Make, batch: Batch) -> None:
    """Of the logits of the plain images, only those with labels get one."""
    method = make_method("unimatch", confidence=0.5)
    with_spoilt = method._with_spoilt_features
    kept: list[torch.Tensor] = []

    def keep(images: torch.Tensor, spoilt: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        kept.extend(with_spoilt(images, spoilt))
        for logits in kept:
            logits.retain_grad()
        return kept[0], kept[1]

    method._with_spoilt_features = keep  # type: ignore[method-assign]
    method.losses(batch, "network")["total"].backward()
    plain, spoilt = (logits.grad for logits in kept)
    assert plain is not None
    assert spoilt is not None
    assert (plain[:3] != 0).all()
    assert (plain[3:] == 0).all()
    assert (spoilt != 0).any()
    assert all(parameter.grad is not None for parameter in method.unet.parameters())


def test_half_of_the_channels_of_every_level_of_unlabelled_slices_are_dropped(
    make_method: Make, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = make_method("unimatch")
    decode = method.unet.decode
    handed: list[torch.Tensor] = []

    def spy(features: list[torch.Tensor]) -> list[torch.Tensor]:
        handed.extend(features)
        return decode(features)

    monkeypatch.setattr(method.unet, "decode", spy)
    many = batch.images.repeat(8, 1, 1, 1)
    unlabelled = torch.tensor([False, False, False, True, True]).repeat(8)
    logits, spoilt = method._with_spoilt_features(many, unlabelled)
    assert (len(logits), len(spoilt)) == (40, 16)
    assert len(handed) == 5
    for level in handed:
        plain, dropped = level[:40][unlabelled], level[40:]
        alive = plain.flatten(2).any(2)
        kept = dropped.flatten(2).any(2)
        assert torch.equal(dropped[kept], 2 * plain[kept])
        assert (dropped[~kept] == 0).all()
        assert kept[alive].float().mean().item() == pytest.approx(0.5, abs=0.2)


def test_a_single_unlabelled_slice_is_mixed_with_nothing(make_method: Make, batch: Batch) -> None:
    method = make_method("unimatch", cutmix=1.0)
    values: list[Any] = [batch.images, batch.targets, batch.subjects, batch.heights, batch.ranges, batch.labelled]
    one = Batch(*(value[:4] for value in values))
    assert method.losses(one, "network")["total"].isfinite()
