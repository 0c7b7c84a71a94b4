"""Random views of one-channel slices: the augmentation that every view-based pre-training shares.

Colour augmentations of ImageNet recipes (hue, saturation, grey, solarisation, three-channel statistics) have no meaning for
z-scores; and much of a slice is background, so that a random crop is often empty. A view here is a crop inside the body,
resized, perhaps mirrored, with random brightness, contrast, gamma, blur and noise *inside the tissue*; its background stays
exactly 0, since it could otherwise identify the two views of a slice. Offsets and noise are shares of the volume's range
(`Batch.ranges`), since published strengths are for images scaled to 0..1. Everything runs on whole batches, on their device,
with torch's global generator.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.models.unet import SIZE_FACTOR
from mcd.pretraining.options import ViewOptions
from mcd.slices.blur import gaussian_blur

CANDIDATES = 8
"""Positions tried for a crop before the one with the most tissue is used."""

SMALLEST_BOX = 0.5
"""The body's bounding box is enlarged to at least this share of the slice before it is cropped: an apex slice with a few
pixels of body would otherwise be magnified beyond recognition."""


def view_size(size: tuple[int, int], share: float) -> tuple[int, int]:
    """`share` of a slice's height and width, to the nearest multiple of 16, which a U-Net needs, and at least 16."""
    height, width = (max(round(share * pixels / SIZE_FACTOR), 1) * SIZE_FACTOR for pixels in size)
    return height, width


@torch.no_grad()
def random_view(images: Tensor, ranges: Tensor, options: ViewOptions, size: tuple[int, int] | None = None) -> Tensor:
    """One random view of each slice: (N, 1, H, W) z-scores with background 0 -> (N, 1, *size) float32.

    For V views per slice give `images.repeat(V, 1, 1, 1), ranges.repeat(V, 1)`.

    Args:
        ranges: (N, 1), see `mcd.slices.batches.Batch`.
        size: (height, width) of the view, multiples of 16; None for the slice's own.

    Raises:
        ValueError: if the size is not a multiple of 16.
    """
    size = size or (images.shape[-2], images.shape[-1])
    if size[0] % SIZE_FACTOR or size[1] % SIZE_FACTOR:
        raise ValueError(f"a view of {size[0]}x{size[1]} pixels: both must be multiples of {SIZE_FACTOR}")
    with torch.autocast(images.device.type, enabled=False):
        return change_intensity(*random_crop(images.float(), options, size), ranges, options)


