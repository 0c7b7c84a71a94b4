"""What raw cohorts look like on disk: a `Layout` says how the patients of each are found."""

from pkgutil import resolve_name

from mcd.cohorts.layout import Layout
from mcd.errors import McdError
from mcd.registry import places_of

LAYOUTS = {
    "brats2018": "mcd.cohorts.brats2018:LAYOUT",
    "brats2019": "mcd.cohorts.brats:BRATS2019",
    "brats2020": "mcd.cohorts.brats:BRATS2020",
    "brats2021": "mcd.cohorts.brats:BRATS2021",
    "brats2023": "mcd.cohorts.brats:BRATS2023",
    "brats2024": "mcd.cohorts.brats:BRATS2024",
    "hecktor2020": "mcd.cohorts.hecktor2020:LAYOUT",
    "hecktor2021": "mcd.cohorts.hecktor:HECKTOR2021",
    "hecktor2022": "mcd.cohorts.hecktor:HECKTOR2022",
    "hecktor2025": "mcd.cohorts.hecktor:HECKTOR2025",
    "dicom_export": "mcd.cohorts.dicom_export:LAYOUT",
    "bids": "mcd.cohorts.bids:LAYOUT",
    "nnunet": "mcd.cohorts.nnunet:LAYOUT",
    "msd": "mcd.cohorts.msd:LAYOUT",
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
