"""The global and the local contrastive loss of Chaitanya et al. (NeurIPS 2020, Eq. 1 to 3), vectorised with masks."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.losses import at_least_single, selected


def same_part_contrastive(embeddings: Tensor, parts: Tensor, temperature: float = 0.1) -> Tensor:
    """Global loss L_g^D: slices from the same part of different volumes attract, those from other parts repel.

    For each ordered pair (a, p) of one part: -log e^s(a,p) / (e^s(a,p) + sum over all n of other parts of e^s(a,n)), with s
    the cosine over the temperature. A slice's other view has the same part, so it is a positive, too. Slices of the same part
    are never negatives.

    Args:
        embeddings: (N, D), all views.
        parts: (N,) part of its volume that each comes from; in the host's memory, where pairs are counted without waiting
            for the device.

    Raises:
        ValueError: when a batch has no positive or no negative.
    """
    alike = int((parts[:, None] == parts).sum())  # each with itself, too
    if alike in (len(parts), len(parts) ** 2):
        raise ValueError("the global contrastive loss needs at least 2 parts, and 2 slices or views of one")
    with torch.autocast(embeddings.device.type, enabled=False):
        z = F.normalize(at_least_single(embeddings), dim=1)
        similarity = z @ z.T / temperature
        parts = parts.to(z.device, non_blocking=True)
        same_part = parts[:, None] == parts
        positive = same_part & ~torch.eye(len(z), dtype=torch.bool, device=z.device)
        repelled = similarity.masked_fill(same_part, -torch.inf).logsumexp(1, keepdim=True)
        return selected(F.softplus(repelled - similarity), positive, alike - len(parts)).mean()


def region_logits(a: Tensor, b: Tensor, negatives: Tensor, temperature: float = 0.1) -> Tensor:
    """Similarities of each region in one view's map with the regions that it is compared to, in both views' maps.

    Args:
        a, b: (N, R, D) embeddings of R regions in two views whose positions correspond.
        negatives: (R, R) bool, which other regions are a region's negatives.

    Returns:
        (N * R, 2 R), -inf where regions are not compared; column r is the positive of region r.
    """
    with torch.autocast(a.device.type, enabled=False):
        a, b = (F.normalize(at_least_single(z), dim=2) for z in (a, b))
        across, within = (a @ z.transpose(1, 2) / temperature for z in (b, a))
        itself = torch.eye(len(negatives), dtype=torch.bool, device=negatives.device)
        across = across.masked_fill(~(negatives | itself), -torch.inf)
        return torch.cat([across, within.masked_fill(~negatives, -torch.inf)], dim=2).flatten(0, 1)


def region_contrastive(a: Tensor, b: Tensor, negatives: Tensor, temperature: float = 0.1) -> Tensor:
    """Local loss L_l^R: a region attracts itself in the other view, and repels its `negatives` in both views.

    The mean over slices, regions and both directions; the arguments are those of `region_logits`.
    """
    positives = torch.arange(len(negatives), device=a.device).repeat(len(a))
    a_to_b = F.cross_entropy(region_logits(a, b, negatives, temperature), positives)
    b_to_a = F.cross_entropy(region_logits(b, a, negatives, temperature), positives)
    return (a_to_b + b_to_a) / 2
