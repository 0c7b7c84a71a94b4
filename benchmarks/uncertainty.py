"""How often equal methods are taken for different, and how often different ones are found.

    python benchmarks/uncertainty.py [--studies 4000]

simulates studies of two methods: every training scores the same test patients, and trainings of one method spread by the given
standard deviation, as those of docs/explanation/results.md do (0.006 to 0.109). Prints four tables in Markdown: the share of
studies whose 95 % interval of the difference leaves out 0, where methods are equal, by four ways to make an interval; where
they differ, by ours; by ours for 24 trainings that are several draws of the labelled patients on fewer pre-trainings; and,
where methods are equal, for folds: over patients, by ours if every seed had the same folds, and by ours.

The four ways: over patients, as if the trainings' mean were exact; the pigeonhole bootstrap over trainings and patients (Owen
2007; 1,000 resamples, the first 400 studies); our variance with Satterthwaite's degrees of freedom; and ours
(`mcd.evaluation.statistics`).
"""

import argparse
from itertools import product

import numpy as np
from scipy.stats import t

from mcd.evaluation.statistics import Floats, Means, effects

PATIENTS = 30
SPREADS = (0.03, 0.05)
TRAININGS = (1, 2, 3, 5, 10)
DIFFERENCES = (0.02, 0.05, 0.1)
RESAMPLES, RESAMPLED = 1000, 400
PRETRAININGS, FINE_TUNINGS = (2, 3, 6, 12, 24), 24
OF_PRETRAININGS, OF_DRAWS = 0.02, 0.04  # spreads
FOLDS, SEEDS = (2, 5), (1, 2, 3, 10)
OF_NETWORKS, OF_DIVISIONS = (
    0.04,
    0.04,
)  # spreads: of the networks of one fold, and of what its patients do to all of them


def studies(number: int, trainings: int, spread: float, seed: int) -> Floats:
    """Differences between two equal methods, (trainings, patients, studies).

    A patient suits one method better than the other by 0.05 (standard deviation), and by another 0.1 in each pair of trainings.
    """
    rng = np.random.default_rng(seed)
    of_trainings = rng.normal(0, spread * np.sqrt(2), (trainings, 1, number))
    return of_trainings + rng.normal(0, 0.05, (PATIENTS, number)) + rng.normal(0, 0.1, (trainings, PATIENTS, number))


def drawn(number: int, pretrainings: int, seed: int) -> Floats:
    """As `studies`, of several draws on each pre-training, which the statistics average."""
    rng = np.random.default_rng([seed, 1])  # another stream than that of `studies`
    draws = FINE_TUNINGS // pretrainings
    means = (
        studies(number, pretrainings * draws, OF_DRAWS, seed)
        .reshape(pretrainings, draws, PATIENTS, number)
        .mean(axis=1)
    )
    return means + rng.normal(0, OF_PRETRAININGS * np.sqrt(2), (pretrainings, 1, number))


def folded(number: int, seeds: int, folds: int, again: bool) -> Floats:
    """As `studies`, of K networks a seed, each of which scores the patients of its fold.

    again: whether each seed divides the patients anew. Otherwise what a fold's patients do to a network is the same for all.
    """
    rng = np.random.default_rng([seeds, folds])
    fold_of = rng.permuted(np.tile(np.arange(PATIENTS) % folds, (seeds, number, 1)), axis=2)
    divisions = rng.normal(0, OF_DIVISIONS, (seeds, number, folds))
    if not again:
        fold_of[:], divisions[:] = fold_of[0], divisions[0]
    networks = divisions + rng.normal(0, OF_NETWORKS * np.sqrt(2), divisions.shape)
    of_folds = np.take_along_axis(networks, fold_of, axis=2).transpose(0, 2, 1)
    return studies(number, seeds, 0.0, seeds) + of_folds


def apart(means: Means) -> float:
    """The share of intervals that leave out 0."""
    return float((abs(means.value) > means.half_width()).mean())


def over_patients(values: Floats) -> float:
    return apart(effects(values.mean(axis=0, keepdims=True)).means())


def satterthwaite(values: Floats) -> float:
    means = effects(values).means()
    whole = means.variances.sum(axis=0)
    freedom = whole**2 / (means.variances**2 / means.freedom).sum(axis=0)
    return float((abs(means.value) > t.isf(0.025, freedom) * np.sqrt(whole)).mean())


def pigeonhole(values: Floats, seed: int) -> float:
    rng = np.random.default_rng(seed)
    trainings, patients, _ = values.shape
    kept = values[:, :, :RESAMPLED]
    of_trainings = rng.multinomial(trainings, [1 / trainings] * trainings, RESAMPLES) / trainings
    of_patients = rng.multinomial(patients, [1 / patients] * patients, RESAMPLES) / patients
    means = np.einsum("rt,rp,tps->rs", of_trainings, of_patients, kept, optimize=True)
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return float(((low > 0) | (high < 0)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=4000)
    number = parser.parse_args().studies
    print("| trainings | spread | over patients | pigeonhole bootstrap | Satterthwaite | ours |")
    print("|---|---|---|---|---|---|")
    for trainings in TRAININGS:
        for spread in SPREADS:
            values = studies(number, trainings, spread, seed=trainings)
            shares = [over_patients(values), *[np.nan] * 3]
            if trainings > 1:
                shares[1:] = (
                    pigeonhole(values, seed=0),
                    satterthwaite(values),
                    apart(effects(values).means()),
                )
            cells = ["not decided" if np.isnan(share) else f"{100 * share:.1f} %" for share in shares]
            print(f"| {trainings} | {spread} | {' | '.join(cells)} |", flush=True)
    print(f"\n| trainings | spread | {' | '.join(f'difference {difference}' for difference in DIFFERENCES)} |")
    print(f"|---|---|{'---|' * len(DIFFERENCES)}")
    for trainings in (*TRAININGS[1:], 20):
        for spread in SPREADS:
            values = studies(number, trainings, spread, seed=trainings)
            shares = [apart(effects(values + difference).means()) for difference in DIFFERENCES]
            print(f"| {trainings} | {spread} | {' | '.join(f'{100 * share:.0f} %' for share in shares)} |", flush=True)
    print(f"\n| pre-trainings x draws | no difference | {' | '.join(f'difference {shift}' for shift in DIFFERENCES)} |")
    print(f"|---|---|{'---|' * len(DIFFERENCES)}")
    for pretrainings in PRETRAININGS:
        values = drawn(number, pretrainings, seed=pretrainings)
        shares = [apart(effects(values + difference).means()) for difference in (0.0, *DIFFERENCES)]
        kind = f"{pretrainings} x {FINE_TUNINGS // pretrainings}"
        print(f"| {kind} | {' | '.join(f'{100 * share:.0f} %' for share in shares)} |", flush=True)
    print("\n| seeds x folds | over patients alone | the same folds for every seed | ours |\n|---|---|---|---|")
    for folds, seeds in product(FOLDS, SEEDS):
        same, values = (folded(number, seeds, folds, again) for again in (False, True))
        shares = [over_patients(values), *(apart(effects(made).means()) for made in (same, values) if seeds > 1)]
        cells = [f"{100 * share:.1f} %" for share in shares] + ["not decided"] * (3 - len(shares))
        print(f"| {seeds} x {folds} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
