"""What the terminal shows of a run: what is left, by the time that jobs take, and every warning and error."""

import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import pytest

from mcd.console import HANDLER, Console, take_over
from mcd.durations import duration
from mcd.progress import Job, Progress, mean_seconds
from mcd.records import Record
from mcd.training.history import History, write_history

LIMITS = {"preprocess": 30.0, "pretrain": 3000.0, "score": 10.0}
COUNTS = {"preprocess": 10, "pretrain": 2, "score": 5}


class Terminal(io.StringIO):
    """A screen of which lines may be drawn over, and what stands on it in the end."""

    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        lines = [""]
        for part in self.getvalue().replace("\x1b[J", "\n\x1b[J").split("\n"):
            if part == "\x1b[J":
                continue
            if part.startswith("\x1b[J"):
                part = part.removeprefix("\x1b[J")
            if part.startswith("\x1b["):
                up = int(part.removeprefix("\x1b[").partition("F")[0])
                del lines[len(lines) - 1 - up :]
                lines.append("")
                continue
            lines[-1] += part
            lines.append("")
        return [line for line in lines if line]


class Run:
    """A console, and a stand-in for Snakemake that logs as Snakemake does."""

    def __init__(self, folder: Path, stream: io.StringIO) -> None:
        self.now = 0.0
        self.stream = stream
        self.logger = logging.Logger("snakemake")
        handler: logging.StreamHandler[TextIO] = logging.StreamHandler(stream)
        handler.name = HANDLER
        self.logger.addHandler(handler)
        self.console = Console(Progress(LIMITS), handler, folder, self.states, lambda: self.now)
        self.console._pause = 1e9  # it draws when it is told to
        self.logger.addHandler(self.console)
        self.folder = folder

    def states(self, rule: str, wildcards: Mapping[str, str], outputs: Sequence[str]) -> list[str]:
        return [str(self.folder / f"{rule}{wildcards['seed']}")] if rule == "pretrain" else []

    def tell(self, event: str | None, message: str = "words of Snakemake's own", level: int = 20, **about: Any) -> None:
        self.logger.log(level, message, extra={**about, **({"event": event} if event else {})})

    def plan(self) -> None:
        self.tell("run_info", stats={**COUNTS, "total": sum(COUNTS.values())})

    def begin(self, number: int, rule: str) -> None:
        wildcards = {"seed": str(number)}
        log = [f"logs/brats/{rule}/{number}.log"]
        self.tell("job_info", jobid=number, rule_name=rule, wildcards=wildcards, output=["x"], log=log)

    def end(self, number: int, now: float) -> None:
        self.now = now
        self.tell("job_finished", job_id=number)


def test_jobs_count_by_the_time_that_they_take() -> None:
    """Ten short jobs are done, of seventeen: not 59 %, and of how much nothing is known before a long one was seen."""
    progress = Progress(LIMITS)
    progress.plan(COUNTS, {}, 0.0)
    for number in range(10):
        progress.begin(number, Job("preprocess", f"p{number}", 2.0 * number))
        progress.end(number, 2.0 * number + 2)
    assert progress.share(20.0) is None
    assert progress.words(20.0) == "10 of 17 jobs done"
    progress.begin(10, Job("pretrain", "a", 20.0, lambda: (0.25, "")))
    scale = (2 + 400) / (30 + 3000)
    assert progress.share(120.0) == pytest.approx((20 + 100) / (20 + 2 * 400 + 5 * 10 * scale)), "as it says of itself"
    progress.running[10] = Job("pretrain", "a", 20.0)
    progress.end(10, 420.0)
    scale = (2 + 400) / (30 + 3000)
    taken = 20 + 2 * 400 + 5 * 10 * scale
    assert progress.share(420.0) == pytest.approx(420 / taken), (
        "what jobs of this run took, and the limit of the others"
    )
    assert progress.words(420.0) == f"51 % done, about {duration(taken - 420)} left; 11 of 17 jobs done"


def test_times_of_earlier_runs_go_before_limits() -> None:
    records = [Record("pretrain", "1", 0.0, {}, {}, "x.log", ended) for ended in (100.0, 300.0)]
    records.append(Record("of another configuration", "1", 0.0, {}, {}, "y.log", 1e6))
    earlier = mean_seconds(records)
    assert earlier["pretrain"] == 200
    progress = Progress(LIMITS)
    progress.plan(COUNTS, earlier, 0.0)
    progress.begin(1, Job("pretrain", "a", 0.0))
    whole = 10 * 30 * 200 / 3000 + 2 * 200 + 5 * 10 * 200 / 3000
    assert progress.share(50.0) == pytest.approx(50 / whole), "a quarter of one of two"
    assert progress.share(1e4) == pytest.approx(0.95 * 200 / whole), "it takes longer, and is not done"
    progress.running[1] = Job("pretrain", "a", 0.0, lambda: (0.5, ""))
    whole = 2 * 100 + (10 * 30 + 5 * 10) * 100 / 3000
    assert progress.share(50.0) == pytest.approx(50 / whole), "what a training says of itself is better"
    failed = progress.fail(1)
    assert failed
    assert progress.fail(1) is None
    assert progress.words(50.0) == "0 % done; 0 of 17 jobs done, 1 failed"


