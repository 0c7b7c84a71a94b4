"""What a state to resume from belongs to: a change of any input, of an option or of the code starts the training anew."""

import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch

from mcd.locks import alone
from mcd.pretraining.dsgan import DSGAN
from mcd.pretraining.options import PretrainingTask
from mcd.pretraining.run import pretrain
from mcd.segmentation.options import FinetuningTask
from mcd.segmentation.run import finetune
from mcd.segmentation.supervised import Supervised
from mcd.slices.options import Augmentation
from mcd.slices.splits import read_split, write_split
from mcd.testing.cohort import make_tiny_cohort
from mcd.testing.interruption import epochs_begun, killed_in
from mcd.training import loop
from mcd.training.checkpoint import load_checkpoint, save_checkpoint
from mcd.training.schedule import Compute, Schedule
from mcd.version import code_version, foreign_sources

EPOCHS = 3
KILLED = 2  # in the last epoch, so the state has two


@dataclass
class Job:
    """A training and its inputs, which a test may change."""

    start: Callable[..., Any]
    method: type
    task: Any
    shards: list[Path]
    split: Path
    folder: Path
    more: dict[str, Any]

    @property
    def resume(self) -> Path:
        return self.folder / "resume"

    def run(self) -> list[int]:
        """Train; the epochs that were begun."""
        with epochs_begun(self.method) as begun:
            self.start(
                self.task,
                shards=self.shards,
                split=self.split,
                output=self.folder / "out.pt",
                resume=self.resume,
                **self.more,
            )
        return begun


@pytest.fixture(autouse=True)
def _saves_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*positional: Any, **named: Any) -> Any:
        return loop.train(*positional, **named, save_every=0.0)

    monkeypatch.setattr("mcd.pretraining.run.train", train)
    monkeypatch.setattr("mcd.segmentation.run.train", train)


@pytest.fixture
def pretraining(tmp_path: Path) -> Job:
    cohort = make_tiny_cohort(tmp_path)
    task = PretrainingTask(
        algorithm="dsgan",
        options={"discriminator_filters": 4},
        modalities=("A", "B"),
        filters=4,
        epochs=EPOCHS,
        batch_size=6,
        steps_per_epoch=2,
    )
    return Job(pretrain, DSGAN, task, cohort.shards, cohort.split, tmp_path, {})


@pytest.fixture
def finetuning(tmp_path: Path, pretraining: Job) -> Job:
    pretrained = tmp_path / "pretrained.pt"
    pretrain(
        pretraining.task.model_copy(update={"epochs": 1}),
        shards=pretraining.shards,
        split=pretraining.split,
        output=pretrained,
    )
    task = FinetuningTask(
        modality="A",
        regions={"WT": [1, 2]},
        label_ratio=0.5,
        filters=4,
        schedule=Schedule(epochs=EPOCHS, batch_size=4, steps_per_epoch=2),
    )
    return Job(finetune, Supervised, task, pretraining.shards, pretraining.split, tmp_path, {"pretrained": pretrained})


@pytest.fixture(params=["pretraining", "finetuning"])
def killed(request: pytest.FixtureRequest) -> Job:
    """Either, killed once."""
    job: Job = request.getfixturevalue(request.param)
    with killed_in(KILLED, job.method):
        job.run()
    return job


@pytest.fixture
def killed_finetuning(finetuning: Job) -> Job:
    with killed_in(KILLED, Supervised):
        finetuning.run()
    return finetuning


def change_a_slice(job: Job, dataset: str, subject: int = 0) -> None:
    """Another value in one voxel of one patient of the first shard."""
    with h5py.File(job.shards[0], "r+") as file:
        row = int((file["subject"][:] == subject).nonzero()[0][3])
        slices = file[dataset][row]
        slices[..., 16, 16] = 1 - slices[..., 16, 16]
        file[dataset][row] = slices


