"""The swapped prediction of SwAV (Caron et al., NeurIPS 2020, Eq. 2 and 6)."""

import torch
from torch import Tensor

from mcd.losses import at_least_single, selected


def swapped_prediction(scores: Tensor, codes: Tensor, temperature: float = 0.1) -> Tensor:
    """Mean cross-entropy of each view's prototype scores with the codes of the other views.

    Args:
        scores: (V, N, K), of V views of N slices with K prototypes.
        codes: (C, N, K), rows sum to 1, of the first C <= V views; no gradient flows into them.
        temperature: of the softmax over the scores.
    """
    with torch.autocast(scores.device.type, enabled=False):
        logs = torch.log_softmax(at_least_single(scores) / temperature, dim=-1)
        pairs = -torch.einsum("cnk,vnk->cv", codes.detach().to(logs), logs) / scores.shape[1]
        other = ~torch.eye(len(codes), len(scores), dtype=torch.bool, device=scores.device)
        return selected(pairs, other, pairs.numel() - len(codes)).mean()
