"""Views: what stays, what changes, and that they hold tissue."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from wiring import watch

from mcd.errors import McdError
from mcd.pretraining.options import ViewOptions
from mcd.pretraining.registry import options_class, pretraining_class
from mcd.pretraining.views import change_intensity, extent_of, random_crop, random_view, view_size
from mcd.slices.batches import Batch
from mcd.slices.blur import gaussian_blur

RANGE = 4.0
STILL = ViewOptions(crop=(1, 1), aspect=(1, 1), mirror=0, brightness=0, contrast=0, gamma=1, noise=0, blur=0)


def body(count: int = 6, size: tuple[int, int] = (48, 64)) -> Tensor:
    """Slices with a disc of noise, off centre, in a background of 0."""
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    disc = (y - 16) ** 2 + (x - 24) ** 2 < 12**2
    return torch.where(disc, torch.randn(count, 1, *size) + 0.1, 0.0)


def unit(images: Tensor) -> Tensor:
    """The range of every slice's volume."""
    return torch.full((len(images), 1), RANGE)


def test_nothing_changes_where_everything_is_switched_off() -> None:
    full = torch.randn(3, 1, 32, 48) + 5
    assert torch.allclose(random_view(full, unit(full), STILL), full, atol=1e-4)
    assert torch.allclose(
        random_view(full, unit(full), STILL.model_copy(update={"mirror": 1.0})), full.flip(3), atol=1e-4
    )


def test_the_background_stays_exactly_zero_and_the_tissue_has_a_mean() -> None:
    images = body()
    tissue = images != 0
    changed = change_intensity(images, tissue, unit(images), ViewOptions(brightness=0.3, noise=0.5, blurred=1))
    assert torch.equal(changed == 0, ~tissue)
    assert not torch.allclose(changed[tissue], images[tissue])


def test_a_black_slice_stays_black() -> None:
    assert (random_view(torch.zeros(2, 1, 32, 32), torch.ones(2, 1), ViewOptions()) == 0).all()


@pytest.mark.parametrize("crop", [0.05, 0.25, 0.5])
def test_crops_hold_tissue_although_most_of_the_slice_is_background(crop: float) -> None:
    images = body(count=64, size=(96, 96))
    assert (images != 0).float().mean() < 0.06
    _, tissue = random_crop(images, ViewOptions().model_copy(update={"crop": (crop, crop)}), (32, 32))
    share = tissue.float().mean((1, 2, 3))
    assert share.min() > 0.1
    assert (share > 0.28).float().mean() > 0.9 or crop == 0.5  # the disc itself covers less of its half-slice box


def test_a_crop_lies_in_the_body_and_covers_its_share_of_it() -> None:
    """A ramp in y and x tells where a crop lay and how large it was."""
    size = 64
    y, x = torch.meshgrid(torch.arange(size) + 1.0, torch.arange(size) + 1.0, indexing="ij")
    for ramp in (y, x):
        images = torch.zeros(40, 1, size, size)
        images[:, :, 16:56, 8:48] = ramp[16:56, 8:48]
        view, tissue = random_crop(images, STILL.model_copy(update={"crop": (0.25, 0.25)}), (32, 32))
        assert tissue.all()  # a full body of 40 x 40: every crop of 20 x 20 within it is full too
        extent = (view.flatten(1).amax(1) - view.flatten(1).amin(1)) * 32 / 31
        assert torch.allclose(extent, torch.full_like(extent, 20), atol=1.1)
        assert view.flatten(1).amin(1).std() > 1  # not always the same place


def test_brightness_adds_and_contrast_multiplies_within_bounds() -> None:
    images = body()
    tissue = images != 0
    brighter = change_intensity(images, tissue, unit(images), STILL.model_copy(update={"brightness": 0.3}))
    shift = (brighter - images)[tissue].view(6, -1)
    assert torch.allclose(shift, shift[:, :1].expand_as(shift), atol=1e-5)
    assert 0.3 < shift.abs().max() <= 0.3 * RANGE
    assert len(shift[:, 0].unique()) == 6
    factor = (change_intensity(images, tissue, unit(images), STILL.model_copy(update={"contrast": 0.2})) / images)[
        tissue
    ].view(6, -1)
    assert torch.allclose(factor, factor[:, :1].expand_as(factor), atol=1e-3)
    assert ((factor > 0.79) & (factor < 1.21)).all()


