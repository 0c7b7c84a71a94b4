"""Time and memory that Snakemake needs for planning: dry runs of configs/paper.yaml on trees of empty files.

    python benchmarks/dag_building.py FOLDER --patients 400 4000 [--config methods=all+ label_draws=3]

prints a Markdown table; `--config` changes keys of the configuration, as Snakemake's does. Half of the patients are
HECKTOR's, half BraTS's. A dry run reads the configuration and the folders, builds the graph and goes through all jobs: somewhat
more than a real run does before its first job. Core seconds depend less than wall seconds on the machine's other load.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests/workflow"))

from fake_cohorts import make

ROOT = Path(__file__).parents[1]

TARGETS = ("shards", "results/table2.csv", "all")


def plan(target: str, cohorts: Path, changes: list[str]) -> str:
    """One row of the table."""
    line = [sys.executable, "-m", "snakemake", target, "-n", "--quiet", "rules", "--cores", "1"]
    line += ["--configfile", "configs/paper.yaml", "--directory", str(cohorts / "run")]
    line += ["--config", *changes] if changes else []
    folders = {"HECKTOR2020": str(cohorts / "hecktor"), "BRATS2018": str(cohorts / "brats")}
    log = cohorts / "log.txt"
    started = time.monotonic()
    with open(log, "w") as out:
        process = subprocess.Popen(line, cwd=ROOT, env={**os.environ, **folders}, stdout=out, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    found = re.search(r"^total +(\d+)$", log.read_text(), re.MULTILINE)
    if status or not found:
        sys.exit(log.read_text()[-2000:])
    cpu = used.ru_utime + used.ru_stime
    return f"{target} | {found[1]} | {cpu:.0f} | {wall:.0f} | {used.ru_maxrss / 1024:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--patients", type=int, nargs="+", default=[400, 4000])
    parser.add_argument("--targets", nargs="+", default=TARGETS)
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    print("| patients | target | jobs | core seconds | wall seconds | peak MB |\n|---|---|---|---|---|---|")
    for patients in arguments.patients:
        cohorts = arguments.folder / str(patients)
        make(cohorts, {"hecktor": patients // 2, "brats": patients - patients // 2})
        for target in arguments.targets:
            print(f"| {patients} | {plan(target, cohorts, arguments.config)}", flush=True)


if __name__ == "__main__":
    main()
