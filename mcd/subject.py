"""One patient of a cohort, as files on disk, and the names that patients and modalities may have."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcd.errors import McdError

# What is safe in a path, in a Snakemake wildcard and in a table without quoting.
SUBJECT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
MODALITY = re.compile(r"[A-Za-z0-9]+")  # no hyphen: it joins the two modalities of a pair
ORIGIN = {"patient": "person", "centre": "centre", "scanner": "scanner"}
"""Column of a sheet -> field of a `Subject`, of what is known of where it comes from; none of it changes an image."""
# Columns and file names of our own that a modality must not take.
RESERVED = ("subject", "label", "regions", "mask", "box", "split", "info", *ORIGIN)


@dataclass(frozen=True)
class Subject:
    """A patient's files: volumes (NIfTI, NRRD, MetaImage) or DICOM series folders.

    `images` maps a modality to its file in the order of the cohort's modalities; the first one is the reference whose
    axes the common grid follows. `regions` are those that the label holds; None for all of the cohort's. `mask` is the region
    of the intensity statistics, everything outside it is background.
    `box` is (x1, x2, y1, y2, z1, z2) in mm, in LPS world coordinates (HECKTOR's bounding box). `split` is "train", "test" or
    "validation" where the user fixed it. A subject is a scan: `person` is whose, where one person has several; None for a
    person of its own. `centre` and `scanner` are where and with what it was taken, in the cohort's own words.
    """

    id: str
    images: dict[str, Path]
    label: Path | None = None
    mask: Path | None = None
    box: tuple[float, ...] | None = None
    split: str | None = None
    person: str | None = None
    centre: str | None = None
    scanner: str | None = None
    regions: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain types, which `from_json` turns back into the very same patient."""
        return {
            "id": self.id,
            "images": {modality: str(path) for modality, path in self.images.items()},
            "label": self.label and str(self.label),
            "mask": self.mask and str(self.mask),
            "box": self.box and list(self.box),
            "split": self.split,
            **{name: getattr(self, name) for name in ORIGIN.values() if getattr(self, name)},
            **({"regions": list(self.regions)} if self.regions else {}),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Subject":
        """Return the patient that `to_json` described."""
        return cls(
            content["id"],
            {modality: Path(path) for modality, path in content["images"].items()},
            label=Path(content["label"]) if content["label"] else None,
            mask=Path(content["mask"]) if content["mask"] else None,
            box=tuple(content["box"]) if content["box"] else None,
            split=content["split"],
            **{name: content.get(name) for name in ORIGIN.values()},
            regions=regions_in(content.get("regions") or ()),
        )


def origin_in(row: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a `Subject` that the `ORIGIN` columns of a sheet's row give."""
    return {field: row.get(column) or None for column, field in ORIGIN.items()}


def regions_in(names: Iterable[str]) -> tuple[str, ...] | None:
    """Return the `regions` of a `Subject` whose label holds these, each once; None, for all, where none is named."""
    return tuple(dict.fromkeys(names)) or None


def check_id(identifier: str, where: str) -> str:
    """Return `identifier`, or raise `McdError` (prefixed with `where`) unless it is safe in paths and wildcards."""
    if not SUBJECT_ID.fullmatch(identifier):
        raise McdError(
            f"{where}: subject id {identifier!r} is not allowed; use letters, digits, '_', '.' and '-', "
            "beginning with a letter or a digit"
        )
    return identifier


def check_modality(modality: str, where: str) -> str:
    """Return `modality`, or raise `McdError` (prefixed with `where`) unless it can name files and pairs."""
    if not MODALITY.fullmatch(modality) or modality.lower() in RESERVED:
        raise McdError(
            f"{where}: modality name {modality!r} is not allowed; use letters and digits only (T1CE, CT, PET), "
            f"and none of {', '.join(RESERVED)}"
        )
    return modality