def test_brightness_and_noise_are_shares_of_each_volume_s_own_range() -> None:
    """Published strengths are for images scaled to 0..1: a z-scored volume is as wide as its range."""
    images, ranges = body(4), torch.tensor([[0.0], [1.0], [4.0], [8.0]])
    tissue = images != 0
    for options in ({"brightness": 0.3}, {"noise": 0.1}):
        changed = []
        for units in (torch.ones(4, 1), ranges):
            torch.manual_seed(5)
            changed.append(change_intensity(images, tissue, units, STILL.model_copy(update=options)) - images)
        assert torch.allclose(changed[1], changed[0] * ranges[:, :, None, None], atol=1e-5)
        assert changed[0].abs().amax((1, 2, 3)).min() > 0


def test_noise_is_drawn_for_every_pixel_and_as_strong_as_up_to_its_option() -> None:
    images = torch.full((400, 1, 16, 16), 5.0)
    torch.manual_seed(0)
    noisy = change_intensity(images, images != 0, unit(images), STILL.model_copy(update={"noise": 0.1}))
    noise = (noisy - images).flatten(1) / RANGE
    sds = noise.std(1)
    assert sds.max() < 0.1 * 1.2
    assert sds.mean().item() == pytest.approx(0.05, rel=0.1)  # uniform from 0
    assert sds.min() < 0.005
    assert (noise.mean(1) / sds * 16).std().item() == pytest.approx(1, rel=0.15)  # independent, with mean 0


def test_gamma_keeps_the_range_and_the_order_of_the_tissue() -> None:
    images = body()
    tissue = images != 0
    bent = change_intensity(images, tissue, unit(images), STILL.model_copy(update={"gamma": 2.0}))
    for before, after, inside in zip(images, bent, tissue, strict=True):
        assert torch.equal(before[inside].argsort(), after[inside].argsort())
        assert after[inside].min().item() == pytest.approx(before[inside].min().item(), abs=1e-5)
        assert after[inside].max().item() == pytest.approx(before[inside].max().item(), abs=1e-5)
    assert not torch.allclose(bent[tissue], images[tissue], atol=0.05)


def test_a_blur_is_a_gaussian_among_the_tissue_alone() -> None:
    images = body()
    tissue = images != 0
    blurred = gaussian_blur(images, tissue, torch.full((6, 1, 1, 1), 0.9), largest=1.0)
    for image, inside, found in zip(images, tissue, blurred, strict=True):
        plain = gaussian_filter(image[0].numpy(), 0.9, mode="constant", radius=3)
        weight = gaussian_filter(inside[0].float().numpy(), 0.9, mode="constant", radius=3)
        assert np.allclose(found[0].numpy()[inside[0]], plain[inside[0]] / weight[inside[0]], atol=1e-5)
    flat = change_intensity(
        torch.where(tissue, 2.0, 0.0), tissue, unit(images), STILL.model_copy(update={"blur": 1.0, "blurred": 1.0})
    )
    assert torch.allclose(flat[tissue], torch.tensor(2.0), atol=1e-4)  # the rim is as bright as the middle


def test_views_depend_on_the_seed_alone_and_differ_from_each_other() -> None:
    images = body()
    torch.manual_seed(3)
    first = random_view(images, unit(images), ViewOptions())
    second = random_view(images, unit(images), ViewOptions())
    torch.manual_seed(3)
    assert torch.equal(random_view(images, unit(images), ViewOptions()), first)
    assert not torch.equal(first, second)


def test_sizes_are_what_a_u_net_takes() -> None:
    assert random_view(body(), unit(body()), ViewOptions(), (32, 16)).shape == (6, 1, 32, 16)
    assert view_size((64, 96), 96 / 224) == (32, 48)
    assert view_size((160, 160), 96 / 224) == (64, 64)
    assert view_size((32, 32), 0.2) == (16, 16)
    with pytest.raises(ValueError, match="multiples of 16"):
        random_view(body(), unit(body()), ViewOptions(), (40, 40))


@pytest.mark.parametrize(
    "wrong", [{"crop": (0.0, 1.0)}, {"crop": (0.5, 0.2)}, {"crop": (0.5, 1.5)}, {"aspect": (2, 1)}]
)
def test_impossible_options_are_the_users_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(McdError, match=next(iter(wrong))):
        ViewOptions.read(wrong, "views")


