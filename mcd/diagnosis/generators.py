"""What the generators of a DSGAN can do on patients that they never saw; no label is read."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.diagnosis.knock_out import knocked_out
from mcd.diagnosis.numbers import INNERMOST, SHARED, Number
from mcd.losses import at_least_single
from mcd.models.generator import DomainSharingGenerator
from mcd.slices.batches import SliceSet
from mcd.translation.passes import BATCH, SAMPLED, Passes

CANDIDATES = 16
"""Slices among which a partner is sought (our choice; the paper trains L_C among 48 and 36)."""


def innermost(generator: DomainSharingGenerator) -> tuple[int, str]:
    """How many of the innermost layers to knock out, and what they are called."""
    return (generator.shared, SHARED) if generator.shared else (1, INNERMOST)


def sample(slices: SliceSet, seed: int) -> list[np.ndarray]:
    """At most `SAMPLED` of some slices, in batches."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(slices))[:SAMPLED])
    return np.array_split(chosen, -(-len(chosen) // BATCH))


def mean_image(slices: SliceSet, seed: int) -> Tensor:
    """(1, modalities, H, W) the mean of a sample of slices, pixel by pixel."""
    batches = sample(slices, seed)
    totals = [slices.batch(indices).images.sum(0, keepdim=True, dtype=torch.float64) for indices in batches]
    return (torch.stack(totals).sum(0) / sum(map(len, batches))).float()


@torch.inference_mode()
def translation_errors(passes: Passes, slices: SliceSet, mean: Tensor, seed: int) -> list[Number]:
    """L1 of each modality's translations, as in L_T, beside what images have that are the same for every slice.

    `l1` of the translation, `l1_zero` of an image of 0, the volumes' mean and their background, `l1_mean` of `mean`, and, as a
    knock-out, `l1_without` of the translation without what the innermost layers hand on.
    """
    generator = passes.method.generator
    layers, name = innermost(generator)
    first, second = map(generator.branch, passes.pair)
    totals: dict[tuple[str, str], float] = {}
    batches = sample(slices, seed)
    for indices in batches:
        real = slices.batch(indices).images
        made = {"l1": _translations(passes, real), "l1_zero": torch.zeros_like(real), "l1_mean": mean.expand_as(real)}
        # up layer k is shared, and then one module; where it is not, each branch has its own
        with knocked_out(first, layers), knocked_out(second, layers):
            made["l1_without"] = _translations(passes, real)
        for measure, images in made.items():
            errors = (images - real).abs().mean((0, 2, 3)).tolist()
            for modality, error in zip(slices.modalities, errors, strict=True):
                totals[measure, modality] = totals.get((measure, modality), 0.0) + error * len(indices)
    count = sum(map(len, batches))
    return [
        Number("knock_out", measure, total / count, modality, layers=name)
        if measure == "l1_without"
        else Number("translation", measure, total / count, modality)
        for (measure, modality), total in totals.items()
    ]


def _translations(passes: Passes, real: Tensor) -> Tensor:
    """(N, 2, H, W): X' and Y'."""
    made = passes.images(real)
    return torch.cat([made["X_trans"], made["Y_trans"]], 1)


@torch.inference_mode()
def retrieval(passes: Passes, slices: SliceSet, seed: int) -> list[Number]:
    """How often a slice's partner in the other modality is found among `CANDIDATES`, in both directions.

    `features`: by the cosine that L_C compares. `silhouettes`: by the overlap (IoU) of what is not background, which asks
    nothing of what is inside. `chance`. Slices are drawn, and placed, as the pre-training did it (options `batches`, `shift`).
    None where there are fewer than two slices.
    """
    shares: dict[str, list[float]] = {"features": [], "silhouettes": [], "chance": []}
    sizes: list[int] = []
    torch.manual_seed(seed)  # of the shifts
    for indices in _candidates(passes, slices, seed):
        images = slices.batch(indices).images
        (x, _), (_, y) = passes.method.placed(images), passes.method.placed(images)
        features = F.normalize(at_least_single(passes.features(torch.cat([x, y], 1))).flatten(1), dim=1)
        of_x, of_y = features.chunk(2)
        shares["features"].append(found(of_x @ of_y.T))
        shares["silhouettes"].append(found(overlaps(x != 0, y != 0)))
        shares["chance"].append(1 / len(indices))
        sizes.append(len(indices))
    return [
        Number("retrieval", name, float(np.average(values, weights=sizes))) for name, values in shares.items() if values
    ]


def _candidates(passes: Passes, slices: SliceSet, seed: int) -> Iterator[np.ndarray]:
    if len(slices) < 2:
        return
    drawn = passes.method.batches(slices, CANDIDATES, np.random.default_rng(seed))
    yield from islice(drawn, SAMPLED // CANDIDATES)


def found(similarity: Tensor) -> float:
    """Of (N, N) similarities of x_i to y_j, how often the most similar one is the partner, mean of both directions.

    Of several that are equally similar, each counts its share, so that features that tell nothing apart score chance.
    """

    def share(rows: Tensor) -> Tensor:
        best = rows == rows.max(1, keepdim=True).values
        return (best.diagonal() / best.sum(1)).mean()

    return float((share(similarity) + share(similarity.T)) / 2)


def overlaps(a: Tensor, b: Tensor) -> Tensor:
    """(N, M) intersection over union of every mask of (N, ...) with every one of (M, ...); 1 for two empty ones."""
    a, b = a.flatten(1).double(), b.flatten(1).double()
    both = a @ b.T
    either = a.sum(1, keepdim=True) + b.sum(1) - both
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)
