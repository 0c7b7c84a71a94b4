"""Signs in a training's history that it went wrong: each guard is a function of the rows so far, to a sentence or None.

None of them stops a training, since each has a threshold that somebody's data may cross in good health. They look at several
epochs in a row, so that a bad epoch alone says nothing. The thresholds are our choice; each function says what they go by.
A loss that is not finite is no matter of judgement, and ends the training (`mcd.training.loop`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Rows = Sequence[Mapping[str, Any]]
"""A history (`mcd.training.history.History`) of one training, from its first epoch on."""

LASTING = 3
"""Epochs in a row that a sign has to last."""

PATIENCE = 15
"""Epochs in which a loss may stay at chance: it begins there, and ContIG left it after 12 epochs of 12 steps."""

NEAR_CHANCE = 0.8
"""Of its value at chance, a loss that is as good as there."""


@dataclass(frozen=True)
class Levels:
    """What a method knows of its own losses. What it does not know, no guard looks at.

    Attributes:
        falling: losses that fall while it learns, and mean the same in every epoch.
        chance: loss -> its value for features that are all alike, such as the logarithm of the number of candidates.
        adversary: the names of (the generator's adversarial loss, the discriminator's loss); None without one.
        guessing: the values of those two where the discriminator can only guess.
    """

    falling: Sequence[str] = ()
    chance: Mapping[str, float] = field(default_factory=dict)
    adversary: tuple[str, str] | None = None
    guessing: tuple[float, float] = (0.0, 0.0)


def stuck(rows: Rows, levels: Levels) -> str | None:
    """The weights stand still: gradients of 0, or a rate so low that rounding swallows most of it.

    Judged where the learning rate is at least a hundredth of its highest: a warm-up begins and a cosine decay ends near 0. A
    step of healthy trainings moved the weights by 1e-3 to 3e-2 of their norm; float32 resolves 6e-8.
    """
    rates, moved = _values(rows, "learning_rate"), _values(rows, "weights_moved")
    if len(moved) < LASTING or min(rates[-LASTING:]) < 0.01 * max(rates):
        return None
    if max(moved[-LASTING:]) < 1e-6:
        return "the weights no longer move; raise learning_rate, and check that no loss is constant or has a weight of nearly 0"
    return None


def rising(rows: Rows, levels: Levels) -> str | None:
    """A loss has lost half of what it had gained, for some epochs in a row.

    Measured from its first epoch to its best, so the guard holds for losses of any scale; a gain of less than a tenth of the
    first epoch's value is noise, which comes and goes.
    """
    for loss in levels.falling:
        values = _values(rows, loss)
        if len(values) <= LASTING:
            continue
        first, best = values[0], min(values)
        if first - best > 0.1 * abs(first) and min(values[-LASTING:]) > best + 0.5 * (first - best):
            return (
                f"the loss {loss} rose again, far above its best of epoch {values.index(best) + 1}; lower learning_rate, "
                "set decay: cosine, or train for fewer epochs"
            )
    return None


def collapsed(rows: Rows, levels: Levels) -> str | None:
    """The features tell hardly anything apart: a loss back at chance, or never far from it, or embeddings on one spot.

    A pre-training whose translation had become worse ended with L_C at 0.87 of chance; healthy ones were below 0.8 after 13
    epochs, ContIG the slowest, and stayed there. Embeddings that use every direction alike have a standard deviation of 1
    (`mcd.pretraining.health.embedding_sd`).
    """
    lower = "lower learning_rate, set decay: cosine, or train for fewer epochs"
    for loss, chance in levels.chance.items():
        values = _values(rows, loss)
        if len(values) < LASTING or min(values[-LASTING:]) < NEAR_CHANCE * chance:
            continue
        if min(values) < 0.9 * NEAR_CHANCE * chance:
            return f"the features have collapsed: the loss {loss} is at chance again, which is {chance:.2f}; {lower}"
        if len(values) >= PATIENCE:
            return (
                f"the features tell nothing apart: the loss {loss} has not left chance, which is {chance:.2f}; change "
                "learning_rate, or train for longer"
            )
    spread = _values(rows, "embedding_sd")
    if len(spread) >= LASTING and max(spread[-LASTING:]) < 0.05:
        return f"the features have collapsed: all embeddings lie on one spot; {lower}"
    return None


def discriminator_won(rows: Rows, levels: Levels) -> str | None:
    """The discriminator tells translations from images so well that the generator learns nothing good from it.

    Either its loss is next to 0, or the generator's adversarial loss is half again as high as against a guess, and above its
    best, while the translations become worse by their other losses: by 5 % for some epochs. A high adversarial loss alone is no
    sign: it was four times a guess's in healthy trainings, whose other losses fell. At a rate of 0.005 it rose from 2.0 to
    7 in 30 epochs, and L_T with it from 0.79 to 0.99. A loss with a chance level compares features, and fluctuates more.
    """
    if levels.adversary is None or len(rows) <= LASTING:
        return None
    fooling, telling = (_values(rows, loss) for loss in levels.adversary)
    guessed_fooling, guessed_telling = levels.guessing
    # It learns the slices of few patients by heart. A lower rate or a decay does not help (benchmarks/discriminators.py).
    remedy = "set shift: 0.25, take fewer discriminator_filters, or train for fewer epochs"
    if max(telling[-LASTING:]) < 0.05 * guessed_telling:
        return f"the discriminator has won: its loss is next to 0; {remedy}"
    if min(fooling[-LASTING:]) > max(1.5 * guessed_fooling, 1.2 * min(fooling)):
        for loss in (loss for loss in levels.falling if loss not in levels.chance):
            values = _values(rows, loss)
            if min(values[-LASTING:]) > 1.05 * min(values):
                return (
                    f"the discriminator has won: {levels.adversary[0]} is above {1.5 * guessed_fooling:.1f}, half again a "
                    f"guess's, and {loss} rises; {remedy}"
                )
    return None


GUARDS: tuple[Callable[[Rows, Levels], str | None], ...] = (discriminator_won, collapsed, rising, stuck)
"""The more telling first."""


def warnings(rows: Rows, levels: Levels) -> list[str]:
    """What the guards say of a training after its last row."""
    return [sentence for guard in GUARDS if rows and (sentence := guard(rows, levels)) is not None]


def _values(rows: Rows, loss: str) -> list[float]:
    return [float(row[loss]) for row in rows if loss in row]
