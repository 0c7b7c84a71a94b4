"""ContIG."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from wiring import RESTLESS, assert_one_loss, cosine, share_found, spread, watch

from mcd.losses.contrastive import cross_modal
from mcd.pretraining.contig import ContIG
from mcd.pretraining.options import ContIGOptions
from mcd.pretraining.views import random_view


def make(**options: Any) -> ContIG:
    torch.manual_seed(0)
    return ContIG(ContIGOptions(**options), 4, ["A", "B"], (32, 32))


def test_learns_which_slices_belong_together(bodies: Callable[..., Any], learn: Callable[..., Any]) -> None:
    batch = bodies(channels=2, size=(32, 32))
    rows = learn(make(crop=(0.8, 1.0)), batch, 40)
    assert np.mean([row["total"] for row in rows[-5:]]) < 0.7 * np.mean([row["total"] for row in rows[:5]])
    assert np.mean([row["accuracy"] for row in rows[-10:]]) > 0.28  # chance is 1 of 8
    assert rows[-1]["embedding_sd"] > 0.3


@pytest.mark.parametrize(("alpha", "weights"), [(1.0, (1, 0)), (0.0, (0, 1)), (0.75, (0.75, 0.25))])
def test_alpha_weighs_the_two_directions(
    bodies: Callable[..., Any], alpha: float, weights: tuple[float, float]
) -> None:
    method, batch = make(alpha=alpha), bodies(channels=2, size=(32, 32))
    torch.manual_seed(1)
    total = method.losses(batch, "network")["total"]
    torch.manual_seed(1)
    a, b = (
        head(encoder(random_view(batch.images[:, [channel]], batch.ranges[:, [channel]], method.options)))
        for channel, (head, encoder) in enumerate(zip(method.heads, method.encoders, strict=True))
    )
    there, back = cross_modal(a, b, 0.1)
    assert total.item() == pytest.approx((weights[0] * there + weights[1] * back).item(), rel=1e-5)


def test_the_two_modalities_are_cropped_independently(bodies: Callable[..., Any]) -> None:
    """Twins with equal weights on two equal modalities: only under one and the same view would the embeddings agree."""
    method, batch = make(), bodies(channels=1, size=(32, 32))
    batch = type(batch)(batch.images.repeat(1, 2, 1, 1), None, batch.subjects, batch.heights, batch.ranges.repeat(1, 2))
    method.encoders[1].load_state_dict(method.encoders[0].state_dict())
    method.heads[1].load_state_dict(method.heads[0].state_dict())
    seen: list[torch.Tensor] = []
    for encoder in method.encoders:
        encoder.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    method.losses(batch, "network")
    assert not torch.isclose((seen[0] != 0).float().mean((1, 2, 3)), (seen[1] != 0).float().mean((1, 2, 3))).any()


def test_each_modality_gets_its_own_encoder() -> None:
    method = make()
    a, b = method.unet_state("A"), method.unet_state("B")
    assert a.keys() == b.keys()
    assert not torch.equal(a["encoder.0.0.weight"], b["encoder.0.0.weight"])
    assert torch.equal(b["encoder.0.0.weight"], method.get_parameter("encoders.1.encoder.0.0.weight"))


def test_the_total_and_its_gradients_are_those_of_the_formula(bodies: Callable[..., Any]) -> None:
    """Each modality through its own encoder and head; negatives are slices in the other modality; both encoders learn."""
    method, batch = make(alpha=0.7, temperature=0.5, projection=6, **RESTLESS), bodies(channels=2, size=(32, 32))
    signs = torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)
    batch = replace(batch, images=batch.images.abs() * signs)  # A above 0, B below
    seen = [watch(encoder) for encoder in method.encoders]
    losses = method.losses(batch, "network")
    ((of_a,), (of_b,)) = (list(views) for views in seen)
    assert of_a.shape == of_b.shape == (8, 1, 32, 32)
    assert of_a.sum() > 0 > of_b.sum()

    a = method.heads[0](method.encoders[0](of_a))
    b = method.heads[1](method.encoders[1](of_b))
    expected = torch.zeros(())
    for i in range(8):
        own = cosine(a[i], b[i]) / 0.5
        from_a = -torch.log(torch.exp(own) / sum(torch.exp(cosine(a[i], b[j]) / 0.5) for j in range(8)))
        from_b = -torch.log(torch.exp(own) / sum(torch.exp(cosine(b[i], a[j]) / 0.5) for j in range(8)))
        expected = expected + (0.7 * from_a + 0.3 * from_b) / 8
    assert assert_one_loss(losses["total"], expected, method) == {"encoders", "heads"}
    assert losses["accuracy"].item() == pytest.approx(share_found(a, b))
    assert losses["embedding_sd"].item() == pytest.approx(spread(a), rel=1e-4)
