"""Learning to segment: supervised fine-tuning and the semi-supervised baselines."""

from typing import TYPE_CHECKING

from mcd.registry import find_class

if TYPE_CHECKING:
    from mcd.segmentation.supervised import Segmentation

REGISTRY: dict[str, str] = {
    "supervised": "mcd.segmentation.supervised:Supervised",
    "mean_teacher": "mcd.segmentation.mean_teacher:MeanTeacher",
    "dtml": "mcd.segmentation.dtml:DTML",
    "sass": "mcd.segmentation.sass:SASS",
}
"""Algorithm -> where its class is. Text, so that reading the registry does not load torch."""


def segmentation_class(algorithm: str) -> "type[Segmentation]":
    """The `Segmentation` class of an algorithm."""
    return find_class(REGISTRY, algorithm)
