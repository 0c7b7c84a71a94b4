"""The light augmentation of fine-tuning, on whole batches, on whatever device they are.

The paper names none. Ours is the same for every method of a table: a mirror image, a small rotation, scaling and shift, and
a small change of intensity; nothing that makes an anatomically impossible slice.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.slices.options import Augmentation


def augment(images: Tensor, targets: Tensor, options: Augmentation) -> tuple[Tensor, Tensor]:
    """Change images (N, M, H, W) and targets (N, R, H, W) of 0 and 1 alike in space, and the images in intensity.

    Images are interpolated linearly, targets to the nearest pixel. The background stays exactly 0. Random numbers come
    from torch's global generator of the device.
    """
    count, device = len(images), images.device

    def uniform(bound: float) -> Tensor:
        return (torch.rand(count, device=device) * 2 - 1) * bound

    angle, size = uniform(math.radians(options.rotation)), 1 + uniform(options.scale)
    mirror = torch.where(torch.rand(count, device=device) < (0.5 if options.mirror else 0.0), -1.0, 1.0)
    cosine, sine = torch.cos(angle) * size, torch.sin(angle) * size
    rows = torch.stack(
        [cosine * mirror, -sine, 2 * uniform(options.shift), sine * mirror, cosine, 2 * uniform(options.shift)], dim=1
    )
    grid = F.affine_grid(rows.view(-1, 2, 3), list(images.shape), align_corners=False)
    background = F.grid_sample((images == 0).all(1, keepdim=True).float(), grid, mode="nearest", align_corners=False)
    outside = (grid.abs() > 1).any(-1).unsqueeze(1)
    images = F.grid_sample(images, grid, mode="bilinear", align_corners=False)
    targets = F.grid_sample(targets, grid, mode="nearest", align_corners=False)
    factor = 1 + options.intensity * torch.randn(count, 1, 1, 1, device=device)
    offset = options.intensity * torch.randn(count, 1, 1, 1, device=device)
    tissue = ~(outside | background.bool())
    return torch.where(tissue, images * factor + offset, 0.0), targets
