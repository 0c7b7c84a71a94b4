"""The multimodal contrastive loss L_C (Sec. IV-B, Eq. 2 and 3) and the two alternatives of Fig. 7."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.losses import at_least_single


def multimodal_contrastive(x: Tensor, y: Tensor, temperature: float = 0.1) -> Tensor:
    """One bracket of Eq. 3: the mean over i of l(x_i, y_i) + l(y_i, x_i), with l from Eq. 2.

    Features are flattened from dim 1, without a projection head (Sec. IV-B: a head would lose detail). The similarity is
    the cosine; each x_i has the one positive y_i and the N - 1 cross-modal negatives y_j (the printed sum over all similar
    pairs is an erratum: the text below it says i != j). Identical features give 2 ln N.

    Args:
        x, y: features of the two modalities, (N, ...); x[i] and y[i] are a pair.
        temperature: t of Eq. 2; 0.1 in the paper (Sec. V).

    Raises:
        ValueError: for fewer than two pairs, where there is no negative and the loss is always 0.
    """
    x_to_y, y_to_x = cross_modal(x, y, temperature)
    return x_to_y + y_to_x


def cross_modal(x: Tensor, y: Tensor, temperature: float = 0.1) -> tuple[Tensor, Tensor]:
    """The two directions of `multimodal_contrastive`: the means over i of l(x_i, y_i) and of l(y_i, x_i)."""
    if len(x) < 2:
        raise ValueError("the contrastive loss needs at least 2 pairs in a batch")
    with torch.autocast(x.device.type, enabled=False):
        x, y = (F.normalize(at_least_single(z.flatten(1)), dim=1) for z in (x, y))
        logits = x @ y.T / temperature
        positives = torch.arange(len(x), device=x.device)
        return F.cross_entropy(logits, positives), F.cross_entropy(logits.T, positives)


def feature_distance(x: Tensor, y: Tensor, form: str) -> Tensor:
    """Mean absolute (`l1`) or squared (`mse`) difference of paired features of one shape: Fig. 7's alternatives to L_C."""
    return {"l1": F.l1_loss, "mse": F.mse_loss}[form](at_least_single(x), at_least_single(y))