def random_crop(images: Tensor, options: ViewOptions, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The view's geometry alone: its pixels, bilinear among tissue, and the bool mask of its tissue, both (N, 1, *size)."""
    height, width = images.shape[-2:]
    tissue = images != 0
    top, left, rows, columns = _windows(tissue[:, 0], options, shape=size[1] / size[0])
    flip = torch.where(torch.rand(len(images), device=images.device) < options.mirror, -1.0, 1.0)
    zero = torch.zeros_like(top)
    theta = torch.stack(
        [
            flip * columns / width,
            zero,
            (2 * left + columns) / width - 1,
            zero,
            rows / height,
            (2 * top + rows) / height - 1,
        ],
        dim=1,
    )
    grid = F.affine_grid(theta.view(-1, 2, 3), [len(images), 1, *size], align_corners=False)
    both = F.grid_sample(torch.cat([images, tissue.to(images)], dim=1), grid, mode="bilinear", align_corners=False)
    view, weight = both[:, :1], both[:, 1:]
    return view / weight.clamp_min(
        1e-6
    ), weight >= 0.5  # divided, so that the background's 0 does not bleed into the rim


def _windows(tissue: Tensor, options: ViewOptions, shape: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Top, left, height and width (N,) in pixels of a crop of each mask (N, H, W): in the body's box, centred on tissue.

    `shape` is the ratio of width to height of an undistorted view.
    """
    count, _, width = tissue.shape
    device = tissue.device
    top, bottom = extent_of(tissue.any(2))
    left, right = extent_of(tissue.any(1))
    area = _uniform(count, options.crop, device) * (bottom - top) * (right - left)
    aspect = shape * torch.exp(_uniform(count, (math.log(options.aspect[0]), math.log(options.aspect[1])), device))
    rows = torch.minimum(torch.sqrt(area / aspect), bottom - top)
    columns = torch.minimum(torch.sqrt(area * aspect), right - left)

    weights = tissue.flatten(1).float()
    weights = torch.where(tissue.flatten(1).any(1, keepdim=True), weights, 1.0)  # a black slice: anywhere
    centres = torch.multinomial(weights, CANDIDATES, replacement=True)
    tops = torch.minimum(
        ((centres // width) + 0.5 - rows[:, None] / 2).clamp_min(top[:, None]), (bottom - rows)[:, None]
    )
    lefts = torch.minimum(
        ((centres % width) + 0.5 - columns[:, None] / 2).clamp_min(left[:, None]), (right - columns)[:, None]
    )
    share = _tissue_within(tissue, tops, lefts, rows[:, None], columns[:, None])
    # the first position with enough tissue, hence a random one of these; else the one with the most
    chosen = torch.where((share >= options.tissue).any(1), (share >= options.tissue).float().argmax(1), share.argmax(1))
    pick = chosen[:, None]
    return tops.gather(1, pick)[:, 0], lefts.gather(1, pick)[:, 0], rows, columns


def extent_of(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """Start and stop (N,) of the True part of (N, L), enlarged about its middle to SMALLEST_BOX of L; all of L if none."""
    length = occupied.shape[1]
    start = occupied.float().argmax(1).float()
    stop = length - occupied.flip(1).float().argmax(1).float()
    lacking = (SMALLEST_BOX * length - (stop - start)).clamp_min(0)
    start = torch.minimum((start - lacking / 2).clamp_min(0), length - (stop - start) - lacking)
    stop = torch.maximum(start + SMALLEST_BOX * length, stop)
    anything = occupied.any(1)
    return torch.where(anything, start, 0.0), torch.where(anything, stop, float(length))


def _tissue_within(tissue: Tensor, tops: Tensor, lefts: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Share (N, K) of tissue in K windows of each mask (N, H, W), from a summed-area table."""
    _, height, width = tissue.shape
    table = F.pad(tissue.float().cumsum(1).cumsum(2), (1, 0, 1, 0)).flatten(1)  # float32 counts pixels exactly

    def corner(y: Tensor, x: Tensor) -> Tensor:
        at = y.round().clamp(0, height).long() * (width + 1) + x.round().clamp(0, width).long()
        return table.gather(1, at)

    bottoms, rights = tops + rows, lefts + columns
    inside = corner(bottoms, rights) - corner(tops, rights) - corner(bottoms, lefts) + corner(tops, lefts)
    return inside / (rows * columns)


@torch.no_grad()
def change_intensity(view: Tensor, tissue: Tensor, ranges: Tensor, options: ViewOptions) -> Tensor:
    """The view's intensities: random gamma, contrast, brightness, blur and noise on (N, 1, H, W) within `tissue`; 0 outside.

    Brightness and noise are shares of `ranges` (N, 1).
    """
    count, device = len(view), view.device
    ranges = ranges.view(-1, 1, 1, 1)

    def uniform(low: float, high: float) -> Tensor:
        return _uniform(count, (low, high), device).view(-1, 1, 1, 1)

    if options.gamma > 1:
        low = torch.where(tissue, view, math.inf).amin((1, 2, 3), keepdim=True)
        high = torch.where(tissue, view, -math.inf).amax((1, 2, 3), keepdim=True)
        extent = high - low
        exponent = torch.exp(uniform(-math.log(options.gamma), math.log(options.gamma)))
        bent = ((view - low) / extent).clamp(0, 1) ** exponent * extent + low
        view = torch.where(extent.isfinite() & (extent > 0), bent, view)  # infinite: no tissue at all
    view = view * (1 + uniform(-options.contrast, options.contrast))
    view = view + ranges * uniform(-options.brightness, options.brightness)
    if options.blur > 0 and options.blurred > 0:
        chosen = torch.rand(count, 1, 1, 1, device=device) < options.blurred
        view = torch.where(chosen, gaussian_blur(view, tissue, uniform(0.1, options.blur), options.blur), view)
    return torch.where(tissue, view + ranges * uniform(0, options.noise) * torch.randn_like(view), 0.0)


def _uniform(count: int, bounds: tuple[float, float], device: torch.device) -> Tensor:
    low, high = bounds
    return low + (high - low) * torch.rand(count, device=device)
