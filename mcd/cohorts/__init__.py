"""What raw cohorts look like on disk: one file per layout, with a `Layout` that says how its patients are found."""

from pkgutil import resolve_name

from mcd.cohorts.layout import Layout
from mcd.errors import McdError
from mcd.registry import places_of

LAYOUTS = {
    "brats2018": "mcd.cohorts.brats2018:LAYOUT",
    "hecktor2020": "mcd.cohorts.hecktor2020:LAYOUT",
    "samplesheet": "mcd.cohorts.samplesheet:LAYOUT",
    **places_of("mcd.layouts"),
}
"""Name in the configuration -> where the `Layout` is; other packages add theirs by entry points of the group `mcd.layouts`."""


def find_layout(name: str) -> Layout:
    """Return a layout by its name; `McdError` for one that is not in LAYOUTS."""
    if name not in LAYOUTS:
        raise McdError(f"layout {name!r} is unknown; use one of {', '.join(LAYOUTS)}")
    layout = resolve_name(LAYOUTS[name])
    assert isinstance(layout, Layout)
    return layout


def simulated_layouts() -> list[str]:
    """Return the names of the layouts whose patients can be simulated."""
    return [name for name in LAYOUTS if find_layout(name).simulator]
