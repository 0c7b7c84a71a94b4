"""SimCLR."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from wiring import RESTLESS, assert_all_differ, assert_one_loss, cosine, share_found, spread, watch

from mcd.pretraining.options import SimCLROptions
from mcd.pretraining.simclr import SimCLR
from mcd.slices.batches import SliceSet
from mcd.slices.shards import Shards
from mcd.testing.cohort import TinyCohort


def test_learns_to_tell_slices_apart(bodies: Callable[..., Any], learn: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    rows = learn(SimCLR(SimCLROptions(crop=(0.8, 1.0)), 4, ["A"], (32, 32)), bodies(size=(32, 32)), 40)
    start, end = (
        np.mean([[row[k] for k in ("total", "accuracy")] for row in part], axis=0) for part in (rows[:5], rows[-5:])
    )
    assert end[0] < 0.7 * start[0]
    assert end[1] > start[1] + 0.2
    assert rows[-1]["embedding_sd"] > 0.4


def test_neighbouring_slices_of_a_subject_do_not_meet_in_a_batch(tiny_cohort: TinyCohort) -> None:
    with Shards(tiny_cohort.shards) as shards:
        slices = SliceSet(shards, ["p0", "p1"], ["A"])
        method = SimCLR(SimCLROptions(), 4, ["A"], slices.size)
        for indices in method.batches(slices, 6, np.random.default_rng(0)):
            for subject in (0, 1):
                heights = np.sort(slices.height_of[indices][slices.subject_of[indices] == subject])
                assert (np.diff(heights) >= 0.1).all()


def test_the_temperature_is_the_options(bodies: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    cold = SimCLR(SimCLROptions(temperature=0.1, noise=0.1), 4, ["A"], (32, 32))
    warm = SimCLR(SimCLROptions(temperature=10.0, noise=0.1), 4, ["A"], (32, 32))
    warm.load_state_dict(cold.state_dict())
    totals = []
    for method in (cold, warm):
        torch.manual_seed(1)
        totals.append(float(method.losses(bodies(size=(32, 32)), "network")["total"].detach()))
    assert totals[1] == pytest.approx(np.log(15), abs=0.1)
    assert totals[0] > totals[1] + 0.1


def test_the_total_is_eq_1_over_both_views_and_both_learn(bodies: Callable[..., Any]) -> None:
    """Every pair and every term by hand, from what the encoder saw."""
    torch.manual_seed(0)
    method = SimCLR(SimCLROptions(temperature=0.5, projection=6, **RESTLESS), 4, ["A"], (32, 32))
    seen = watch(method.encoder)
    losses = method.losses(bodies(size=(32, 32)), "network")
    (views,) = seen
    assert views.shape == (16, 1, 32, 32)
    assert_all_differ(views.chunk(2))

    z = method.head(method.encoder(views))
    terms = []
    for i in range(16):
        j = (i + 8) % 16
        others = sum(torch.exp(cosine(z[i], z[k]) / 0.5) for k in range(16) if k != i)
        terms.append(-torch.log(torch.exp(cosine(z[i], z[j]) / 0.5) / others))
    assert assert_one_loss(losses["total"], torch.stack(terms).mean(), method) == {"encoder", "head"}
    assert losses["accuracy"].item() == pytest.approx(share_found(*z.chunk(2)))
    assert losses["embedding_sd"].item() == pytest.approx(spread(z[:8]), rel=1e-4)
