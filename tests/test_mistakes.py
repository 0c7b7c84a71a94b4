"""Every mistake of `mistakes.py` ends with one line that says what to do, and docs/reference/messages.md shows them all."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from mistakes import MISTAKES, PAGE, Scene, outcome, written


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    before = Path.cwd()
    folder = tmp_path_factory.mktemp("mistakes")
    os.chdir(folder)
    yield Scene(folder)
    os.chdir(before)


@pytest.mark.parametrize("command", [command for commands in MISTAKES.values() for command in commands])
def test_a_mistake_ends_with_one_line(command: str, scene: Scene) -> None:
    status, lines = outcome(scene, command)
    assert status in (1, 2), lines
    assert len(lines) == 1
    if status == 1:  # argparse has words of its own, which name the option
        assert lines[0].startswith("error: ")
        assert ": " in lines[0].removeprefix("error: ")
        assert "; " in lines[0], "without a remedy"
    assert "Traceback" not in lines[0]


def test_the_page_shows_them(tmp_path: Path) -> None:
    assert PAGE.read_text() == written(tmp_path), "python tests/mistakes.py writes it"
