"""Finding a cohort's patients, whatever its layout."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mcd.cohorts import LAYOUTS, samplesheet
from mcd.subject import Fault, Subject, refuse


def find_subjects(
    layout: str,
    folder: str | Path | None,
    sheet: str | Path | None,
    modalities: Sequence[str],
    fault: Fault = refuse,
) -> list[Subject]:
    """The patients that are on disk, sorted by id, with `modalities` in this order.

    Args:
        fault: what is done with a mistake that concerns one patient; the default raises it. Where it returns, the patient is
            returned with the files that are there.

    Raises:
        McdError: where a layout finds none, or something is missing.
    """
    if layout == "samplesheet":
        assert sheet is not None, "the configuration's schema asks for it"
        return samplesheet.subjects(Path(sheet), list(modalities), Path(folder) if folder else None, fault)
    assert folder is not None, "the configuration's schema asks for it"
    return LAYOUTS[layout].subjects(Path(folder), list(modalities), fault)


def simulated_subjects(layout: str, folder: str | Path, modalities: Sequence[str], count: int) -> list[Subject]:
    """The patients that a simulated cohort will have, with the places of their files in the official layout."""
    subjects = [LAYOUTS[layout].files(Path(folder), f"SIM{number:04d}") for number in range(1, count + 1)]
    return [replace(subject, images={name: subject.images[name] for name in modalities}) for subject in subjects]
