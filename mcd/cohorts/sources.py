"""Public data sets by name: where each is, on whose terms, how it is cited, and the file that keeps this beside the data."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mcd.errors import McdError
from mcd.files import read_json

FILE = "mcd_source.json"
"""Beside the data, from which model cards take it."""

FORMAT = "mcd-source/1"

_DECATHLON = (
    "Simpson et al., A large annotated medical image dataset for the development and evaluation of segmentation algorithms, "
    "arXiv:1902.09063, 2019; Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13, 4128, 2022"
)
_CC_BY_SA = "CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/)"


@dataclass(frozen=True)
class Source:
    """A data set.

    Attributes:
        page: where people find it.
        folder: what it unpacks to.
        url: of the archive; None where somebody has to click, `clicks` says on what.
        md5: of the archive; None where nobody published one, and what arrived is recorded only.
        size: of the archive in bytes, if known.
    """

    title: str
    page: str
    licence: str
    citation: str
    folder: str
    url: str | None = None
    md5: str | None = None
    size: int | None = None
    clicks: tuple[str, ...] = ()


# Addresses and checksums of the Decathlon: those of MONAI's `DecathlonDataset`, which has a copy of the archives on S3.
SOURCES = {
    "msd_brain": Source(
        "Medical Segmentation Decathlon, task 1: brain tumours (484 labelled patients; FLAIR, T1, T1 with contrast, T2)",
        "http://medicaldecathlon.com",
        _CC_BY_SA,
        _DECATHLON,
        "Task01_BrainTumour",
        "https://msd-for-monai.s3-us-west-2.amazonaws.com/Task01_BrainTumour.tar",
        "240a19d752f0d9e9101544901065d872",
        7608266240,
    ),
    "msd_prostate": Source(
        "Medical Segmentation Decathlon, task 5: prostate (32 labelled patients; T2, ADC)",
        "http://medicaldecathlon.com",
        _CC_BY_SA,
        _DECATHLON,
        "Task05_Prostate",
        "https://msd-for-monai.s3-us-west-2.amazonaws.com/Task05_Prostate.tar",
        "35138f08b1efaef89d7424d2bcc928db",
    ),
    "isles2022": Source(
        "ISLES 2022: stroke (250 labelled patients; DWI, ADC, FLAIR)",
        "https://doi.org/10.5281/zenodo.7153326",
        "as its page says (CC BY 4.0 when this was written)",
        "Hernandez Petzsche et al., ISLES 2022: A multi-center magnetic resonance imaging stroke lesion segmentation dataset, "
        "Scientific Data 9, 762, 2022",
        "ISLES-2022",
        clicks=("open the page, read the licence, and click Download beside the archive",),
    ),
    "hanseg": Source(
        "HaN-Seg: organs at risk in the head and neck (42 labelled patients; CT, T1)",
        "https://doi.org/10.5281/zenodo.7442914",
        "as its page says (CC BY-NC-ND 4.0 when this was written: not for commercial use, no derivatives)",
        "Podobnik et al., HaN-Seg: The head and neck organ-at-risk CT and MR segmentation dataset, Medical Physics 50(3), 2023",
        "HaN-Seg",
        clicks=(
            "open the page, read the licence, and click Download beside HaN-Seg.zip",
            "its organs are files of their own: join those that you want into one label map per patient",
        ),
    ),
    "autopet": Source(
        "FDG-PET-CT-Lesions, the data of autoPET (1014 studies; CT, PET)",
        "https://fdat.uni-tuebingen.de/records/wf9fy-txq84",
        "as its page says",
        "Gatidis et al., A whole-body FDG-PET/CT Dataset with manually annotated Tumor Lesions, Scientific Data 9, 601, 2022",
        "FDG-PET-CT-Lesions",
        clicks=("open the page, accept its terms, and download the archive",),
    ),
}


def find_source(name: str) -> Source:
    """Return a data set by name; `McdError` for one that is not in SOURCES."""
    if name not in SOURCES:
        raise McdError(f"{name}: no data set of this name is known; use one of {', '.join(SOURCES)}")
    return SOURCES[name]


def facts_of(source: Source, name: str) -> dict[str, Any]:
    """Return what the file beside the data says of a data set, apart from what arrived."""
    known = asdict(source)
    return {
        "format": FORMAT,
        "name": name,
        **{key: known[key] for key in ("title", "page", "licence", "citation", "url")},
    }


def read_source(folder: Path | None) -> dict[str, str] | None:
    """Return title, licence and citation of a cohort's data, as the file in its folder says; None where there is none."""
    path = folder / FILE if folder else None
    if path is None or not path.is_file():
        return None
    content = read_json(path)
    keys = ("title", "licence", "citation")
    if not isinstance(content, dict) or content.get("format") != FORMAT or not all(content.get(key) for key in keys):
        raise McdError(f"{path}: not a {FORMAT} file; remove it, or fetch the data again")
    return {key: str(content[key]) for key in keys}
