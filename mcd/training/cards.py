"""Which of a machine's GPUs a job trains on: those that the fewest other jobs use. No torch.

Snakemake counts GPUs but hands none out, and every CUDA program begins with the first that it sees. So a job looks for itself,
before torch starts, and shows CUDA no other card than its own (`CUDA_VISIBLE_DEVICES`). A card is taken by a lock, which the
system releases when the job ends, however it ends. How many jobs run at once is the pool's matter (`--resources gpu=8`): where
there are more of them than cards, they share cards evenly.
"""

import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import IO

from mcd.locks import introduce, lock

log = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
_UUID = re.compile(r"\(UUID: ((?:GPU|MIG)-[^)]+)\)")


def visible_cards() -> list[str]:
    """The cards that a training may use, as `CUDA_VISIBLE_DEVICES` names them: those in it, or else all of this machine."""
    named = os.environ.get(VISIBLE)
    if named is None:
        return list(installed_cards())
    cards = [card.strip() for card in named.split(",") if card.strip()]
    return [] if "-1" in cards[:1] else cards  # CUDA stops at the first that is none


@cache
def installed_cards() -> tuple[str, ...]:
    """All cards by UUID, which means the same one in whatever order CUDA counts; of a card that is divided, its instances'."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=60, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = _UUID.findall(listed)
    instances = tuple(card for card in found if card.startswith("MIG"))
    return instances or tuple(found)


@contextmanager
def own_cards(number: int, device: str) -> Iterator[None]:
    """Show CUDA only the `number` cards that this job has to itself, or shares with as few others as possible.

    Nothing is changed where a device is named by its number or is the CPU, or where no more cards are to be seen than the
    job needs, as in a scheduler's job.

    Args:
        device: of the configuration, `compute.device`.
    """
    cards = visible_cards() if device in ("auto", "cuda") else []
    if not 0 < number < len(cards):
        yield
        return
    before = os.environ.get(VISIBLE)
    with ExitStack() as held:
        os.environ[VISIBLE] = ",".join(_take(cards, number, held))
        log.info("takes GPU %s of %d", os.environ[VISIBLE], len(cards))
        try:
            yield
        finally:
            if before is None:
                del os.environ[VISIBLE]
            else:
                os.environ[VISIBLE] = before


def _take(cards: Sequence[str], number: int, held: ExitStack) -> list[str]:
    """Lock `number` different cards until `held` is closed: free ones, then those that one other job uses, and so on."""
    folder = Path(tempfile.gettempdir()) / f"mcd-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    taken: list[str] = []
    for place in count():
        for card in cards:
            if card in taken:
                continue
            file = _locked(folder / f"{card.replace('/', '_')}.{place}")
            if file is not None:
                held.enter_context(file)
                taken.append(card)
            if len(taken) == number:
                return taken
    raise AssertionError  # count() has no end


def _locked(path: Path) -> IO[str] | None:
    """The open lock file, or None where another job holds it. It stays: removing it would let two jobs hold one place."""
    file = path.open("a+", encoding="utf-8")
    if lock(file) is None:
        introduce(file)
        return file
    file.close()
    return None
