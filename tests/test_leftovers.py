"""What killed processes leave behind is removed; what is in use is not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mcd.files import atomic_path, write_json
from mcd.leftovers import clear_states, sweep, temporary_prefix
from mcd.locks import alone

KILLED = """
import os, signal, sys
from pathlib import Path
from mcd.files import atomic_path
with atomic_path(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_next_writer_in_a_folder_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "one.json")], check=False)
    assert killed.returncode < 0
    (litter,) = names(tmp_path)
    assert litter.startswith(".")
    write_json(tmp_path / "two.json", {})
    assert names(tmp_path) == ["two.json"]


def test_what_a_living_process_or_another_machine_writes_is_left(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "own.json") as temporary:
        _, place = temporary_prefix()[1:-1].split("-")
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        others = [f".{os.getppid()}-{place}-x-a", f".{dead.pid}-{'0' * 8}-x-a", ".1-x", ".hidden", f".{dead.pid}-name"]
        for name in others:
            (tmp_path / name).write_text("")
        (tmp_path / f".{dead.pid}-{place}-x-folder").mkdir()
        (tmp_path / f".{dead.pid}-{place}-x-folder/a").write_text("")
        sweep(tmp_path)
        assert sorted(os.listdir(tmp_path)) == sorted([*others, temporary.name])
    assert (tmp_path / "own.json").exists()


@pytest.fixture
def states(tmp_path: Path) -> Path:
    for name in (
        "work/lung/single/m/CT/labels5/seed0/model.pt",
        "work/lung/single/m/CT/labels12.5/seed0/model.pt",
        "lung/CT-PET/p/seed0.CT-PET",
        "lung/CT-PET/p/seed0.CT-PET.lock",
        "lung/CT-PET/p/seed1.CT",
        "lung/CT-PET/p/seed10.CT",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return tmp_path


def test_states_of_trainings_to_come_are_kept_and_all_others_removed(states: Path) -> None:
    kept = ["work/lung/single/m/CT/labels12.5/seed0/model.pt", "lung/CT-PET/p/seed1"]
    removed = clear_states(states, kept)
    assert names(states) == ["lung/CT-PET/p/seed1.CT", kept[0]]
    assert len(removed) == 4
    assert not (states / "work/lung/single/m/CT/labels5").exists()
    assert len(clear_states(states, [])) == 2
    assert not states.exists()
    assert clear_states(states, []) == []


def test_a_state_that_a_process_is_at_is_kept(states: Path) -> None:
    with alone(states / "lung/CT-PET/p/seed1.lock"):
        clear_states(states, [])
        assert names(states) == ["lung/CT-PET/p/seed1.CT", "lung/CT-PET/p/seed1.lock"]
