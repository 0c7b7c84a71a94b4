"""Pre-training methods: one file each, and this registry."""

from typing import TYPE_CHECKING

from mcd.registry import find_class

if TYPE_CHECKING:
    from mcd.pretraining.base import Pretraining

REGISTRY: dict[str, str] = {
    "dsgan": "mcd.pretraining.dsgan:DSGAN",
    "rotation": "mcd.pretraining.rotation:Rotation",
    "jigsaw": "mcd.pretraining.jigsaw:Jigsaw",
    "m_jigsaw": "mcd.pretraining.m_jigsaw:MJigsaw",
    "exemplar": "mcd.pretraining.exemplar:Exemplar",
    "cpc": "mcd.pretraining.cpc:CPC",
    "simclr": "mcd.pretraining.simclr:SimCLR",
    "byol": "mcd.pretraining.byol:BYOL",
    "swav": "mcd.pretraining.swav:SwAV",
    "gl": "mcd.pretraining.gl:GL",
    "contig": "mcd.pretraining.contig:ContIG",
    "vicreg": "mcd.pretraining.vicreg:VICReg",
}
"""Algorithm -> where its class is. Text, so that reading the registry does not load torch."""


def pretraining_class(algorithm: str) -> "type[Pretraining]":
    """The `Pretraining` class of an algorithm."""
    return find_class(REGISTRY, algorithm)
