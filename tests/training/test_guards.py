"""The guards of a training: each on histories in good health, which it must pass, and on those it is there for."""

import math
from collections.abc import Sequence
from typing import Any

from mcd.training.guards import Levels, collapsed, discriminator_won, rising, stuck, warnings

GAN = Levels(
    falling=("translation", "reconstruction", "contrastive"),
    chance={"contrastive": 5.545},
    adversary=("adversarial", "discriminator_total"),
    guessing=(2 * math.log(2), 4 * math.log(2)),
)
ONE = Levels(falling=("total",))
# Means of every fourth epoch from the first of DSGAN on simulated patients: at a rate of 2e-4, and of 5e-3
HEALTHY = {
    "adversarial": [1.77, 4.65, 5.44, 5.66, 4.31, 4.39, 3.69, 3.39, 2.90, 2.78, 2.64],
    "discriminator_total": [2.24, 0.58, 0.82, 0.90, 1.40, 1.07, 1.30, 1.24, 1.81, 1.63, 1.65],
    "translation": [1.28, 1.11, 1.00, 0.89, 0.84, 0.79, 0.76, 0.73, 0.73, 0.71, 0.68],
    "reconstruction": [1.30, 1.13, 1.07, 1.01, 1.01, 0.97, 0.93, 0.90, 0.89, 0.88, 0.84],
    "contrastive": [5.0, 3.0, 3.1, 2.5, 2.5, 2.0, 1.9, 1.7, 1.5, 1.3, 1.2],
}
TOO_FAST = {
    "adversarial": [4.16, 2.29, 2.05, 2.24, 2.76, 3.43, 4.85, 7.04, 5.45, 7.82, 7.11],
    "discriminator_total": [2.24, 2.63, 2.34, 2.40, 2.19, 1.75, 1.28, 1.01, 1.52, 1.04, 0.71],
    "translation": [1.09, 0.90, 0.80, 0.79, 0.85, 0.85, 0.89, 0.93, 0.92, 0.90, 0.99],
    "reconstruction": [1.10, 0.90, 0.86, 0.87, 0.95, 0.94, 1.00, 1.11, 1.08, 1.06, 1.20],
    "contrastive": [5.3, 5.0, 3.7, 3.1, 3.7, 3.1, 3.1, 3.6, 3.4, 2.9, 3.7],
}


def history(rate: float | Sequence[float] = 1e-3, **losses: Sequence[float]) -> list[dict[str, Any]]:
    moved = losses.pop("moved", ())
    length = max(map(len, [*losses.values(), moved]))
    rates = [rate] * length if isinstance(rate, float) else rate
    return [
        {
            "epoch": number + 1,
            "learning_rate": rates[number],
            "weights_moved": moved[number] if moved else 1e-3,
            **{loss: values[number] for loss, values in losses.items()},
        }
        for number in range(length)
    ]


def first(guard: Any, rows: list[dict[str, Any]], levels: Levels) -> int | None:
    """The epoch after which a guard speaks first."""
    return next((count for count in range(1, len(rows) + 1) if guard(rows[:count], levels)), None)


def test_a_healthy_training_passes_at_every_epoch() -> None:
    rows = history(**HEALTHY)
    assert all(warnings(rows[:count], GAN) == [] for count in range(len(rows) + 1))


def test_a_discriminator_has_won_when_translations_become_worse_meanwhile() -> None:
    rows = history(**TOO_FAST)
    assert first(discriminator_won, rows, GAN) == 7
    sentence = discriminator_won(rows[:7], GAN)
    assert sentence is not None
    assert "translation rises; set shift: 0.25, take fewer discriminator_filters" in sentence
    assert warnings(rows, GAN)[0].startswith("the discriminator has won")
    fooled = history(**{**TOO_FAST, "adversarial": [1.4] * 11})
    assert first(discriminator_won, fooled, GAN) is None
    improving = history(**{**TOO_FAST, "translation": HEALTHY["translation"], "reconstruction": [1.0] * 11})
    assert first(discriminator_won, improving, GAN) is None


def test_a_discriminator_has_won_when_its_loss_is_next_to_nothing() -> None:
    assert first(discriminator_won, history(**{**HEALTHY, "discriminator_total": [2.0, *[0.05] * 10]}), GAN) == 4
    assert first(discriminator_won, history(total=[0.01] * 9), ONE) is None  # it has none


def test_features_have_collapsed_when_a_loss_is_back_at_chance() -> None:
    values = [5.4, 3.2, 2.0, 1.9, 3.5, 4.6, 4.7, 4.8, 4.8]
    assert first(collapsed, history(contrastive=values), GAN) == 8
    assert "is at chance again, which is 5.54; lower learning_rate" in str(collapsed(history(contrastive=values), GAN))
    assert first(collapsed, history(contrastive=[5.4, 2.0, 4.8, 4.8, 2.0, 4.8]), GAN) is None  # a bad epoch or two


def test_a_loss_may_begin_at_chance_but_not_stay_there() -> None:
    chance = Levels(chance={"total": math.log(100)})
    jigsaw = [5.03, 5.82, 5.19, 4.9, 4.63, 4.4, 4.1, 3.7, 3.4, 3.0, 2.7, 2.3]
    assert first(collapsed, history(total=jigsaw), chance) is None
    assert first(collapsed, history(total=[31.0, 8.6, *[4.6] * 14]), chance) == 15


def test_embeddings_on_one_spot_have_collapsed() -> None:
    assert first(collapsed, history(embedding_sd=[0.8, 0.3, 0.04, 0.01, 0.0, 0.0]), ONE) == 5
    assert first(collapsed, history(embedding_sd=[0.01, 0.04, 0.2, 0.6]), ONE) is None


def test_a_loss_rises_when_it_loses_half_of_what_it_had_gained() -> None:
    assert first(rising, history(total=[2.0, 1.0, 0.5, 0.4, 1.3, 1.4, 1.5]), ONE) == 7
    assert "total rose again, far above its best of epoch 4" in str(
        rising(history(total=[2, 1, 0.5, 0.4, 1.3, 1.4, 1.5]), ONE)
    )
    assert first(rising, history(total=[-1.0, -3.0, -1.5, -1.4, -1.3]), ONE) == 5
    assert first(rising, history(total=[2.0, 0.01, 0.05, 0.04, 0.09, 0.1]), ONE) is None  # many times its best
    assert first(rising, history(total=[5.55, 5.50, 5.56, 5.57, 5.56, 5.58]), ONE) is None  # noise at chance
    assert first(rising, history(other=[1.0, 0.1, 0.9, 0.9, 0.9]), ONE) is None  # not said to fall


def test_weights_are_stuck_when_steps_are_lost_to_rounding() -> None:
    assert first(stuck, history(moved=[1e-3, 1e-4, 1e-8, 0.0, 0.0, 0.0]), ONE) == 5
    cosine = history(rate=[1e-3, 1e-3, 9e-6, 1e-6, 1e-7, 0.0], moved=[1e-3, 1e-3, 1e-6, 1e-7, 1e-8, 0.0])
    assert first(stuck, cosine, ONE) is None  # as asked for
    assert first(stuck, history(moved=[1e-3] * 8), ONE) is None
