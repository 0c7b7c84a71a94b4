"""What is cited for methods, cohorts, scores and software: keys of `references.bib`."""

import re
from collections.abc import Collection
from functools import cache
from pathlib import Path

from mcd.methods import ABLATIONS, METHODS

PAPER = "zhang2023multicondos"

METHOD_KEYS: dict[str, tuple[str, ...]] = {
    "fully_supervised": ("ronneberger2015unet",),
    "rotation": ("gidaris2018rotation",),
    "jigsaw": ("noroozi2016jigsaw",),
    "m_jigsaw": ("taleb2021multimodal",),
    "exemplar": ("dosovitskiy2014exemplar", "kolesnikov2019revisiting"),
    "cpc": ("oord2018cpc", "henaff2020cpc"),
    "simclr": ("chen2020simclr",),
    "byol": ("grill2020byol",),
    "swav": ("caron2020swav",),
    "gl": ("chaitanya2020globallocal",),
    "contig": ("taleb2022contig",),
    "mt": ("tarvainen2017meanteacher",),
    "dtml": ("zhang2021dtml",),
    "sass": ("li2020sass",),
    "multi_condos": (PAPER,),
    **dict.fromkeys(ABLATIONS, (PAPER,)),
    "p_gan": (PAPER, "isola2017pix2pix"),
    "cycle_gan": (PAPER, "zhu2017cyclegan"),
    "supervised_content": ("ronneberger2015unet",),
    "mt_control": ("tarvainen2017meanteacher",),
    "vicreg": ("bardes2022vicreg",),
    "mae": ("he2022mae", "wald2025mae"),
    "volume_fusion": ("wang2023volumefusion",),
    "brainmvp_lite": ("rui2025brainmvp",),
    "bcp": ("bai2023bcp",),
    "unimatch": ("yang2023unimatch",),
    "multi_condos_m": (PAPER,),
}
"""Method -> the papers that describe it. A method of another package has none here: its own documentation says what to cite."""

LAYOUT_KEYS = {
    "hecktor": ("andrearczyk2020hecktor",),
    "brats": ("menze2015brats", "bakas2017tcga", "bakas2018brats"),
}
"""Beginning of a layout's name -> what the challenge asks to be cited."""

METRIC_CITED = {"DSC": ("dice1945",), "BIoU": ("cheng2021boundaryiou",)}


def of_method(method: str) -> str:
    """A method's name with its citation."""
    keys = METHOD_KEYS.get(method)
    return f"{METHODS[method].label} {cite(*keys) if keys else '(cite its own paper)'}"


def of_layout(layout: str) -> tuple[str, ...]:
    """What a cohort in a challenge's layout cites; nothing for a general layout."""
    return next((keys for start, keys in LAYOUT_KEYS.items() if layout.startswith(start)), ())


def cite(*keys: str) -> str:
    """A citation as pandoc reads it: [@one; @other]."""
    return "[" + "; ".join(f"@{key}" for key in keys) + "]"


def cited(text: str) -> list[str]:
    """The keys that a text cites, each once, in order."""
    return list(dict.fromkeys(re.findall(r"@(\w+)", text)))


@cache
def references() -> dict[str, str]:
    """Key -> its entry."""
    text = Path(__file__).with_name("references.bib").read_text(encoding="utf-8")
    return {
        found[2]: found[0].strip() for found in re.finditer(r"^@(\w+)\{(\w+),.*?^\}", text, re.MULTILINE | re.DOTALL)
    }


def bibliography(keys: Collection[str]) -> str:
    """The BibTeX file of some keys."""
    return "\n\n".join(references()[key] for key in keys) + "\n"
