"""What a run of the workflow is doing now, from what its jobs leave in its folder: locks, records, losses of trainings.

Nothing is asked of Snakemake, so this works while it runs, on another machine of the same file system, and after it was killed.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcd.csv_files import read_csv
from mcd.durations import duration
from mcd.errors import McdError
from mcd.locks import holder_of
from mcd.progress import of_rules
from mcd.records import LOGS, read_records
from mcd.training.history import LIVE, NOT_LOSSES, seconds_left, warnings_of

STATES = "work/.resume"
"""Of trainings that are not done, relative to a run's folder (`rules/places.smk`)."""

RUNNING = "work/.running.lock"
"""Held by the workflow from its first job to its last."""

_SHOWN = 3  # losses of a training


def status(run: Path) -> Iterator[str]:
    """Lines on what runs, since when, on every training under way, and on what is done.

    Raises:
        McdError: where `run` is no folder in which the workflow has run.
    """
    if not (run / LOGS).is_dir():
        raise McdError(f"{run}: no folder of a run, which has {LOGS}/; give the folder where snakemake was started")
    running = [(log, holder) for log in sorted((run / LOGS).rglob("*.lock")) if (holder := holder_of(log))]
    if running:
        yield f"{len(running)} job{'' if len(running) == 1 else 's'} running"
    elif workflow := holder_of(run / RUNNING):
        yield f"no job is running at the moment, but the workflow is: {workflow}"
    else:
        yield "nothing is running"
    for lock, holder in running:
        yield f"  {lock.relative_to(run / LOGS).as_posix().removesuffix('.log.lock')}: {holder}"
    for losses in sorted((run / STATES).rglob(f"*{LIVE}")):
        yield from _training(losses, run / STATES)
    done = Counter(record.rule for record in read_records(run))
    if done:
        yield f"done: {of_rules(done)}"


def made_since(results: Path, start: float) -> list[str]:
    """What of a folder of results is newer than a moment (seconds since 1970): pages first, then its other files.

    Of a folder in it, its page is named, or else the folder with the number of its new files.
    """
    files = (path for path in results.rglob("[!.]*") if path.is_file())  # Snakemake stamps folders by hidden ones
    new = [path for path in files if path.stat().st_mtime >= start]
    named = [path for path in new if path.parent == results or path.name == "index.html"]
    found = [str(path) for path in sorted(named, key=lambda path: (path.suffix != ".html", path))]
    paged = {path.parent for path in named if path.parent != results}
    others = Counter(
        path.parent
        for path in new
        if path.parent != results and not any(path.is_relative_to(folder) for folder in paged)
    )
    return found + [f"{folder} ({count} file{'' if count == 1 else 's'})" for folder, count in sorted(others.items())]


@dataclass(frozen=True)
class UnderWay:
    """A training that is not done.

    Attributes:
        rows: its losses so far, those of earlier modalities too.
        left: seconds that the rest takes, of the modality that is trained now.
    """

    rows: Sequence[Mapping[str, str]]
    left: float

    @property
    def last(self) -> Mapping[str, str]:
        return self.rows[-1]

    @property
    def share(self) -> float:
        """How much of it is done, 0 to 1; modalities that are trained in turn are a pair's two."""
        modalities = len({row.get("modality") for row in self.rows})
        own = int(self.last["epoch"]) / int(self.last["epochs"])
        return (modalities - 1 + own) / 2 if self.last.get("modality") else own

    def words(self, alive: bool = True) -> str:
        """Such as "CT, epoch 31/200, 2 h 10 min left"."""
        modality = f"{self.last['modality']}, " if self.last.get("modality") else ""
        left = f"{duration(self.left)} left" if alive else "stopped: the next run goes on with it"
        return f"{modality}epoch {self.last['epoch']}/{self.last['epochs']}, {left}"


def under_way(losses: Path) -> UnderWay:
    """What the losses beside a training's state say (`mcd.reporting.figures.live.Live`).

    Raises:
        McdError: where there are none.
    """
    rows = list(csv.DictReader(read_csv(losses)))
    last = rows[-1]
    own = [float(row["seconds"]) for row in rows if row.get("modality") == last.get("modality")]
    return UnderWay(rows, seconds_left(own, int(last["epochs"])))


def _training(losses: Path, states: Path) -> Iterator[str]:
    """How far a training is, its last losses, what is left of it, and its warnings."""
    training = under_way(losses)
    alive = holder_of(losses.with_name(losses.name.removesuffix(LIVE) + ".lock"))
    name = losses.relative_to(states).as_posix().removesuffix(LIVE)
    yield f"training {name}: {training.words(alive is not None)}"
    yield "  " + ", ".join(f"{loss} {value:.4f}" for loss, value in _losses(training.last))
    for warning in warnings_of(training.rows):
        yield f"  warning: {warning}"


def _losses(row: Mapping[str, str]) -> list[tuple[str, float]]:
    """Some of the losses of an epoch: those that end in total first."""
    found = sorted((name for name in row if name not in NOT_LOSSES), key=lambda name: not name.endswith("total"))
    return [(name, float(row[name])) for name in found[:_SHOWN] if row[name]]
