"""What Table II costs: 32 rows in six columns, with its intervals and tests, from made-up scores of the paper's test patients.

    python benchmarks/table_costs.py FOLDER [--times 10]

prints core seconds and peak memory for 21 + 42 test patients, or the given multiple of them.
"""

import argparse
import resource
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from mcd import plan
from mcd.config import load_config
from mcd.reporting.tables.score_tables import write_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--times", type=int, default=1)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    config = load_config(yaml.safe_load((Path(__file__).parents[1] / "configs/paper.yaml").read_text()))
    table = plan.comparisons(config)["table2"]
    rng = np.random.default_rng(0)
    files = []
    for number, run in enumerate(table.runs):
        cohort = config.cohorts[run.cohort]
        names = [f"P{patient:05d}" for patient in range(int(cohort.test) * arguments.times)]
        keys: dict[str, str | float] = {
            "cohort": run.cohort,
            "pair": run.pair,
            "modality": run.modality,
            "method": run.method,
        }
        keys |= {"label_ratio": run.ratio, "seed": run.seed}
        index = pd.MultiIndex.from_product([names, cohort.regions], names=["subject", "region"])
        scores = pd.DataFrame(rng.uniform(size=(len(index), 5)), index, ["DSC", "Sen", "PPV", "HD95", "BIoU"])
        files.append(arguments.folder / f"{number}.csv")
        scores.reset_index().assign(**keys).to_csv(files[-1], index=False)
    before = resource.getrusage(resource.RUSAGE_SELF)
    write_table(
        files, table.spec, *(arguments.folder / f"table{ending}" for ending in (".csv", "_long.csv", ".html", ".json"))
    )
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(
        f"{len(table.spec.rows)} rows, {len(table.runs)} runs, {arguments.times} x (21 + 42) patients: "
        f"{after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime:.1f} core seconds, "
        f"{after.ru_maxrss / 1024:.0f} MB"
    )


if __name__ == "__main__":
    main()
