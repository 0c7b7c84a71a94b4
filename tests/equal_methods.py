"""Made-up scores of methods that are equal in truth, though no two trainings of them score the same."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

SPREAD = (
    0.04  # standard deviation between the means of a method's trainings; 0.006 to 0.109 in docs/explanation/results.md
)
MOST = 0.07  # of false verdicts and marks


def equal_methods(
    names: Iterable[str], trainings: int, seed: int, patients: int = 30, spread: float = SPREAD
) -> dict[str, pd.DataFrame]:
    """Method -> its values, in the form of `mcd.evaluation.scores.training_values`.

    Patients differ in how hard they are (the same for all methods), in what suits them (per method), and by chance.
    """
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product([range(trainings), [0]], names=["seed", "draw"])
    hard = rng.normal(0.5, 0.15, patients)
    return {
        name: pd.DataFrame(
            hard
            + rng.normal(0, spread, (trainings, 1))
            + rng.normal(0, 0.05, patients)
            + rng.normal(0, 0.08, (trainings, patients)),
            index,
            [f"p{number:02d}" for number in range(patients)],
        )
        for name in names
    }
