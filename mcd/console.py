"""What the workflow shows while it runs: what is left of it, and every job that runs; warnings and errors as ever.

Snakemake prints a paragraph for each job, in a large run pages for each, among which warnings are lost. `Console` stands
before its handler for the terminal, and lets through what is not about single jobs. Snakemake's own log has everything.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from mcd.durations import duration
from mcd.errors import McdError
from mcd.progress import Job, Progress, mean_seconds, of_rules
from mcd.records import read_records
from mcd.status import under_way
from mcd.training.history import LIVE

HANDLER = "DefaultStreamHandler"
"""Snakemake's name of its handler for the terminal; absent where the user has chosen another logger."""

REDRAWN_EVERY = 2.0
"""Seconds, on a terminal."""

PRINTED_AFTER, PRINTED_EVERY = 15.0, 600.0
"""Seconds between two lines where output goes to a file: at first, twice as many each time, and in the end."""

SHOWN = 10
"""Jobs on a terminal at most."""

_OF_JOBS = {
    "workflow_started",
    "resources_info",
    "run_info",
    "job_info",
    "job_started",
    "job_finished",
    "job_error",
    "group_info",
    "group_error",
    "shellcmd",
    "progress",
}
"""Snakemake's events (`snakemake_interface_logger_plugins.common.LogEvent`) of which its own words are not shown."""

_TOLD_EACH_TIME = ("Select jobs to execute...",)

States = Callable[[str, Mapping[str, str], Sequence[str]], list[str]]
"""(rule, wildcards, outputs) -> where a job keeps the states of its trainings, in the order in which they are trained."""


class Console(logging.Handler):
    """Follows a run by the events that Snakemake logs.

    Args:
        progress: of the run, whose times are `clock`'s.
        handler: Snakemake's, of the terminal.
        run: its folder.
        states: see `States`.
        clock: seconds.
    """

    def __init__(
        self,
        progress: Progress,
        handler: "logging.StreamHandler[TextIO]",
        run: Path,
        states: States,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.progress, self.handler, self.folder, self.states, self.clock = progress, handler, run, states, clock
        self.stream = handler.stream
        self.live = self.stream.isatty()
        self._drawn = 0  # lines on the terminal that the next drawing replaces
        self._pause = REDRAWN_EVERY if self.live else PRINTED_AFTER
        self._guard = threading.RLock()  # of what is drawn, and of the progress
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="console", daemon=True)
        handler.addFilter(self._lets_through)

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of an event."""
        takes = {
            "run_info": self._take_plan,
            "job_info": self._take_begin,
            "job_finished": self._take_end,
            "job_error": self._take_failure,
        }
        if take := takes.get(_event(record)):
            with self._guard:
                take(vars(record))

    def close(self) -> None:
        """Say how the run ended, and leave the terminal to Snakemake."""
        self.handler.removeFilter(self._lets_through)
        with self._guard:
            if self.progress.planned and not self._over.is_set():
                taken = duration(self.clock() - self.progress.began)
                self._say(f"{self.progress.jobs()}, after {taken}")
            self._over.set()
        super().close()

    def _lets_through(self, record: logging.LogRecord) -> bool:
        """Whether Snakemake's handler prints a record; it does so at once, so that what is drawn gives way."""
        if _event(record) in _OF_JOBS or record.msg in _TOLD_EACH_TIME:
            return False
        with self._guard:
            self._erase()
        return True

    def _take_plan(self, about: Mapping[str, Any]) -> None:
        counts = {rule: count for rule, count in about["stats"].items() if rule != "total"}
        self.progress.plan(counts, mean_seconds(read_records(self.folder)), self.clock())
        self._say(f"{self.progress.planned} jobs: {of_rules(counts)}")
        if not self._ticker.is_alive():
            self._ticker.start()

    def _take_begin(self, about: Mapping[str, Any]) -> None:
        rule, outputs = about["rule_name"], about["output"]
        states = self.states(rule, about["wildcards"] or {}, outputs)
        name = Path(*Path(about["log"][0]).parts[1:]).with_suffix("").as_posix() if about["log"] else rule
        self.progress.begin(about["jobid"], Job(rule, name, self.clock(), lambda: _done(states)))

    def _take_end(self, about: Mapping[str, Any]) -> None:
        self.progress.end(about["job_id"], self.clock())

    def _take_failure(self, about: Mapping[str, Any]) -> None:
        if self.progress.fail(about["jobid"]) is None:  # Snakemake repeats them all at the end
            return
        reason = _last_error(about["log"]) if self.live else ""  # in a file, what the job said itself stays above
        self._say(f"failed: {about['rule_name']}, {reason}see {', '.join(about['log'])}")

    def _tick(self) -> None:
        while not self._over.wait(self._pause):
            with self._guard:
                if self._over.is_set():
                    return
                if self.live:
                    self._draw()
                else:
                    self._print()
                    self._pause = min(2 * self._pause, PRINTED_EVERY)

    def _print(self) -> None:
        running = self.progress.running_rules()
        self._say(f"{time.strftime('%H:%M:%S')} {self.progress.words(self.clock())}; running: {running or 'nothing'}")

    def _draw(self) -> None:
        """The run in a line, and a line for each job, in the place of those drawn before."""
        columns, rows = shutil.get_terminal_size()
        now, running, reports = self.clock(), list(self.progress.running.items()), self.progress.reports()
        room = max(min(SHOWN, rows - 3), 1)
        lines = [self.progress.words(now, reports)]
        for number, job in running[:room]:
            _, words = reports[number]
            lines.append(f"  {job.name}: {words or duration(now - job.began)}")
        if len(running) > room:
            lines.append(f"  and {len(running) - room} more")
        self._erase()
        self.stream.write("".join(f"{line[: columns - 1]}\n" for line in lines))
        self.stream.flush()
        self._drawn = len(lines)

    def _say(self, line: str) -> None:
        self._erase()
        self.stream.write(f"{line}\n")
        self.stream.flush()

    def _erase(self) -> None:
        """Remove what was drawn: so many lines up, and clear from there to the end of the screen."""
        if self._drawn:
            self.stream.write(f"\x1b[{self._drawn}F\x1b[J")
            self._drawn = 0


def take_over(logger: logging.Logger, limits: Mapping[str, float], run: Path, states: States) -> Console | None:
    """Stand before Snakemake's handler for the terminal; None where there is none of its own."""
    for handler in logger.handlers:
        if handler.name == HANDLER and isinstance(handler, logging.StreamHandler):
            console = Console(Progress(limits), handler, run, states)
            logger.addHandler(console)
            return console
    return None


def _event(record: logging.LogRecord) -> str:
    return str(getattr(record, "event", None) or "")


def _done(states: Sequence[str]) -> tuple[float | None, str]:
    """How far a job is that trains, by the losses beside its states."""
    for number, state in enumerate(states):
        try:
            training = under_way(Path(f"{state}{LIVE}"))
        except (McdError, OSError):  # not begun, or done: its losses are elsewhere
            continue
        return (number + training.share) / len(states), training.words()
    return None, ""


def _last_error(logs: Sequence[str]) -> str:
    """The mistake with which a job's log ends, if it does: where lines are drawn over, the job's own words may be lost."""
    try:
        lines = Path(logs[-1]).read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, IndexError):
        return ""
    return next((f"{line}; " for line in reversed(lines[-3:]) if line.startswith("error: ")), "")
