from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from wiring import RESTLESS, assert_all_differ, assert_one_loss, share_found, watch

from mcd.pretraining.exemplar import Exemplar, allowed_negatives, other_subjects
from mcd.pretraining.options import ExemplarOptions
from mcd.slices.batches import Batch


def _exemplar(**options: Any) -> Exemplar:
    torch.manual_seed(0)
    return Exemplar(ExemplarOptions(**options), 4, ("A",), (64, 64))


@given(st.lists(st.integers(0, 6), min_size=2, max_size=40), st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_negatives_are_a_derangement_and_other_patients_where_that_is_possible(subjects: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    of = torch.tensor(subjects)
    partner = other_subjects(of)
    assert sorted(partner.tolist()) == list(range(len(of)))
    assert (partner != torch.arange(len(of))).all()
    if max(subjects.count(subject) for subject in subjects) <= len(subjects) / 2:
        assert (of[partner] != of).all()


def test_derangements_are_redrawn() -> None:
    torch.manual_seed(0)
    subjects = torch.arange(12) % 4
    draws = {tuple(other_subjects(subjects).tolist()) for _ in range(20)}
    assert len(draws) > 15
    partners = torch.tensor(list(draws))
    for slice_ in range(12):  # and every other patient has its turn
        assert len(set(subjects[partners[:, slice_]].tolist())) == 3


def test_a_batch_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 slices"):
        other_subjects(torch.zeros(1, dtype=torch.long))


def test_semi_hard_negatives_come_from_others() -> None:
    assert allowed_negatives(torch.tensor([0, 0, 1])).tolist() == [
        [False, False, True],
        [False, False, True],
        [True, True, False],
    ]
    assert allowed_negatives(torch.tensor([3, 3])).tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize("negatives", ["derangement", "semi_hard"])
def test_a_collapsed_network_pays_the_margin(negatives: str, bodies: Callable[..., Batch]) -> None:
    method = _exemplar(negatives=negatives)
    torch.nn.init.zeros_(method.embed.weight)
    losses = method.losses(bodies(8), "network")
    assert losses["total"].item() == pytest.approx(0.5, abs=1e-6)
    assert losses["active"] == 1


@pytest.mark.parametrize("negatives", ["derangement", "semi_hard"])
def test_learns_one_batch(negatives: str, bodies: Callable[..., Batch], learn: Callable[..., Any]) -> None:
    gentle = {"crop": (0.8, 1.0), "mirror": 0.0, "gamma": 1.0, "blurred": 0.0}  # little left to chance in so few steps
    rows = learn(_exemplar(negatives=negatives, **gentle), bodies(8), 15)
    early, late = (np.mean([row["total"] for row in part]) for part in (rows[:4], rows[-4:]))
    assert late < 0.75 * early


def spread_out(method: Exemplar, batch: Batch) -> Exemplar:
    """A new network's embeddings point nearly one way, where rounding decides what is nearer; here they do not."""
    with torch.no_grad():
        method.embed.bias.sub_(method.embed(method.encoder(batch.images)).mean(0))
    return method


def distance(a: Tensor, b: Tensor) -> Tensor:
    """Squared, of two vectors on the unit sphere."""
    return (a / a.norm() - b / b.norm()).square().sum()


def triplets(embeddings: Tensor, negatives: Sequence[int], margin: float) -> tuple[Tensor, float]:
    """Total and active share, where slice i's negative is slice `negatives[i]`."""
    anchors, positives = embeddings.chunk(2)
    near = [distance(a, p) for a, p in zip(anchors, positives, strict=True)]
    far = [distance(a, positives[n]) for a, n in zip(anchors, negatives, strict=True)]
    costs = [(d - e + margin).clamp_min(0) for d, e in zip(near, far, strict=True)]
    return torch.stack(costs).mean(), sum(float(c > 0) for c in costs) / len(costs)


def test_anchor_and_positive_are_two_views_and_the_negative_another_patients(bodies: Callable[..., Batch]) -> None:
    """Two patients of two slices: the total is that of one of the four ways to give each slice one of the other patient's."""
    of = [0, 0, 1, 1]
    batch = replace(bodies(4), subjects=torch.tensor(of))
    method = spread_out(_exemplar(negatives="derangement", margin=4.0, embedding=6, **RESTLESS), batch)
    ways = [way for way in permutations(range(4)) if all(of[i] != of[n] for i, n in enumerate(way))]
    assert len(ways) == 4
    seen = watch(method.encoder)
    drawn = set()
    for _ in range(6):
        seen.clear()
        losses = method.losses(batch, "network")
        views = seen[0]
        assert views.shape == (8, 1, 64, 64)
        assert_all_differ(views.chunk(2))
        embeddings = method.embed(method.encoder(views))
        expected = [triplets(embeddings, way, 4.0) for way in ways]  # no cost is cut off at 0: totals differ
        gaps = [abs(total.item() - losses["total"].item()) for total, _ in expected]
        nearest = gaps.index(min(gaps))
        total, active = expected[nearest]
        assert assert_one_loss(losses["total"], total, method) == {"encoder", "embed"}
        assert losses["accuracy"].item() == pytest.approx(share_found(*embeddings.chunk(2)))
        assert losses["active"].item() == pytest.approx(active)
        drawn.add(nearest)
    assert len(drawn) > 1


def test_semi_hard_negatives_are_the_nearest_beyond_the_positive_among_other_patients(
    bodies: Callable[..., Batch],
) -> None:
    batch = bodies(8, subjects=3)
    method = spread_out(_exemplar(negatives="semi_hard", margin=0.3, embedding=6, **RESTLESS), batch)
    seen = watch(method.encoder)
    losses = method.losses(batch, "network")
    embeddings = method.embed(method.encoder(seen[0]))
    anchors, positives = embeddings.detach().chunk(2)
    chosen = []
    for i in range(8):
        others = {
            j: distance(anchors[i], positives[j]).item() for j in range(8) if batch.subjects[j] != batch.subjects[i]
        }
        beyond = {j: d for j, d in others.items() if d > distance(anchors[i], positives[i]).item()}
        chosen.append(min(beyond, key=beyond.__getitem__) if beyond else max(others, key=others.__getitem__))
    total, active = triplets(embeddings, chosen, 0.3)
    assert_one_loss(losses["total"], total, method)
    assert losses["accuracy"].item() == pytest.approx(share_found(*embeddings.chunk(2)))
    assert losses["active"].item() == pytest.approx(active)
