"""The light augmentation of fine-tuning, on whole batches, on whatever device they are.

The paper names none. Ours is the same for every method of a table: a mirror image, a small rotation, scaling and shift, and
a small change of intensity; nothing that makes an anatomically impossible slice.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Augmentation:
    """How far a slice may be changed; 0 (or false) switches a change off. All values are our choice.

    Attributes:
        mirror: left-right mirror image in half of the cases: heads are nearly symmetric.
        rotation: largest rotation, degrees: patients lie this much askew.
        scale: largest relative change of size.
        shift: largest shift, as a share of the slice.
        intensity: sd of the factor around 1 and of the offset around 0, in z-scores.
    """

    mirror: bool = True
    rotation: float = 10.0
    scale: float = 0.1
    shift: float = 0.05
    intensity: float = 0.1


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
