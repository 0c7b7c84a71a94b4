"""What one method gains over another, of one run of the workflow or of two that share patients, seeds and draws.

    python benchmarks/compare_runs.py runs/study_cpu:multi_condos runs/study_cpu:fully_supervised
    python benchmarks/compare_runs.py runs/study_cpu:multi_condos runs/study_recipe:multi_condos

prints a Markdown table: for each share of labels and each modality, and for their mean, the DSC of both, the mean paired
difference with its 95 % interval over trainings and patients (docs/explanation/statistics.md), and in how many trainings the
first was better. A training is a seed and a draw of the labelled patients.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from mcd.evaluation.score_rows import TRAINING
from mcd.evaluation.scores import read_scores
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


def row(name: str, both: pd.DataFrame) -> str:
    """A line of the table, of patients' scores `a` and `b`; several cases are averaged first."""
    of_patient = both.groupby([*TRAINING, "subject"]).mean()
    cubes = [of_patient[run].unstack("subject").to_numpy() for run in ("a", "b")]
    difference = cubes[0] - cubes[1]
    gain = effects(difference[:, :, None]).means()
    (low,), (high,) = gain.interval()
    better = f"{int((difference.mean(1) > 0).sum())} of {len(difference)}"
    means = " | ".join(f"{np.mean(cube):.3f}" for cube in cubes)
    return f"| {name} | {means} | {gain.value[0]:+.3f} ({low:+.3f} to {high:+.3f}) | {better} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", metavar="FOLDER:METHOD")
    parser.add_argument("b", metavar="FOLDER:METHOD")
    arguments = parser.parse_args()
    both = pd.concat({"a": values(arguments.a), "b": values(arguments.b)}, axis=1, join="inner")
    if both.empty:
        sys.exit("the two share no training of the same cohort, pair, label ratio, modality, seed and draw")
    print(f"| | {arguments.a} | {arguments.b} | difference | better |\n|---|---|---|---|---|")
    cases = dict(tuple(both.groupby(CASE)))
    for (cohort, pair, ratio, modality), rows in cases.items():
        print(row(f"{cohort} {pair}, {ratio:.0%}, {modality}", rows))
    if len(cases) > 1:
        print(row("mean", both))


if __name__ == "__main__":
    main()
