"""Finding a cohort's patients, whatever its layout."""

from collections.abc import Sequence
from pathlib import Path

from mcd.cohorts import find_layout
from mcd.cohorts.layout import Fault, refuse
from mcd.subject import Subject


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
    chosen = find_layout(layout)
    if chosen.needs_sheet:
        assert sheet is not None, "the configuration's schema asks for it"
        return chosen.find(Path(sheet), list(modalities), fault, Path(folder) if folder else None)
    assert folder is not None, "the configuration's schema asks for it"
    return chosen.find(Path(folder), list(modalities), fault)
