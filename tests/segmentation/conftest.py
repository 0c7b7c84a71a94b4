"""What the tests of the segmentation methods share."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from mcd.models.unet import UNet
from mcd.seeding import derive_seed
from mcd.segmentation.registry import options_class, segmentation_class
from mcd.segmentation.supervised import Segmentation
from mcd.slices.batches import Batch
from mcd.slices.options import Augmentation

STILL = Augmentation(mirror=False, rotation=0, scale=0, shift=0, intensity=0)
"""No augmentation, for tests that compute a loss again."""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def make_method() -> Callable[..., Segmentation]:
    """Builds a method around a small U-Net with two regions, the same each time."""

    def make(algorithm: str, augmentation: Augmentation = STILL, **options: Any) -> Segmentation:
        torch.manual_seed(derive_seed(algorithm))
        method_class = segmentation_class(algorithm)
        return method_class(UNet(2, out_channels=2), augmentation, options_class(algorithm).model_validate(options))

    return make


@pytest.fixture
def batch() -> Batch:
    """Three labelled and two unlabelled slices of 32x32; the second region is missing from one of the labelled."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(5, 1, 32, 32, generator=generator)
    images[:, :, :, :4] = 0
    targets = torch.zeros(5, 2, 32, 32)
    targets[0, :, 8:14, 9:20] = 1
    targets[1, :, 20:25, 5:9] = 1
    targets[1, 1, 21:23, 6:8] = 0
    targets[2, 0, 10:30, 10:30] = 1
    targets[3:] = torch.nan
    images += 2 * targets[:, :1].nan_to_num()
    return Batch(
        images=images,
        targets=targets,
        subjects=torch.tensor([0, 0, 0, 1, 2]),
        heights=torch.linspace(0, 1, 5),
        ranges=torch.full((5, 1), 4.0),
        labelled=torch.tensor([True, True, True, False, False]),
    )
