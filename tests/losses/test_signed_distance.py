"""Signed distance maps against scipy, and the cases that go wrong in two dimensions."""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from mcd.losses.signed_distance import distance_to_background, mask_logits, signed_distance_maps


def one(mask: np.ndarray) -> torch.Tensor:
    """The map of one mask."""
    return signed_distance_maps(torch.from_numpy(mask[None, None].astype(np.float32)))[0, 0]


def blobs(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.random(shape) < rng.uniform(0.02, 0.98, (*shape[:-2], 1, 1))


@pytest.mark.parametrize("size", [(16, 16), (33, 20), (64, 48), (3, 40)])
def test_the_distance_is_scipys(size: tuple[int, int]) -> None:
    masks = blobs(0, (6, 3, *size))
    expected = np.stack([[distance_transform_edt(mask) for mask in slice_] for slice_ in masks])
    np.testing.assert_allclose(distance_to_background(torch.from_numpy(masks)).numpy(), expected, atol=1e-4)


def test_a_single_far_pixel_is_seen_from_every_corner() -> None:
    mask = np.ones((64, 160), dtype=bool)
    mask[63, 159] = False
    distance = distance_to_background(torch.from_numpy(mask))
    np.testing.assert_allclose(distance.numpy(), distance_transform_edt(mask), rtol=1e-6)


def test_each_slice_and_region_is_normalised_by_itself() -> None:
    masks = blobs(1, (4, 2, 32, 32))
    maps = signed_distance_maps(torch.from_numpy(masks).float()).numpy()
    for n in range(4):
        for region in range(2):
            inside, outside = (distance_transform_edt(m) for m in (masks[n, region], ~masks[n, region]))
            expected = outside / outside.max() - inside / inside.max()
            np.testing.assert_allclose(maps[n, region], expected, atol=1e-5)


def test_a_square_is_negative_inside_and_positive_outside_and_reaches_both_ends() -> None:
    mask = np.zeros((32, 32), dtype=bool)
    mask[10:19, 12:21] = True
    distance = one(mask)
    assert (distance[mask] < 0).all()
    assert (distance[~mask] > 0).all()
    assert distance.min() == -1
    assert distance.argmin() == 14 * 32 + 16  # its middle
    assert distance.max() == 1
    assert distance.argmax() == 31 * 32  # the corner farthest from it


def test_a_slice_without_the_region_is_outside_and_one_filled_by_it_inside() -> None:
    assert (one(np.zeros((16, 16))) == 1).all()
    assert (one(np.ones((16, 16))) == -1).all()


def test_a_single_pixel_is_minus_one_and_a_single_hole_plus_one() -> None:
    mask = np.zeros((16, 16), dtype=bool)
    mask[5, 7] = True
    assert one(mask)[5, 7] == -1
    assert one(~mask)[5, 7] == 1
    assert (one(mask).abs() > 0).all()


@pytest.mark.parametrize("kind", ["random", "empty", "full", "pixel"])
def test_the_map_of_a_mask_turns_back_into_the_mask_and_never_into_a_half(kind: str) -> None:
    masks = blobs(2, (5, 2, 160, 160))
    if kind != "random":
        masks[:] = kind == "full"
        masks[..., 3, 4] |= kind == "pixel"
    again = torch.sigmoid(mask_logits(signed_distance_maps(torch.from_numpy(masks).float())))
    np.testing.assert_allclose(again.numpy(), masks, atol=2e-3)  # sigmoid(-1500 / 226) = 0.0013 at one pixel of 160x160


def test_the_steep_sigmoid_teaches_a_hundredth_of_the_range() -> None:
    maps = torch.tensor([0.0, 0.001, 0.005, 0.01], dtype=torch.float64, requires_grad=True)
    torch.sigmoid(mask_logits(maps)).sum().backward()
    steep = 1 / (1 + np.exp(1500 * maps.detach().numpy()))
    assert maps.grad is not None
    np.testing.assert_allclose(maps.grad, -1500 * steep * (1 - steep), rtol=1e-9)
    assert maps.grad[0] == -375
    assert maps.grad[3].abs() < 1e-3


def test_half_precision_maps_are_sharpened_in_single() -> None:
    assert mask_logits(torch.tensor([0.5], dtype=torch.bfloat16)).dtype == torch.float32
    assert mask_logits(torch.tensor([0.5]), sharpness=10).item() == -5


def test_no_gradient_asks_for_the_targets() -> None:
    assert not signed_distance_maps(torch.zeros(1, 1, 16, 16, requires_grad=True)).requires_grad
