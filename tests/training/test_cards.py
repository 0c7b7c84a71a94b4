"""Jobs on one machine spread over its GPUs, here pretend ones that a pretend `nvidia-smi` lists."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mcd.training import cards
from mcd.training.cards import VISIBLE, own_cards, visible_cards

JOB = """
import os, sys
from mcd.training.cards import own_cards
with own_cards(int(sys.argv[1]), sys.argv[2]):
    print(os.environ.get("CUDA_VISIBLE_DEVICES", "all"), flush=True)
    sys.stdin.readline()
print(os.environ.get("CUDA_VISIBLE_DEVICES", "all"), flush=True)
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Eight cards, none of them used."""
    lines = "\n".join(f"GPU {number}: NVIDIA H200 (UUID: GPU-{number:04x}-aa)" for number in range(8))
    program = tmp_path / "bin/nvidia-smi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{lines}\nEND\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv(VISIBLE, raising=False)
    cards.installed_cards.cache_clear()
    yield program
    cards.installed_cards.cache_clear()


@contextmanager
def jobs(count: int, number: int = 1, device: str = "auto") -> Iterator[list[subprocess.Popen[str]]]:
    """Jobs that hold their cards until the block ends."""
    begin = [sys.executable, "-c", JOB, str(number), device]
    started = [subprocess.Popen(begin, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    yield started
    for job in started:
        job.communicate("\n")


def shown(job: subprocess.Popen[str]) -> list[str]:
    assert job.stdout is not None
    return job.stdout.readline().strip().split(",")


def test_eight_jobs_at_once_take_eight_cards_and_eight_more_share_them(machine: Path) -> None:
    with jobs(8) as first:
        taken = [shown(job)[0] for job in first]
        assert sorted(taken) == visible_cards() == [f"GPU-{number:04x}-aa" for number in range(8)]
        with jobs(8) as second:
            assert sorted(shown(job)[0] for job in second) == sorted(taken)
        with jobs(4) as third:  # those of the second eight are free again
            assert len({shown(job)[0] for job in third}) == 4


def test_a_killed_jobs_card_is_free(machine: Path) -> None:
    with jobs(8) as running:
        taken = [shown(job) for job in running]
        running[3].send_signal(signal.SIGKILL)
        running[3].wait()
        with jobs(1) as (next_one,):
            assert shown(next_one) == taken[3]


def test_a_training_on_several_cards_has_them_to_itself(machine: Path) -> None:
    with jobs(2, number=3) as running:
        taken = [card for job in running for card in shown(job)]
    assert Counter(taken).most_common(1)[0][1] == 1
    assert len(taken) == 6


def test_what_the_user_or_a_scheduler_set_is_respected(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE, "2, 5")
    with jobs(2) as running:
        assert sorted(shown(job)[0] for job in running) == ["2", "5"]
    monkeypatch.setenv(VISIBLE, "5")  # a scheduler's job: one card is to be seen
    with own_cards(1, "auto"):
        assert os.environ[VISIBLE] == "5"
    for none in ("", "-1"):
        monkeypatch.setenv(VISIBLE, none)
        assert visible_cards() == []
        with own_cards(1, "auto"):
            assert os.environ[VISIBLE] == none


@pytest.mark.parametrize(("number", "device"), [(1, "cuda:3"), (1, "cpu"), (0, "auto")])
def test_a_named_device_is_left_alone(machine: Path, number: int, device: str) -> None:
    with own_cards(number, device):
        assert VISIBLE not in os.environ


def test_it_is_as_before_afterwards(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with own_cards(1, "auto"):
        assert os.environ[VISIBLE] == "GPU-0000-aa"
    assert VISIBLE not in os.environ
    monkeypatch.setenv(VISIBLE, "3,4")
    with own_cards(1, "cuda"):
        assert os.environ[VISIBLE] == "3"
    assert os.environ[VISIBLE] == "3,4"


def test_a_card_that_is_divided_is_several(machine: Path) -> None:
    machine.write_text(
        "#!/bin/sh\necho 'GPU 0: NVIDIA A100 (UUID: GPU-1)'\n"
        "echo '  MIG 3g.20gb Device 0: (UUID: MIG-1)'\necho '  MIG 3g.20gb Device 1: (UUID: MIG-2)'\n"
    )
    assert visible_cards() == ["MIG-1", "MIG-2"]


def test_a_program_that_fails_means_none(machine: Path) -> None:
    machine.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed' >&2\nexit 9\n")
    assert visible_cards() == []
