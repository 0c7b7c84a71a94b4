"""Made-up scores of methods that are equal in truth, though no two trainings of them score the same."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

SPREAD = (
    0.04  # standard deviation between the means of a method's trainings; 0.006 to 0.109 in docs/explanation/results.md
)
MOST = 0.07  # of false verdicts and marks


def of_folds(rng: np.random.Generator, trainings: int, patients: int, folds: int, spread: float) -> np.ndarray:
    """(trainings, patients): what the network of the fold in which a patient tests adds to its score.

    Each training divides the patients into folds again, as evenly as it can, and has a network for each.
    """
    networks = rng.normal(0, spread, (trainings, folds))
    fold_of = rng.permuted(np.tile(np.arange(patients) % folds, (trainings, 1)), axis=1)
    return np.take_along_axis(networks, fold_of, axis=1)


def equal_methods(
    names: Iterable[str], trainings: int, seed: int, patients: int = 30, spread: float = SPREAD, folds: int = 1
) -> dict[str, pd.DataFrame]:
    """Method -> its values, in the form of `mcd.evaluation.scores.training_values`.

    Patients differ in how hard they are (the same for all methods), in what suits them (per method), and by chance. With
    several folds a training is the networks of all of them, which spread as much as trainings do.
    """
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product([range(trainings), [0]], names=["seed", "draw"])
    hard = rng.normal(0.5, 0.15, patients)
    return {
        name: pd.DataFrame(
            hard
            + rng.normal(0, spread, (trainings, 1))
            + (of_folds(rng, trainings, patients, folds, spread) if folds > 1 else 0)
            + rng.normal(0, 0.05, patients)
            + rng.normal(0, 0.08, (trainings, patients)),
            index,
            [f"p{number:02d}" for number in range(patients)],
        )
        for name in names
    }
