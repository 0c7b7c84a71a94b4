"""What a run of the workflow is doing now, from what its jobs leave in its folder: locks, records, losses of trainings.

Nothing is asked of Snakemake, so this works while it runs, on another machine of the same file system, and after it was killed.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from mcd.csv_files import read_csv
from mcd.durations import duration
from mcd.errors import McdError
from mcd.locks import holder_of
from mcd.records import LOGS, read_records
from mcd.training.history import seconds_left, warnings_of

STATES = "work/.resume"
"""Of trainings that are not done, relative to a run's folder (`rules/places.smk`)."""

_ENDING = ".losses.csv"
_SHOWN = 3  # losses of a training


def status(run: Path) -> Iterator[str]:
    """Lines on what runs, since when, on every training under way, and on what is done.

    Raises:
        McdError: where `run` is no folder in which the workflow has run.
    """
    if not (run / LOGS).is_dir():
        raise McdError(f"{run}: no folder of a run, which has {LOGS}/; give the folder where snakemake was started")
    running = [(log, holder) for log in sorted((run / LOGS).rglob("*.lock")) if (holder := holder_of(log))]
    yield f"{len(running)} job{'' if len(running) == 1 else 's'} running" if running else "nothing is running"
    for lock, holder in running:
        yield f"  {lock.relative_to(run / LOGS).as_posix().removesuffix('.log.lock')}: {holder}"
    for losses in sorted((run / STATES).rglob(f"*{_ENDING}")):
        yield from _training(losses, run / STATES)
    done = Counter(record.rule for record in read_records(run))
    if done:
        yield "done: " + ", ".join(f"{count} {rule}" for rule, count in done.items())


def _training(losses: Path, states: Path) -> Iterator[str]:
    """How far a training is, its last losses, what is left of it, and its warnings."""
    rows = list(csv.DictReader(read_csv(losses)))
    last, total = rows[-1], int(rows[-1]["epochs"])
    own = [row for row in rows if row.get("modality") == last.get("modality")]
    left = seconds_left([float(row["seconds"]) for row in own], total)
    alive = holder_of(losses.with_name(losses.name.removesuffix(_ENDING) + ".lock"))
    name = losses.relative_to(states).as_posix().removesuffix(_ENDING)
    words = [f"{last['modality']}, " if last.get("modality") else "", f"epoch {last['epoch']}/{total}"]
    words += [f", {duration(left)} left" if alive else ", stopped: the next run goes on with it"]
    yield f"training {name}: {''.join(words)}"
    yield "  " + ", ".join(f"{loss} {value:.4f}" for loss, value in _losses(last))
    for warning in warnings_of(rows):
        yield f"  warning: {warning}"


def _losses(row: Mapping[str, str]) -> list[tuple[str, float]]:
    """Some of the losses of an epoch: those that end in total first."""
    names = list(row)
    found = names[names.index("mcd_version") + 1 : names.index("weights_moved")]
    found.sort(key=lambda name: not name.endswith("total"))
    return [(name, float(row[name])) for name in found[:_SHOWN] if row[name]]
