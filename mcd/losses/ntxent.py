"""The normalised temperature-scaled cross-entropy of SimCLR (Chen et al., ICML 2020, Eq. 1)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.losses import at_least_single


def nt_xent(a: Tensor, b: Tensor, temperature: float = 0.1) -> Tensor:
    """Mean over all 2N embeddings of -log softmax of the other view's similarity among the 2N - 1 others.

    Identical embeddings give ln(2N - 1). Symmetric in `a` and `b`.

    Args:
        a, b: embeddings of two views, (N, D); a[i] and b[i] are a pair. They need no unit length: cosines are compared.

    Raises:
        ValueError: for fewer than two pairs, where there is no negative and the loss is always 0.
    """
    count = len(a)
    if count < 2:
        raise ValueError("NT-Xent needs at least 2 pairs in a batch")
    with torch.autocast(a.device.type, enabled=False):
        z = F.normalize(at_least_single(torch.cat([a, b])), dim=1)
        logits = z @ z.T / temperature
        itself = torch.eye(2 * count, dtype=torch.bool, device=z.device)
        other_view = torch.arange(2 * count, device=z.device).roll(count)
        return F.cross_entropy(logits.masked_fill(itself, -torch.inf), other_view)
