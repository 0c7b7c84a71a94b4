"""Kills at random moments, a full disk, files that vanish, other cores and paths: the tables stay the same to the last bit.

`make test-faults` runs the whole; `--faults` says how much. Every test makes the miniature (`configs/smoke.yaml`) and holds its
results against those of a run that nothing happened to.
"""

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from snakemake_run import ROOT, command, snakemake

pytestmark = pytest.mark.faults

TARGETS = ("results/table2.csv", "results/segmentations.png", "results/index.html")
RUN = ("--cores", "2", *TARGETS)
_COMPARED = ("results/*.csv", "results/*.png", "work/*/*/*/*/*/*/scores.csv", "work/*/qc/*.png", "splits/*/*.json")
_TEMPORARY = re.compile(r"^\.(?!snakemake|empty)")  # what writers name files that are not whole


def digests(folder: Path) -> dict[str, str]:
    """Path -> SHA-256 of everything whose bytes do not depend on time or machine."""
    found = {}
    for pattern in _COMPARED:
        for path in sorted(folder.glob(pattern)):
            found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def litter(folder: Path) -> list[str]:
    """Files and folders that a writer began and nobody finished or removed, and states of trainings that are done."""
    places = [path for name in ("work", "results", "splits", "data") for path in (folder / name).rglob("*")]
    left = [path for path in places if _TEMPORARY.match(path.name) and path.parent.name != "work"]
    left += [path for path in (folder / "work/.resume").rglob("*") if path.is_file()]
    return sorted({str(path.relative_to(folder)) for path in left})


def finish(folder: Path, *arguments: str, project: Path = ROOT) -> None:
    """Give the command again, as somebody would after a run that was killed; Snakemake's lock is taken off first."""
    snakemake("--unlock", folder=folder, project=project)
    run = snakemake(*(arguments or RUN), folder=folder, project=project)
    assert run.returncode == 0, run.stdout[-5000:]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    finish(folder)
    assert litter(folder) == []
    return folder


@pytest.fixture
def copy(undisturbed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(undisturbed, tmp_path / "run", symlinks=True))


def check_same(folder: Path, undisturbed: Path) -> None:
    expected, found = digests(undisturbed), digests(folder)
    assert len(expected) > 10
    assert found.keys() == expected.keys()
    assert [path for path in expected if found[path] != expected[path]] == []
    assert litter(folder) == []


@contextmanager
def running(folder: Path, log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Snakemake and its jobs as one process group."""
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command(*(arguments or RUN), folder=folder),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.wait()


def jobs_of(process: subprocess.Popen[bytes]) -> list[int]:
    """The processes below Snakemake's own."""
    import psutil

    try:
        return [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill(process: subprocess.Popen[bytes], how: str, rng: random.Random) -> None:
    """Kill everything, Snakemake alone (its jobs go on as orphans), or one job."""
    try:
        if how == "all":
            os.killpg(process.pid, signal.SIGKILL)
        elif how == "snakemake":
            os.kill(process.pid, signal.SIGKILL)
        elif jobs := jobs_of(process):
            os.kill(rng.choice(jobs), signal.SIGKILL)
    except ProcessLookupError:
        pass


def wait_for_group(group: int, seconds: float) -> bool:
    """Whether every process of a group has ended within so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_kills_at_random_moments(undisturbed: Path, tmp_path: Path, faults: int) -> None:
    """Of every stage: when a run has come to its end before all kills were spent, the next ones hit a run from the start."""
    rng = random.Random(0)
    started = time.monotonic()
    finish(tmp_path / "timed")
    check_same(tmp_path / "timed", undisturbed)
    whole = time.monotonic() - started
    spent = 0
    folder = tmp_path / "0"
    while spent < faults:
        done = False
        with running(folder, tmp_path / "log") as process:
            time.sleep(rng.uniform(1.0, max(4.0, whole / 5)))
            done = process.poll() is not None
            if not done:
                kill(process, rng.choice(["all", "all", "snakemake", "job"]), rng)
                spent += 1
                time.sleep(rng.choice([0.0, 0.0, 1.0]))
                if process.poll() is None:  # a job alone was killed: Snakemake would finish the others first
                    os.killpg(process.pid, signal.SIGKILL)
        snakemake("--unlock", folder=folder)
        if done and process.returncode == 0:
            check_same(folder, undisturbed)
            folder = tmp_path / str(spent)
    finish(folder)
    check_same(folder, undisturbed)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_run_that_is_asked_to_end_does(undisturbed: Path, tmp_path: Path, name: str, faults: int) -> None:
    rng = random.Random(1)
    for number in range(max(1, faults // 20)):
        folder = tmp_path / str(number)
        with running(folder, tmp_path / "log") as process:
            time.sleep(rng.uniform(3.0, 25.0))
            if process.poll() is None:
                os.killpg(process.pid, getattr(signal, name))
        assert wait_for_group(process.pid, 60)
        finish(folder)
        check_same(folder, undisturbed)


def test_a_random_file_is_deleted(copy: Path, undisturbed: Path, faults: int) -> None:
    """Whatever vanishes is made again, or was not needed; nothing that is there changes."""
    rng = random.Random(2)
    files = [
        path for name in ("work", "results", "data") for path in sorted((copy / name).rglob("*")) if path.is_file()
    ]
    for path in rng.sample(files, max(2, faults // 5)):
        path.unlink()
        shutil.rmtree(copy / "results")
        finish(copy)
        check_same(copy, undisturbed)


@pytest.mark.parametrize("cores", ["1", "8"])
def test_cores_change_nothing(undisturbed: Path, tmp_path: Path, cores: str) -> None:
    finish(tmp_path / "run", "--cores", cores, *TARGETS)
    check_same(tmp_path / "run", undisturbed)


def test_another_clone_gives_the_same(undisturbed: Path, tmp_path: Path) -> None:
    project = tmp_path / "another place" / "clone"
    kept = ("Snakefile", "rules", "workflow_scripts", "mcd", "config.yaml", "configs", "envs", "profiles")
    for name in kept:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, project / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            project.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, project / name)
    finish(tmp_path / "run", project=project)
    check_same(tmp_path / "run", undisturbed)


def test_two_runs_at_once_do_not_mix(undisturbed: Path, tmp_path: Path) -> None:
    """The second says that the folder is in use; the first goes on."""
    folder = tmp_path / "run"
    with running(folder, tmp_path / "log") as first:
        time.sleep(8)
        second = snakemake(*RUN, folder=folder)
        assert first.poll() is None
        assert second.returncode != 0
        assert "lock" in second.stdout.lower()
    assert first.returncode == 0, (tmp_path / "log").read_text()[-3000:]
    check_same(folder, undisturbed)


def test_a_full_disk_is_said_and_gone_on_from(undisturbed: Path, tmp_path: Path, faults: int) -> None:
    """Disks of many sizes, from one that holds nothing to one that holds nearly all; then the disk grows."""
    needed = sum(path.stat().st_size for path in undisturbed.rglob("*") if path.is_file())
    disk = tmp_path / "disk"
    disk.mkdir()
    sizes = max(2, faults // 5)
    for number in range(sizes):
        size = int(needed * (0.02 + 0.9 * number / sizes))
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip("a file system of its own takes root")
        try:
            run = snakemake(*RUN, folder=disk / "run")
            if run.returncode:
                assert "no space left" in run.stdout.lower(), run.stdout[-3000:]
                subprocess.run(["mount", "-o", "remount,size=2g", str(disk)], check=True)
                finish(disk / "run")
            check_same(disk / "run", undisturbed)
        finally:
            subprocess.run(["umount", "-l", str(disk)], check=False)
