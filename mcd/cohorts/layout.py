"""What a layout of raw files is, the one thing that a new one has to give, and what all of them need to read one."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mcd.errors import McdError
from mcd.subject import Subject

WriteFile = Callable[[list[Subject], Path], None]


@dataclass(frozen=True)
class Simulator:
    """How patients of a layout are simulated, and where their files go.

    What draws stands here as the text `module:function`, so that image libraries are loaded only where patients are drawn.
    """

    files: Callable[[Path, str], Subject]
    """(folder, id) -> the patient with the places of its files, existing or not, each made of the folder and the id alone."""
    draw: str
    """(id, *, seed, noise, spacing: scanner -> (x, y, z) mm) -> name -> image, of every modality and `label`."""
    scanners: tuple[str, ...]
    """Those whose spacing can be set."""
    box: str | None = None
    """(id, *, seed) -> the patient's box, as in `Subject`. Asked when the workflow is read: quick, and numpy at most."""
    cohort_files: Mapping[str, WriteFile] = field(default_factory=dict)
    """File name -> what writes it from all patients, for files that stand once beside the patients."""


@dataclass(frozen=True)
class Layout:
    """How the raw files of a cohort lie on disk. One file of `mcd/cohorts` each, and a line in `LAYOUTS`."""

    find: Callable[..., list[Subject]]
    """The patients on disk, sorted by id: `find(folder, modalities=None, fault=refuse)`, or with `needs_sheet`
    `find(sheet, modalities=None, fault=refuse, root=folder or None)`. None are all modalities. A mistake that concerns one
    patient goes to `fault`, and where that returns, the patient has the files that are there; other mistakes raise `McdError`,
    as does a folder that has another layout."""
    modalities: tuple[str, ...] = ()
    """Those that a patient has; none where the user's sheet names them."""
    needs_sheet: bool = False
    """Whether a sheet lists the files, rather than their names alone."""
    simulator: Simulator | None = None


Fault = Callable[[McdError, str], None]
"""What a layout does with a mistake and the id of the patient that it concerns ("" for the cohort)."""


def refuse(error: McdError, subject: str = "") -> None:
    """The `Fault` of the workflow, where the first mistake is the end. `mcd check-cohort` has one that notes it instead."""
    raise error


@contextmanager
def faults(fault: Fault, subject: str = "") -> Iterator[None]:
    """Pass an `McdError` raised inside the block to `fault`."""
    try:
        yield
    except McdError as error:
        fault(error, subject)


def choose_modalities(asked: list[str] | None, offered: tuple[str, ...], layout: str) -> tuple[str, ...]:
    """Return the modalities asked for, in that order; all those offered for None; `McdError` for an unknown one."""
    for modality in asked or ():
        if modality not in offered:
            raise McdError(f"layout {layout} has no modality {modality!r}; use one of {', '.join(offered)}")
    return tuple(asked) if asked else offered
