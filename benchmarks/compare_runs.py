"""What methods gain over one of them, in one run of the workflow or in several that share patients, seeds and draws.

    python benchmarks/compare_runs.py runs/study_cpu:fully_supervised runs/study_cpu:multi_condos runs/study_cpu:mae
    python benchmarks/compare_runs.py runs/study_cpu:multi_condos runs/study_recipe:multi_condos

prints two Markdown tables. The first has the mean DSC of each by label ratio and modality. The second has each one's mean
paired difference from the first named, by column and for the mean of all columns, with its 95 % interval over seeds and
patients (docs/explanation/statistics.md), and in how many trainings it was better. A training is a seed and a draw of the
labelled patients; one that is not there in every column of every run is left out. A seed's draws share a pre-training, and are
averaged in the interval.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from mcd.evaluation.score_rows import TRAINING
from mcd.evaluation.scores import crossed, read_scores
from mcd.evaluation.statistics import effects

CASE = ["cohort", "pair", "label_ratio", "modality"]


def values(run: str) -> pd.Series:
    """Each patient's DSC, the mean over regions, of `FOLDER:METHOD`."""
    folder, _, method = run.rpartition(":")
    files = sorted(Path(folder).glob(f"work/*/*/{method}/*/labels*/seed*/scores.csv"))
    if not files:
        sys.exit(f"{run}: no scores of {method} in {folder}/work; make them first")
    scores = read_scores(files)
    return scores.groupby([*CASE, *TRAINING, "subject"])["DSC"].mean()


def whole(scores: pd.DataFrame) -> pd.DataFrame:
    """The trainings that every run has in every column."""
    scores = scores.dropna()
    cases = scores.reset_index()[CASE].drop_duplicates()
    counts = scores.reset_index()[[*CASE, *TRAINING]].drop_duplicates().groupby(TRAINING).size()
    kept = counts.index[counts == len(cases)]
    return scores[scores.index.droplevel([*CASE, "subject"]).isin(kept)]


def with_interval(cell: pd.DataFrame) -> str:
    """A mean difference with its interval, of a row per training (index `TRAINING`) and a column per patient."""
    found = effects(crossed([cell]).values).means()
    (low,), (high,) = found.interval()
    return f"{found.value[0]:+.3f} ({low:+.3f} to {high:+.3f})"


def gain(difference: pd.Series) -> str:
    """The mean of patients' differences in several trainings, with its interval; several cases are averaged first."""
    return with_interval(difference.groupby([*TRAINING, "subject"]).mean().unstack("subject"))


def table(heads: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, ["---"] * len(heads), *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", metavar="FOLDER:METHOD", help="what the others are compared with")
    parser.add_argument("others", metavar="FOLDER:METHOD", nargs="+")
    arguments = parser.parse_args()
    runs = [arguments.base, *arguments.others]
    scores = whole(pd.concat({run: values(run) for run in runs}, axis=1))
    if scores.empty:
        sys.exit("they share no training that is there in every cohort, pair, label ratio and modality")
    cases = dict(tuple(scores.groupby(CASE)))
    heads = [f"{cohort} {pair}, {ratio:.0%}, {modality}" for cohort, pair, ratio, modality in cases]
    of_training = scores.groupby(TRAINING).mean()
    print(f"{len(of_training)} trainings each, of {of_training.index.get_level_values('seed').nunique()} seeds\n")
    means = [
        [run, *(f"{rows[run].mean():.3f}" for rows in cases.values()), f"{scores[run].mean():.3f}"] for run in runs
    ]
    print(table(["mean DSC", *heads, "mean"], means), end="\n\n")
    differences = []
    for run in arguments.others:
        gains = [gain(rows[run] - rows[arguments.base]) for rows in [*cases.values(), scores]]
        better = int((of_training[run] > of_training[arguments.base]).sum())
        differences.append([run, *gains, f"{better} of {len(of_training)}"])
    print(table([f"less {arguments.base}", *heads, "mean", "better"], differences))


if __name__ == "__main__":
    main()
