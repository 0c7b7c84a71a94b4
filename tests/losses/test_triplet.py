import math

import torch
from torch.nn import functional as F

from mcd.losses.triplet import semi_hard, squared_distances, triplet_loss


def test_equals_torchs_triplet_loss_on_the_sphere() -> None:
    torch.manual_seed(0)
    anchor, positive, negative = torch.randn(3, 10, 7, dtype=torch.float64)
    ours = triplet_loss(squared_distances(anchor, positive), squared_distances(anchor, negative), 0.5)
    theirs = torch.nn.TripletMarginWithDistanceLoss(
        distance_function=lambda a, b: (F.normalize(a) - F.normalize(b)).square().sum(1), margin=0.5
    )(anchor, positive, negative)
    torch.testing.assert_close(ours, theirs)


def test_costs_nothing_once_the_negative_is_far_enough() -> None:
    near, far = torch.tensor([0.1, 0.2]), torch.tensor([0.7, 0.8])
    assert triplet_loss(near, far, 0.5) == 0
    assert math.isclose(float(triplet_loss(near, far, 1.0)), 0.4, rel_tol=1e-6)
    assert triplet_loss(torch.zeros(3), torch.zeros(3), 0.5) == 0.5  # a collapsed network pays the margin


def test_distances_run_from_0_to_4_whatever_the_length() -> None:
    axis = torch.tensor([1.0, 0.0])
    others = torch.tensor([[3.0, 0.0], [0.0, 9.0], [-0.1, 0.0]])
    torch.testing.assert_close(squared_distances(axis, others), torch.tensor([0.0, 2.0, 4.0]))


def test_semi_hard_negatives_against_a_loop() -> None:
    torch.manual_seed(0)
    distances, to_positive = torch.rand(20, 8), torch.rand(20)
    allowed = torch.rand(20, 8) < 0.5
    allowed[:, 0] = True
    for anchor, chosen in enumerate(semi_hard(to_positive, distances, allowed).tolist()):
        candidates = [c for c in range(8) if allowed[anchor, c]]
        farther = [c for c in candidates if distances[anchor, c] > to_positive[anchor]]
        if farther:
            assert chosen == min(farther, key=lambda c: float(distances[anchor, c]))
        else:
            assert chosen == max(candidates, key=lambda c: float(distances[anchor, c]))