def test_a_file_gets_lines_now_and_then_and_nothing_of_single_jobs(tmp_path: Path) -> None:
    run = Run(tmp_path, io.StringIO())
    run.tell(None, "Building DAG of jobs...")
    run.plan()
    for number in range(10):
        run.tell("job_started", jobs=[number])
        run.begin(number, "preprocess")
        run.end(number, 2.0 * number + 2)
        run.tell("progress", done=number, total=17)
        run.tell(None, "Select jobs to execute...")
    run.begin(11, "pretrain")
    run.console._print()
    run.tell(None, "a warning of Snakemake's", level=30)
    run.now = 3700.0
    run.console.close()
    run.tell(None, "Complete log(s): x.log")
    first, plan, words, warning, end, last = run.stream.getvalue().splitlines()
    assert first == "Building DAG of jobs..."
    assert plan == "17 jobs: 10 preprocess, 2 pretrain, 5 score"
    assert words[9:] == "10 of 17 jobs done; running: 1 pretrain"
    assert warning == "a warning of Snakemake's"
    assert end == "10 of 17 jobs done, after 1 h 01 min"
    assert last == "Complete log(s): x.log"


def test_a_terminal_has_a_line_for_each_job_that_gives_way_to_what_is_said(tmp_path: Path) -> None:
    rows: History = [{"epochs": 200, "seconds": 90.0, "total": 0.5, "epoch": epoch} for epoch in (1, 2)]
    write_history(rows, tmp_path / "pretrain1.losses.csv")
    run = Run(tmp_path, Terminal())
    assert isinstance(run.stream, Terminal)
    run.plan()
    run.begin(1, "pretrain")
    run.begin(2, "preprocess")
    run.now = 12.0
    run.console._draw()
    run.console._draw()
    plan, words, *jobs = run.stream.screen()
    assert words.startswith("1 % done; 0 of 17")
    assert jobs == ["  brats/pretrain/1: epoch 2/200, 4 h 57 min left", "  brats/preprocess/2: 12.0 s"]
    run.tell(None, "a warning", level=30)
    assert run.stream.screen() == [plan, "a warning"]
    run.console._draw()
    run.end(2, 20.0)
    run.console._draw()
    assert run.stream.screen()[3:] == ["  brats/pretrain/1: epoch 2/200, 4 h 57 min left"]
    run.console.close()
    assert run.stream.screen() == [plan, "a warning", "1 of 17 jobs done, after 20.0 s"]


def test_many_jobs_do_not_fill_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "8")
    run = Run(tmp_path, Terminal())
    assert isinstance(run.stream, Terminal)
    run.plan()
    for number in range(9):
        run.begin(number, "score")
    run.console._draw()
    lines = run.stream.screen()[1:]
    assert len(lines) == 7
    assert lines[-1] == "  and 4 more"
    assert max(map(len, lines)) < 40


def test_a_failure_is_said_once_with_its_reason_and_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = Path("logs/brats/pretrain/1.log")
    log.parent.mkdir(parents=True)
    log.write_text("2026 epoch 1\nerror: training: the loss became nan; lower it\n")
    run = Run(tmp_path, Terminal())
    run.plan()
    run.begin(1, "pretrain")
    for _ in range(2):  # Snakemake repeats them at the end
        run.tell("job_error", level=40, jobid=1, rule_name="pretrain", log=[str(log)], input=["x" * 11000])
    run.console.close()
    assert run.stream.getvalue().splitlines()[1:] == [
        f"failed: pretrain, error: training: the loss became nan; lower it; see {log}",
        "0 of 17 jobs done, 1 failed, after 0.0 s",
    ]


def test_another_logger_is_left_alone(tmp_path: Path) -> None:
    logger = logging.Logger("snakemake")
    logger.addHandler(logging.NullHandler())
    assert take_over(logger, LIMITS, tmp_path, lambda *_: []) is None
    handler = logging.StreamHandler(io.StringIO())
    handler.name = HANDLER
    logger.addHandler(handler)
    assert take_over(logger, LIMITS, tmp_path, lambda *_: []) is logger.handlers[-1]
