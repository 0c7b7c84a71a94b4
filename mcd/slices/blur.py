"""A blur that background does not bleed into, on whole batches: what views of pre-training and of UniMatch share."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def gaussian_blur(view: Tensor, tissue: Tensor, sigma: Tensor, largest: float) -> Tensor:
    """Gaussian blur of each (1, H, W) with its own sigma (N, 1, 1, 1), among the tissue only."""
    count, radius = len(view), math.ceil(3 * largest)
    steps = torch.arange(-radius, radius + 1, device=view.device)
    kernel = torch.exp(-0.5 * (steps / sigma.clamp_min(1e-3).view(-1, 1)) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(2, dim=0)
    weight = tissue.to(view)
    both = torch.cat([view * weight, weight], dim=1).view(
        1, 2 * count, *view.shape[-2:]
    )  # one group per image and mask
    both = F.conv2d(both, kernel.view(2 * count, 1, -1, 1), padding=(radius, 0), groups=2 * count)
    both = F.conv2d(both, kernel.view(2 * count, 1, 1, -1), padding=(0, radius), groups=2 * count)
    both = both.view(count, 2, *view.shape[-2:])
    return both[:, :1] / both[:, 1:].clamp_min(1e-6)
