"""One training at a time for one state to resume from, and for what comes out of it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mcd.distributed.processes import of_first
from mcd.locks import alone


@contextmanager
def training_alone(resume: str | Path | None) -> Iterator[None]:
    """Hold the lock beside a state to resume from, `<resume>.lock`, in the first of the processes that train together.

    Where another training holds it, all wait until that one has ended. None is never held.
    """
    with ExitStack() as held:
        if resume is not None:
            of_first(lambda: held.enter_context(alone(f"{resume}.lock")))
        yield
