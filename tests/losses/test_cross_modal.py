"""The two directions of the cross-modal contrastive loss, as ContIG weighs them."""

import math

import pytest
import torch
from torch.nn import functional as F

from mcd.losses.contrastive import cross_modal, multimodal_contrastive


def test_directions_are_the_plain_cross_entropies() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(6, 5), torch.randn(6, 5)
    there, back = cross_modal(x, y, 0.1)
    cosines = F.cosine_similarity(x[:, None], y[None], dim=2) / 0.1
    expected_there = -(cosines.diagonal() - cosines.logsumexp(1)).mean()
    expected_back = -(cosines.diagonal() - cosines.logsumexp(0)).mean()
    assert there.item() == pytest.approx(expected_there.item(), rel=1e-5)
    assert back.item() == pytest.approx(expected_back.item(), rel=1e-5)
    assert multimodal_contrastive(x, y, 0.1).item() == pytest.approx((there + back).item(), rel=1e-6)


def test_of_one_hot_pairs_is_nearly_zero_and_of_equal_ones_the_logarithm() -> None:
    assert max(cross_modal(torch.eye(4), torch.eye(4), 0.05)).item() == pytest.approx(0, abs=1e-6)
    assert cross_modal(torch.ones(4, 2), torch.ones(4, 2))[0].item() == pytest.approx(math.log(4))
