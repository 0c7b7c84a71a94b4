"""What processes that were killed leave behind, and how it is told from what is still in use."""

import os
import re
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from mcd.digests import digest
from mcd.locks import holder_of

_TEMPORARY = re.compile(r"\.(\d+)-([0-9a-f]{8})-.*")


def temporary_prefix() -> str:
    """How the name of a temporary file begins: hidden, and with its writer, as `sweep` knows it."""
    return f".{os.getpid()}-{_place()}-"


def sweep(folder: Path) -> None:
    """Remove the temporary files and folders in a folder whose writers, on this machine, are no more."""
    for entry in os.scandir(folder):
        writer = _TEMPORARY.fullmatch(entry.name)
        if writer and writer[2] == _place() and not _runs(int(writer[1])):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with suppress(OSError):
                    os.unlink(entry.path)


def clear_states(folder: Path, kept: Iterable[str]) -> list[Path]:
    """Remove resume states that no training will take up, and folders that are empty then.

    Args:
        folder: of all states.
        kept: those of trainings that are still to come, relative to `folder`; a training may add `.` and more to its own. What
            a process is at is kept, too.

    Returns:
        The files that were removed.
    """
    removed = []
    folders = sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True)
    names = set(kept)
    for place in [*folders, folder] if folder.is_dir() else []:
        sweep(place)
        held = {path.name.removesuffix(".lock") for path in place.glob("*.lock") if holder_of(path)}
        for path in sorted(place.iterdir()):
            own = set(_beginnings(path.name))
            planned = {str(path.relative_to(folder).with_name(name)) for name in own}
            if path.is_file() and not (planned & names or own & held):
                path.unlink(missing_ok=True)
                removed.append(path)
        with suppress(OSError):  # not empty
            place.rmdir()
    return removed


def _beginnings(name: str) -> Iterator[str]:
    """A file's name, and what precedes each of its dots."""
    yield name
    while "." in name:
        name = name.rpartition(".")[0]
        if name:
            yield name


def _runs(number: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


@cache
def _place() -> str:
    """Where numbers of processes mean the same processes: the machine, and the container where there is one."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return digest([socket.gethostname().encode(), space.encode()])[:8]
