"""How far a run of the workflow is: by the time that its jobs take, not by their number, since one pre-training takes as
long as hundreds of others.

How long a job of a rule takes is the mean of those that this run has done, else what one that runs says of itself, else the
mean of earlier runs in the folder. Of a rule that never ran, only its time limit is known; limits are scaled so that those of
the known rules give what these took. As trainings in small take a far smaller share of their limits than preprocessing does,
nothing is said of the time before half of it is that of rules which are known.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mcd.durations import duration
from mcd.records import Record

_SURE = 0.02
"""Share of a run from which on its length is guessed."""

_KNOWN = 0.5
"""Share of a run's time that rules have whose jobs' length is known, from which on it is guessed."""

_ALMOST = 0.95
"""Share of a job that takes longer than expected."""


Reports = Mapping[int, tuple[float | None, str]]
"""Number of a running job -> what it says of itself (`Job.done`)."""


@dataclass(frozen=True)
class Job:
    """One that runs.

    Attributes:
        rule, name: its rule, and its log's path among the logs.
        began: in seconds of the clock that `Progress` is given.
        done: says which share of it is done, 0 to 1, and in words what it is at; (None, "") where that cannot be known.
    """

    rule: str
    name: str
    began: float
    done: Callable[[], tuple[float | None, str]] = lambda: (None, "")


def mean_seconds(records: Iterable[Record]) -> dict[str, float]:
    """Rule -> how long a job of it took on average."""
    taken: dict[str, list[float]] = defaultdict(list)
    for record in records:
        taken[record.rule].append(record.ended - record.started)
    return {rule: sum(seconds) / len(seconds) for rule, seconds in taken.items()}


def of_rules(counts: Mapping[str, int]) -> str:
    """How many jobs of which rules, such as "2 pretrain_pair, 1 score_pair"."""
    return ", ".join(f"{count} {rule}" for rule, count in counts.items())


class Progress:
    """Of one run.

    Args:
        limits: rule -> time limit of a job, in any unit.

    Attributes:
        began: when the run began, in seconds of its jobs' clock.
        running: number of a job -> job, in the order in which they began.
        failed: how many have failed.
    """

    def __init__(self, limits: Mapping[str, float]) -> None:
        self.limits = limits
        self.began = 0.0
        self.running: dict[int, Job] = {}
        self.failed = 0
        self._planned: Mapping[str, int] = {}
        self._earlier: Mapping[str, float] = {}
        self._taken: dict[str, list[float]] = defaultdict(list)

    def plan(self, counts: Mapping[str, int], earlier: Mapping[str, float], now: float) -> None:
        """The run begins.

        Args:
            counts: rule -> number of its jobs.
            earlier: rule -> mean seconds of a job in earlier runs (`mean_seconds`).
        """
        self._planned, self._earlier, self.began = counts, earlier, now

    def begin(self, number: int, job: Job) -> None:
        """A job begins."""
        self.running[number] = job

    def end(self, number: int, now: float) -> None:
        """A job is done."""
        if job := self.running.pop(number, None):
            self._taken[job.rule].append(now - job.began)

    def fail(self, number: int) -> Job | None:
        """A job has failed; return it, once."""
        job = self.running.pop(number, None)
        self.failed += job is not None
        return job

    @property
    def planned(self) -> int:
        return sum(self._planned.values())

    @property
    def done(self) -> int:
        return sum(map(len, self._taken.values()))

    def reports(self) -> Reports:
        """What each running job says of itself, which may take reading files."""
        return {number: job.done() for number, job in self.running.items()}

    def share(self, now: float, reports: Reports | None = None) -> float | None:
        """Which share of the run's time is done, 0 to 1; None where too little is known of how long its jobs take.

        `reports` are those of this moment, where they are known already.
        """
        shares = {number: share for number, (share, _) in (self.reports() if reports is None else reports).items()}
        known = self._known(shares, now)
        seconds = self._seconds(known)
        whole = sum(count * seconds[rule] for rule, count in self._planned.items())
        if sum(self._planned[rule] * seconds[rule] for rule in known) < max(_KNOWN * whole, 1e-9):
            return None
        done = sum(len(taken) * seconds.get(rule, 0) for rule, taken in self._taken.items())
        for number, job in self.running.items():
            expected, share = seconds.get(job.rule, 0), shares[number]
            done += min(now - job.began, _ALMOST * expected) if share is None else share * expected
        return done / whole

    def words(self, now: float, reports: Reports | None = None) -> str:
        """One line on the whole run, such as "31 % done, about 2 h 10 min left; 120 of 329 jobs done".

        `reports` as in `share`.
        """
        share = self.share(now, reports)
        if share is None:
            return self.jobs()
        elapsed = now - self.began
        left = f", about {duration(elapsed * (1 - share) / share)} left" if share >= _SURE else ""
        return f"{100 * share:.0f} % done{left}; {self.jobs()}"

    def jobs(self) -> str:
        """How many are done, such as "120 of 329 jobs done, 1 failed"."""
        return f"{self.done} of {self.planned} jobs done" + (f", {self.failed} failed" if self.failed else "")

    def running_rules(self) -> str:
        """How many jobs of which rules run."""
        return of_rules(Counter(job.rule for job in self.running.values()))

    def _known(self, shares: Mapping[int, float | None], now: float) -> dict[str, float]:
        """How long a job takes of the planned rules that it is known of; `shares` is what running jobs say they have done."""
        running = {
            job.rule: (now - job.began) / share for number, job in self.running.items() if (share := shares[number])
        }
        done = {rule: sum(taken) / len(taken) for rule, taken in self._taken.items()}
        found = {**self._earlier, **running, **done}
        return {rule: found[rule] for rule in found if rule in self._planned}

    def _seconds(self, known: Mapping[str, float]) -> dict[str, float]:
        """How long a job of each planned rule takes."""
        limited = [rule for rule in known if rule in self.limits]
        scale = sum(known[rule] for rule in limited) / sum(self.limits[rule] for rule in limited) if limited else 1.0
        usual = sum(self.limits.values()) / len(self.limits) if self.limits else 1.0
        return {rule: known.get(rule, scale * self.limits.get(rule, usual)) for rule in self._planned}
