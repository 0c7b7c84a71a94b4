"""What methods say of their losses to the guards of a training: chance is what features that are all alike give."""

from collections.abc import Callable

import pytest
import torch

from mcd.losses.adversarial import discriminator_loss, generator_loss
from mcd.pretraining.base import Pretraining
from mcd.pretraining.registry import REGISTRY, options_class, pretraining_class
from mcd.slices.batches import Batch


def blind(algorithm: str, **options: object) -> Pretraining:
    """A method whose every weight is 0, so that all slices look alike to it."""
    chosen = options_class(algorithm).read(options, "options")
    modalities = ("A", "B") if REGISTRY[algorithm].multimodal else ("A",)
    method = pretraining_class(algorithm)(chosen, 2, modalities, (64, 64))
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.zero_()
    return method


def losses_of(method: Pretraining, batch: Batch) -> dict[str, float]:
    method.train()
    method.before_epoch(0, 4)
    return {
        f"{player}_total" if name == "total" and len(method.players()) > 1 else name: value.item()
        for player in method.players()
        for name, value in method.losses(batch, player).items()
    }


@pytest.mark.parametrize("algorithm", REGISTRY)
def test_chance_is_the_loss_of_a_network_that_sees_nothing(algorithm: str, bodies: Callable[..., Batch]) -> None:
    method = blind(algorithm)
    batch = bodies(count=8, channels=2 if REGISTRY[algorithm].multimodal else 1)
    found, levels = losses_of(method, batch), method.levels(len(batch.images))
    for loss, chance in levels.chance.items():
        assert found[loss] == pytest.approx(chance, rel=1e-3)
    assert set(levels.falling) <= set(found)


@pytest.mark.parametrize(
    ("algorithm", "falling", "chance"),
    [
        ("dsgan", {"translation", "reconstruction", "contrastive"}, {"contrastive"}),
        ("rotation", {"total"}, {"total"}),
        ("jigsaw", {"total"}, {"total"}),
        ("m_jigsaw", {"total"}, set()),
        ("exemplar", {"total"}, set()),
        ("cpc", {"total"}, {"total"}),
        ("simclr", {"total"}, {"total"}),
        ("byol", {"total"}, set()),
        ("swav", set(), {"total"}),
        ("gl", set(), set()),
        ("contig", {"total"}, {"total"}),
        ("vicreg", {"total"}, set()),
    ],
)
def test_the_guards_watch_what_ought_to_fall_and_what_has_a_chance(
    algorithm: str, falling: set[str], chance: set[str]
) -> None:
    levels = blind(algorithm).levels(8)
    assert set(levels.falling) == falling
    assert set(levels.chance) == chance


def test_con_only_has_one_bracket_and_other_distances_have_no_chance(bodies: Callable[..., Batch]) -> None:
    batch = bodies(count=8, channels=2)
    alone = blind("dsgan", adversarial=0, translation=0, reconstruction=0, shared=0)
    assert losses_of(alone, batch)["contrastive"] == pytest.approx(alone.levels(8).chance["contrastive"])
    assert alone.levels(8).adversary is None
    distant = blind("dsgan", feature_loss="l1").levels(8)
    assert not distant.chance
    assert "contrastive" not in distant.falling


@pytest.mark.parametrize("form", ["log", "least_squares"])
def test_a_discriminator_that_guesses_has_the_losses_that_dsgan_says(form: str) -> None:
    levels = blind("dsgan", adversarial_form=form).levels(8)
    guess = torch.full(
        (4,), 0.0 if form == "log" else 0.5
    )  # a logit, or what a least-squares discriminator says itself
    fooling, telling = 2 * generator_loss(guess, form), 2 * discriminator_loss(guess, guess, form)
    assert levels.guessing == pytest.approx((float(fooling), float(telling)))
    assert levels.adversary == ("adversarial", "discriminator_total")
