"""Losses in a training of mixed precision: computed in single, from whatever the networks give; and the smallest batches."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.losses.adversarial import discriminator_loss, generator_loss
from mcd.losses.contrastive import cross_modal, feature_distance, multimodal_contrastive
from mcd.losses.global_local import region_contrastive, region_logits, same_part_contrastive
from mcd.losses.info_nce import info_nce
from mcd.losses.ntxent import nt_xent
from mcd.losses.segmentation import dice_and_cross_entropy, soft_dice
from mcd.losses.signed_distance import mask_logits
from mcd.losses.sinkhorn import log_sinkhorn
from mcd.losses.swapped_prediction import swapped_prediction
from mcd.losses.triplet import squared_distances

Loss = Callable[[Tensor, Tensor], Tensor]

NEIGHBOURS = ~torch.eye(8, dtype=torch.bool)
CODES = torch.eye(64)[:16].view(2, 8, 64)
TARGETS = (torch.arange(512) % 3 == 0).float().view(8, 1, 8, 8)


def drawn(loss: Callable[[], Tensor]) -> Tensor:
    torch.manual_seed(0)
    return loss()


LOSSES: dict[str, Loss] = {
    "discriminator": discriminator_loss,
    "generator": lambda a, _: generator_loss(a),
    "generator, least squares": lambda a, _: generator_loss(a, "least_squares"),
    "multimodal contrastive": multimodal_contrastive,
    "cross-modal": lambda a, b: torch.stack(cross_modal(a, b)),
    "l1": lambda a, b: feature_distance(a, b, "l1"),
    "mse": lambda a, b: feature_distance(a, b, "mse"),
    "same part": lambda a, _: same_part_contrastive(a, torch.arange(8) % 4),
    "region": lambda a, b: region_contrastive(a.view(2, 8, -1), b.view(2, 8, -1), NEIGHBOURS),
    "region logits": lambda a, b: region_logits(a.view(2, 8, -1), b.view(2, 8, -1), NEIGHBOURS),
    "info-nce": lambda a, b: drawn(lambda: info_nce(a, b, torch.arange(8), 5)[0]),
    "nt-xent": nt_xent,
    "dice": lambda a, _: soft_dice(a.view(8, 1, 8, 8), TARGETS),
    "dice and cross-entropy": lambda a, _: dice_and_cross_entropy(a.view(8, 1, 8, 8), TARGETS),
    "mask logits": lambda a, _: mask_logits(a),
    "sinkhorn": lambda a, _: log_sinkhorn(a),
    "swapped prediction": lambda a, b: swapped_prediction(torch.stack([a, b]), CODES),
    "distances": squared_distances,
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
def test_half_precision_features_are_compared_in_single_also_within_autocast(loss: Loss) -> None:
    """Features that a half-precision network has rounded give what the same numbers give in single precision."""
    torch.manual_seed(0)
    rounded = [torch.randn(8, 64).bfloat16() for _ in range(2)]
    expected = loss(*(features.float() for features in rounded))
    assert expected.dtype == torch.float32
    for mixed in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
            found = loss(*rounded)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(loss(*(features.float() for features in rounded)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("loss", [nt_xent, lambda a, b: cross_modal(a, b)[0]], ids=["nt-xent", "cross-modal"])
def test_two_pairs_are_enough_and_one_is_refused(loss: Loss) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 2, 5)
    assert loss(a, b) > 0
    with pytest.raises(ValueError, match="at least 2 pairs"):
        loss(a[:1], b[:1])


def test_two_candidates_are_enough_for_info_nce() -> None:
    loss, _ = info_nce(torch.ones(1, 3), torch.ones(2, 3), torch.tensor([1]), negatives=1)
    assert loss.item() == pytest.approx(F.softplus(torch.tensor(0.0)).item())


def test_one_positive_and_one_negative_are_enough_for_parts() -> None:
    z = torch.eye(3)
    assert same_part_contrastive(z, torch.tensor([0, 0, 1]), 1.0).item() == pytest.approx(
        F.softplus(torch.tensor(0.0)).item()
    )
    with pytest.raises(ValueError, match="2 parts"):
        same_part_contrastive(z, torch.tensor([0, 1, 2]))