@pytest.mark.parametrize(
    ("body", "extent"),
    [
        ((10, 50), (10, 50)),
        ((16, 48), (16, 48)),
        ((30, 34), (16, 48)),  # enlarged to half of the slice, about its middle
        ((0, 4), (0, 32)),
        ((60, 64), (32, 64)),
        ((63, 64), (32, 64)),
        ((0, 64), (0, 64)),
        ((0, 0), (0, 64)),  # black: all of it
    ],
)
def test_the_box_is_the_bodys_and_at_least_half_of_the_slice(body: tuple[int, int], extent: tuple[int, int]) -> None:
    occupied = torch.zeros(2, 64, dtype=torch.bool)
    occupied[0, slice(*body)] = True
    occupied[1] = True
    start, stop = extent_of(occupied)
    assert (start.tolist(), stop.tolist()) == ([extent[0], 0], [extent[1], 64])


def test_a_single_pixel_of_tissue_is_seen() -> None:
    images = torch.zeros(20, 1, 32, 32)
    images[torch.arange(20), 0, torch.arange(20) + 6, torch.arange(20) + 3] = 2.0
    torch.manual_seed(0)
    view, tissue = random_crop(images, ViewOptions(), (64, 64))
    assert tissue.flatten(1).any(1).all()
    torch.testing.assert_close(view[tissue], torch.full_like(view[tissue], 2.0))


@pytest.mark.parametrize("size", [(32, 32), (48, 32), (32, 64)])
def test_a_crop_is_distorted_by_the_aspect_drawn_and_keeps_its_share(size: tuple[int, int]) -> None:
    """Extents in both directions, from slices that rise along one axis each, of the same random crops."""
    options = STILL.model_copy(update={"crop": (0.1, 0.2), "aspect": (0.5, 2.0)})
    count, height, width = 200, 64, 96
    rows, columns = torch.meshgrid(torch.arange(height) + 1.0, torch.arange(width) + 1.0, indexing="ij")
    seen = []
    for ramp in (rows, columns):
        torch.manual_seed(0)
        view, _ = random_crop(ramp.expand(count, 1, height, width), options, size)
        side = size[0] if ramp is rows else size[1]
        seen.append((view.amax((1, 2, 3)) - view.amin((1, 2, 3))) * side / (side - 1))
    tall, wide = seen
    share = tall * wide / (height * width)
    distortion = wide / tall / (size[1] / size[0])
    assert share.min() > 0.09
    assert share.max() < 0.21
    assert share.max() > 0.18
    assert distortion.min() < 0.6
    assert distortion.max() > 1.7
    assert distortion.min() > 0.45
    assert distortion.max() < 2.2
    assert distortion.log().mean().abs() < 0.1  # as often narrow as wide


@pytest.mark.parametrize("algorithm", ["exemplar", "simclr", "byol", "swav", "gl", "contig", "vicreg"])
def test_every_view_of_every_method_changes_by_the_range_of_its_own_volume(algorithm: str) -> None:
    """Brightness is a share of the range: slices of range 0 are shown as they are, the others are not, in every view."""
    modalities = ["A", "B"] if algorithm == "contig" else ["A"]
    options = options_class(algorithm)(**{**STILL.model_dump(), "brightness": 0.5})
    if algorithm == "swav":
        options = options.model_copy(update={"small_crop": (1.0, 1.0), "small_size": 1.0})
    method = pretraining_class(algorithm)(options, 2, modalities, (32, 32))
    images = torch.randn(8, len(modalities), 32, 32) + 5
    ranges = torch.tensor([0.0, 1.0, 0.0, 2.0, 3.0, 0.0, 0.0, 1.0])[:, None]
    ranges = torch.cat([ranges, ranges.flip(0)], dim=1)[:, : len(modalities)]
    batch = Batch(images, None, torch.arange(8) % 4, torch.linspace(0, 1, 8), ranges)
    seen = [watch(block) for name, block in method.named_modules() if name.endswith("encoder.0")]
    for epoch in (0, 1):  # G-L has two stages
        method.before_epoch(epoch, 2)
        method.losses(batch, "network")
    for network, views in enumerate(seen):
        channel = network if algorithm == "contig" else 0
        changes = (torch.cat(views).view(-1, 8, 32, 32) - images[:, channel]).abs().amax((2, 3))
        assert len(changes) >= 2
        still = ranges[:, channel] == 0
        assert (changes[:, still] < 1e-3).all()
        assert (changes[:, ~still] > 1e-3).all()
