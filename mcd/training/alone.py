"""One training at a time for one state to resume from, and for what comes out of it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mcd.distributed.processes import of_first
from mcd.errors import McdError
from mcd.locks import alone


@contextmanager
def training_alone(resume: str | Path | None) -> Iterator[None]:
    """Hold the lock beside a state to resume from, `<resume>.lock`, in the first of the processes that train together.

    Raises:
        McdError: in all of them, where another training holds it; None is never held.
    """
    with ExitStack() as held:

        def take() -> str | None:
            try:
                held.enter_context(alone(f"{resume}.lock"))
            except McdError as error:
                return str(error)
            return None

        if resume is not None and (problem := of_first(take)):
            raise McdError(problem)
        yield
