"""What the tests of the methods' wiring share: what a network is shown, and whether two losses are one and the same."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from mcd.slices.batches import Batch

STILL: dict[str, Any] = {"aspect": (1.0, 1.0), "mirror": 0.0, "brightness": 0.0, "contrast": 0.0, "gamma": 1.0}
STILL |= {"noise": 0.0, "blur": 0.0, "tissue": 0.0}
"""Options of views that are a crop of the slice and no more."""

RESTLESS: dict[str, Any] = {"crop": (0.3, 0.9), "mirror": 0.5, "brightness": 0.2, "contrast": 0.2, "gamma": 1.2}
RESTLESS |= {"noise": 0.1, "blur": 1.0, "blurred": 0.5}
"""Options of views in which everything changes."""


def watch(module: nn.Module) -> list[Tensor]:
    """Copies of what a module is shown from now on, one per call."""
    seen: list[Tensor] = []
    module.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].detach().clone()))
    return seen


def assert_one_loss(found: Tensor, expected: Tensor, method: nn.Module) -> set[str]:
    """Both have one value, reach the same parameters, and give each the same gradient; returns the parts that they reach.

    A value alone does not tell a branch without a gradient from one with it.
    """
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    names, parameters = zip(*((n, p) for n, p in method.named_parameters() if p.requires_grad), strict=True)
    ours, theirs = (torch.autograd.grad(loss, parameters, allow_unused=True) for loss in (found, expected))
    scale = max(float(gradient.abs().max()) for gradient in theirs if gradient is not None)
    assert scale > 0
    reached = set()
    for name, our, their in zip(names, ours, theirs, strict=True):
        assert (our is None) == (their is None), name
        if our is not None:
            reached.add(name.split(".")[0])
            assert float((our - their).abs().max()) < 1e-3 * scale, name
    return reached


def assert_all_differ(views: Sequence[Tensor]) -> None:
    """In no slice are two of the views (N, 1, H, W) alike."""
    for one, other in combinations(views, 2):
        assert not torch.isclose(one, other, atol=1e-3).flatten(1).all(1).any()


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Of two vectors."""
    return (a @ b) / (a.norm() * b.norm())


def share_found(queries: Tensor, keys: Tensor) -> float:
    """How many of the queries have their own key nearest."""
    cosines = [[cosine(query, key).item() for key in keys] for query in queries]
    nearest = [row.index(max(row)) for row in cosines]
    return sum(own == found for own, found in enumerate(nearest)) / len(queries)


def spread(embeddings: Tensor) -> float:
    """The sd of a coordinate over the batch, averaged over the coordinates, as a share of what the whole sphere gives."""
    units = torch.stack([z / z.norm() for z in embeddings.detach()]).numpy()
    return float(units.std(0).mean() * units.shape[1] ** 0.5)


def extent(views: Tensor) -> Tensor:
    """How many pixels of the slice each view (N, 1, H, W) spans, of slices that rise by 1 from column to column."""
    width = views.shape[-1]
    return (views.amax((1, 2, 3)) - views.amin((1, 2, 3))) * width / (width - 1)


def slope(count: int, side: int) -> Batch:
    """Slices (N, 1, side, side) that rise by 1 from column to column and are nowhere 0."""
    images = (torch.arange(side) + 1.0).expand(count, 1, side, side).contiguous()
    return Batch(images, None, torch.arange(count), torch.zeros(count), torch.ones(count, 1))