def starts_anew(job: Job, caplog: pytest.LogCaptureFixture, named: str) -> None:
    """It trains all epochs, and the log says why."""
    with caplog.at_level(logging.WARNING):
        assert job.run() == list(range(EPOCHS))
    said = [message for message in caplog.messages if "not taken up, the training starts anew" in message]
    assert len(said) == 1
    assert named in said[0]


def test_unchanged_it_goes_on(killed: Job) -> None:
    assert killed.run() == [KILLED]


def test_moved_inputs_are_the_same_inputs(killed: Job, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in (*killed.shards, killed.split):
        shutil.copy(path, moved)
    killed.shards = [moved / shard.name for shard in killed.shards]
    killed.split = moved / killed.split.name
    assert killed.run() == [KILLED]


def test_changed_slices(killed: Job, caplog: pytest.LogCaptureFixture) -> None:
    change_a_slice(killed, "images")
    starts_anew(killed, caplog, "slices.content.p0")


def test_changed_labels(killed_finetuning: Job, caplog: pytest.LogCaptureFixture) -> None:
    change_a_slice(killed_finetuning, "labels")
    starts_anew(killed_finetuning, caplog, "slices.content.p0")


def test_labels_that_a_training_does_not_read_change_nothing(pretraining: Job, finetuning: Job) -> None:
    for job, subject in (
        (pretraining, 0),
        (finetuning, 2),
    ):  # a pre-training reads none, a fine-tuning the labelled half
        with killed_in(KILLED, job.method):
            job.run()
        change_a_slice(job, "labels", subject)
        assert job.run() == [KILLED]


def test_other_training_patients(killed: Job, caplog: pytest.LogCaptureFixture) -> None:
    """As many as before."""
    split = read_split(killed.split)
    write_split(
        replace(split, train=[split.test[0], *split.train[1:]], test=[split.train[0], split.test[1]]), killed.split
    )
    starts_anew(killed, caplog, "slices.subjects")


def test_other_labelled_patients(killed_finetuning: Job, caplog: pytest.LogCaptureFixture) -> None:
    """The same train, and as many of them are labelled."""
    split = read_split(killed_finetuning.split)
    write_split(replace(split, train=split.train[::-1]), killed_finetuning.split)
    starts_anew(killed_finetuning, caplog, "slices.subjects")


def test_other_test_patients_change_nothing(killed: Job) -> None:
    split = read_split(killed.split)
    write_split(replace(split, test=split.test[::-1]), killed.split)
    assert killed.run() == [KILLED]


def test_changed_pretrained_weights(killed_finetuning: Job, caplog: pytest.LogCaptureFixture) -> None:
    """Under the same name, by the same options."""
    path = killed_finetuning.more["pretrained"]
    checkpoint = load_checkpoint(path)
    checkpoint.weights["A"]["encoder.0.0.weight"][0, 0, 0, 0] += 1e-6
    save_checkpoint(checkpoint, path)
    starts_anew(killed_finetuning, caplog, "training.pretrained_weights")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"augmentation": Augmentation(rotation=3.0)}, "training.augmentation.rotation"),
        ({"schedule": Schedule(epochs=EPOCHS, batch_size=4, steps_per_epoch=2, learning_rate=1e-4)}, "learning_rate"),
        ({"seed": 1}, "training.seed"),
        ({"depth": 1}, "training.depth"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_changed_option(
    killed_finetuning: Job, changed: dict[str, Any], named: str, caplog: pytest.LogCaptureFixture
) -> None:
    killed_finetuning.task = killed_finetuning.task.model_copy(update=changed)
    starts_anew(killed_finetuning, caplog, named)


def test_another_precision(killed: Job, caplog: pytest.LogCaptureFixture) -> None:
    killed.more["compute"] = Compute(precision="bf16")
    starts_anew(killed, caplog, "compute.precision")


def test_what_decides_no_number_changes_nothing(killed: Job) -> None:
    killed.more |= {"compute": Compute(precision="fp32", memory_limit_gb=0), "about": {"cohort": "renamed"}}
    assert killed.run() == [KILLED]


def test_other_code(killed: Job, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcd.training.loop.code_version", lambda: "0.1.0+00000000")
    starts_anew(killed, caplog, "code.mcd")


def test_a_state_of_an_earlier_version(killed: Job, caplog: pytest.LogCaptureFixture) -> None:
    (path,) = killed.folder.glob("resume*")
    torch.save({**torch.load(path), "identity": '{"method": {}, "seed": 0}'}, path)
    starts_anew(killed, caplog, "it was of another code")


def test_every_change_of_the_package_is_another_version(tmp_path: Path) -> None:
    package = tmp_path / "mcd"
    shutil.copytree(Path(loop.__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__"))

    def version() -> str:
        line = [sys.executable, "-c", "from mcd.version import code_version; print(code_version())"]
        return subprocess.run(
            line,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    assert version() == code_version()
    with (package / "losses/contrastive.py").open("a") as file:
        file.write("# \n")
    changed = version()
    assert changed != code_version()
    assert changed.partition("+")[0] == code_version().partition("+")[0]


def test_a_method_from_outside_brings_its_own_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change in any file of its package counts, of `mcd` and of torch none."""
    package = tmp_path / "stranger"
    package.mkdir()
    (package / "__init__.py").write_text("from stranger.net import Net\n")
    (package / "net.py").write_text("from torch import nn\nclass Net(nn.Module):\n    pass\n")
    (package / "loss.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    import stranger

    before = foreign_sources((stranger.Net, DSGAN))
    assert set(before) == {"stranger"}
    (package / "loss.py").write_text("WEIGHT = 2\n")
    assert foreign_sources((stranger.Net,)) != before


HOLDER = """
import sys, time
from mcd.locks import alone
with alone(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of the state `resume` in `tmp_path`."""
    line = [sys.executable, "-c", HOLDER, str(tmp_path / "resume.lock")]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_two_processes_never_train_one(
    finetuning: Job, holder: subprocess.Popen[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The second says who is at it, and waits; once that one is killed, it goes on."""

    def kill_when_told(words: str) -> None:
        assert not (finetuning.folder / "out.pt").exists()
        told.append(words)
        holder.kill()

    told: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mcd.training.alone.alone", lambda path: alone(path, kill_when_told))
        assert finetuning.run() == list(range(EPOCHS))
    (words,) = told
    assert re.search(rf"resume\.lock: still worked on by process {holder.pid} on .*, since 20.*; waiting", words)
    assert not (finetuning.folder / "resume.lock").exists()


def test_a_lock_that_was_removed_while_it_was_waited_for_is_not_taken(tmp_path: Path) -> None:
    """Three processes come and go; at no time do two hold it."""
    worker = """
import os, sys
from mcd import locks
locks._PAUSE = 0
for _ in range(100):
    with locks.alone(sys.argv[1], lambda words: None):
        os.close(os.open(sys.argv[2], os.O_CREAT | os.O_EXCL))  # fails where another is inside
        os.unlink(sys.argv[2])
"""
    line = [sys.executable, "-c", worker, str(tmp_path / "lock"), str(tmp_path / "inside")]
    processes = [subprocess.Popen(line) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]


def test_a_child_that_outlives_its_parent_keeps_the_lock(tmp_path: Path) -> None:
    parent = """
import subprocess, sys
from mcd.locks import introduce, lock
file = open(sys.argv[1], "a+")
assert lock(file) is None
introduce(file)
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
child = subprocess.Popen(sleep, pass_fds=[file.fileno()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(child.pid, flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", parent, str(tmp_path / "lock")], capture_output=True, text=True, check=True
    )
    child = int(done.stdout)
    told: list[str] = []

    def kill_when_told(words: str) -> None:
        told.append(words)
        os.kill(child, 9)

    with alone(tmp_path / "lock", kill_when_told):
        assert len(told) == 1
