"""What a layout of raw files is, the one thing that a new one has to give, and what all of them need to read one."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mcd.errors import McdError
from mcd.subject import Subject, check_id

Regions = Mapping[str, Sequence[int]]
"""Region -> the label codes that make it up."""

HEAD_BOX = "mcd.cohorts.head_box:head_box"
"""What finds the box of a head-and-neck patient, as text, so that image libraries are loaded only where boxes are found."""

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
    """Those that a patient has; none where the user's sheet, or a file of the cohort, names them."""
    needs_sheet: bool = False
    """Whether a sheet lists the files, rather than their names alone."""
    simulator: Simulator | None = None
    regions: Callable[[Path], Regions] | None = None
    """(folder) -> the regions as the publisher names them, for a first configuration; where there is none, `mcd init-cohort`
    goes by the codes in the labels."""
    find_box: str | None = None
    """(patient) -> the patient's box, as in `Subject`, or None, as the text `module:function`: for data that are published
    without boxes and need one. Asked once, by `mcd init-cohort`."""
    key: Callable[[Sequence[Subject]], list[tuple[str, str, str]]] | None = None
    """(patients) -> (id, whom the files name, where one lies) of those whose id is a number that the layout gave them. Of a
    layout that goes by what the files hold, and not by how they are called; None of any other."""


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


def patients_by_name(
    identifiers: Iterable[str], place: Callable[[str, str], Path], modalities: Sequence[str], fault: Fault
) -> list[Subject]:
    """Return patients whose files follow from their ids, each with the files that are there.

    Args:
        place: (id, modality or "label") -> where that file is by convention. A `.nii` is taken where the `.nii.gz` is missing.
    """
    found = []
    for identifier in sorted(identifiers):
        files = {name: _compressed_or_not(place(identifier, name)) for name in (*modalities, "label")}
        with faults(fault, identifier):
            check_id(identifier, str(files[modalities[0]].parent))
        for name in modalities:
            if not files[name].is_file():
                message = f"{files[name]}: no such file; add the patient's {name}, or remove the patient"
                fault(McdError(message), identifier)
        there = {name: path for name, path in files.items() if path.is_file()}
        label = there.pop("label", None)
        found.append(Subject(identifier, there, label=label))
    return found


def _compressed_or_not(path: Path) -> Path:
    plain = path.with_name(path.name.removesuffix(".gz"))
    return plain if plain.is_file() and not path.is_file() else path


def choose_modalities(asked: list[str] | None, offered: tuple[str, ...], layout: str) -> tuple[str, ...]:
    """Return the modalities asked for, in that order; all those offered for None; `McdError` for an unknown one."""
    for modality in asked or ():
        if modality not in offered:
            raise McdError(f"layout {layout} has no modality {modality!r}; use one of {', '.join(offered)}")
    return tuple(asked) if asked else offered
