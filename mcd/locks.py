"""One process at a time: a lock on a file, which the system releases when its holder ends, however it ends.

The lock is `flock`'s: of the open file, which processes that are started with it inherit. It holds between machines where
the file system has such locks (docs/how_to/clusters.md); where it has none, nothing is locked, and a warning says so.
"""

import fcntl
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

_PAUSE = 0.2  # seconds between two tries


def lock(file: IO[str]) -> str | None:
    """Lock a file that is open for reading and writing, until all who inherit it have closed it or ended.

    Returns:
        None; or, where it is another's, the words in which that one introduced itself (`introduce`).
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        file.seek(0)
        return file.readline().strip() or "another process"
    except OSError as error:
        log.warning("%s: cannot be locked (%s); let no other process work on the same", file.name, error)
    return None


def introduce(file: IO[str]) -> None:
    """Replace what is in a locked file by one line on who has locked it."""
    file.truncate(0)
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    print(f"process {os.getpid()} on {socket.gethostname()}, since {since}", file=file, flush=True)


def hold(path: Path) -> IO[str] | None:
    """Lock a file until this process ends, or closes what is returned; None where another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+", encoding="utf-8")
    if lock(file) is not None:
        file.close()
        return None
    introduce(file)
    return file


def holder_of(path: Path) -> str | None:
    """Who holds a lock file now, in the words in which that one introduced itself; None where nobody does."""
    try:
        with path.open("r+", encoding="utf-8") as file:
            return lock(file)
    except OSError:  # it vanished, or is not ours to open
        return None


def _is_still(path: Path, file: IO[str]) -> bool:
    """Whether a path still names an open file, and was not removed, or made anew by another process."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


@contextmanager
def alone(path: str | Path, say: Callable[[str], None] = log.warning) -> Iterator[None]:
    """Do what is in the block while holding the lock file `path`, which is removed at the end; wait where another holds it.

    Args:
        say: is told once, in a sentence, whom it waits for and what to do.
    """
    file = _taken(Path(path), say)
    try:
        yield
    finally:
        Path(path).unlink(missing_ok=True)
        file.close()


def _taken(path: Path, say: Callable[[str], None]) -> IO[str]:
    """The locked file. One that was removed between being opened and being locked is nobody's: the next try makes its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    said = False
    while True:
        file = path.open("a+", encoding="utf-8")
        holder = lock(file)
        if holder is None and _is_still(path, file):
            introduce(file)
            return file
        file.close()
        if holder is not None:
            if not said:
                say(
                    f"{path}: still worked on by {holder}; waiting for it to end (to go on at once, stop it: `kill` its number)"
                )
            said = True
            time.sleep(_PAUSE)
