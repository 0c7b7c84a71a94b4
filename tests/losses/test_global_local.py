"""Both losses of G-L against loops in double precision, and the masks' counts on a toy batch."""

import math

import numpy as np
import pytest
import torch

from mcd.losses.global_local import region_contrastive, region_logits, same_part_contrastive
from mcd.pretraining.gl import region_layout

TEMPERATURE = 0.1


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    return math.exp(float(a @ b) / np.linalg.norm(a) / np.linalg.norm(b) / TEMPERATURE)


def test_global_loss_equals_the_formula() -> None:
    torch.manual_seed(0)
    parts = torch.arange(4).repeat(6)  # 3 volumes of 4 parts, two views
    z = torch.randn(24, 5).double()
    pairs = []
    for a in range(24):
        negatives = [n for n in range(24) if parts[n] != parts[a]]
        assert len(negatives) == 18  # 3 other parts of 3 volumes in 2 views
        repelled = sum(similarity(z[a].numpy(), z[n].numpy()) for n in negatives)
        for p in range(24):
            if p != a and parts[p] == parts[a]:
                attracted = similarity(z[a].numpy(), z[p].numpy())
                pairs.append(-math.log(attracted / (attracted + repelled)))
    assert len(pairs) == 24 * 5  # the other view, and both views of two other volumes
    assert same_part_contrastive(z, parts, TEMPERATURE).item() == pytest.approx(np.mean(pairs), rel=1e-9)


def test_global_loss_ignores_how_far_slices_of_one_part_are_from_the_negatives_of_another() -> None:
    """A slice of the same part is no negative: moving it away from its part's others cannot lower anyone's denominator."""
    parts = torch.tensor([0, 0, 1, 1])
    z = torch.eye(4).double()
    close = z.clone()
    close[1] = close[0]
    assert same_part_contrastive(close, parts) < same_part_contrastive(z, parts)


def test_global_loss_refuses_a_batch_of_one_part() -> None:
    with pytest.raises(ValueError, match="2 parts"):
        same_part_contrastive(torch.randn(4, 3), torch.zeros(4, dtype=torch.long))


def test_local_loss_equals_the_formula() -> None:
    torch.manual_seed(0)
    _, _, negatives = region_layout(16, 24)
    a, b = torch.randn(2, 2, 13, 4).double().unbind()
    terms = []
    for here, there in ((a, b), (b, a)):
        for n in range(2):
            for r in range(13):
                own = here[n, r].numpy()
                attracted = similarity(own, there[n, r].numpy())
                repelled = sum(
                    similarity(own, view[n, k].numpy()) for k in range(13) if negatives[r, k] for view in (here, there)
                )
                terms.append(-math.log(attracted / (attracted + repelled)))
    assert region_contrastive(a, b, negatives, TEMPERATURE).item() == pytest.approx(np.mean(terms), rel=1e-9)


def test_a_region_is_compared_with_itself_and_ten_others() -> None:
    _, _, negatives = region_layout(16, 16)
    logits = region_logits(torch.randn(3, 13, 4), torch.randn(3, 13, 4), negatives)
    assert logits.shape == (39, 26)
    assert (logits.isfinite().sum(1) == 11).all()


def test_regions_lie_within_the_map_and_are_repelled_by_their_neighbours() -> None:
    rows, columns, negatives = region_layout(16, 40)
    assert rows.min() == 0
    assert rows.max() == 15
    assert columns.max() == 39
    assert len({(r, c) for r, c in zip(rows[:, 0].tolist(), columns[:, 0].tolist(), strict=True)}) == 13
    assert (negatives.sum(1) == 5).all()
    assert not negatives.diagonal().any()
    # upper left corner: its diagonal point, both edge middles, the centre; then one of two at the same distance
    assert {9, 1, 3, 4} < set(negatives[0].nonzero().flatten().tolist())
