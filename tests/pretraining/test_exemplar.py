from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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
