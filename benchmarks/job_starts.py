"""What it costs that every training is a job of its own: the processor seconds that a run's jobs spend on starting torch.

    python benchmarks/job_starts.py RUN

RUN is the folder of a finished run. A start is what a fine-tuning job imports, and Python's end, in a fresh process, the median
of `--starts`; in turns with it the same with Python's own garbage collection, which `workflow_scripts/door.py` changes. What
jobs took as a whole is in the benchmark files that Snakemake wrote. The last column is what would be left of the starts if
one process did the runs of a method on a pair, with all their label ratios and draws.
"""

import argparse
import csv
import resource
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

IMPORTS = (
    "import mcd.prediction.run, mcd.reporting.figures.live, mcd.segmentation.options, mcd.segmentation.run, "
    "mcd.training.history, mcd.training.schedule"
)
DOOR = str(Path(__file__).parents[1] / "workflow_scripts")
AT_DOOR = f"import gc, sys; usual = gc.get_threshold(); sys.path.insert(0, {DOOR!r}); import door; "
WITH_TORCH = ("pretrain_pair", "finetune_modality", "finetune_pair", "translate_pair", "diagnose_pretraining")
SHARED = ("finetune_modality", "finetune_pair")


def seconds_of(code: str) -> float:
    """Processor seconds of a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def jobs_of(run: Path) -> dict[str, list[tuple[Path, float]]]:
    """Rule -> its jobs: where each one's benchmark lies, below the rule's folder, and its processor seconds."""
    found = defaultdict(list)
    folder = run / "work/benchmarks"
    for path in sorted(folder.rglob("*.tsv")):
        with path.open(newline="") as file:
            (row,) = csv.DictReader(file, delimiter="\t")
        parts = path.relative_to(folder).with_suffix("").parts
        rule = next(part for part in parts if part.isidentifier() and part.count("_"))
        cpu = row["cpu_time"]
        found[rule].append((Path(parts[0], *parts[parts.index(rule) + 1 :]), 0.0 if cpu in ("-", "NA") else float(cpu)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--starts", type=int, default=5)
    arguments = parser.parse_args()
    codes = (
        f"{AT_DOOR}{IMPORTS}; gc.freeze()",
        f"{AT_DOOR}gc.set_threshold(*usual); {IMPORTS}",
        f"{AT_DOOR}import torch; gc.freeze()",
    )
    measured = [[seconds_of(code) for code in codes] for _ in range(arguments.starts)]
    start, collecting, torch = map(statistics.median, zip(*measured, strict=True))
    jobs = jobs_of(arguments.run)
    whole = sum(seconds for of_rule in jobs.values() for _, seconds in of_rule)
    print(f"a start: {start:.2f} processor seconds, {torch:.2f} of them torch")
    print(f"with Python's own garbage collection: {collecting:.2f}")
    print(f"the run: {whole:.0f}\n")
    print("| rule | jobs | seconds | starts | of the run | shared |\n|---|---|---|---|---|---|")
    for rule, of_rule in sorted(jobs.items(), key=lambda item: -sum(seconds for _, seconds in item[1])):
        line = f"| `{rule}` | {len(of_rule)} | {sum(seconds for _, seconds in of_rule):.0f} |"
        if rule in WITH_TORCH:
            # cohort/pair/method/labels.../seed...: those that differ in the last two only
            groups = {path.parents[1] for path, _ in of_rule} if rule in SHARED else of_rule
            starts, shared = (start * len(number) for number in (of_rule, groups))
            line += f" {starts:.0f} | {starts / whole:.3f} | {shared:.0f} |"
        else:
            line += " | | |"
        print(line)


if __name__ == "__main__":
    main()
