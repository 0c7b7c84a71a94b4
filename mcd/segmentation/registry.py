"""Methods that learn to segment, by name. Loads no torch: it says where the classes are."""

from pkgutil import resolve_name
from typing import TYPE_CHECKING

from mcd.registry import Algorithm, Baseline, added, find

if TYPE_CHECKING:
    from mcd.segmentation.options import SegmentationOptions
    from mcd.segmentation.supervised import Segmentation

_OPTIONS = "mcd.segmentation.options:"

BASELINES: dict[str, Baseline] = {
    "bcp": Baseline(
        "BCP", Algorithm("mcd.segmentation.bcp:BCP", f"{_OPTIONS}BCPOptions", unlabelled=True), "Semi-supervised"
    ),
    "unimatch": Baseline(
        "UniMatch",
        Algorithm("mcd.segmentation.unimatch:UniMatch", f"{_OPTIONS}UniMatchOptions", unlabelled=True),
        "Semi-supervised",
    ),
    **added("mcd.segmentation"),
}
"""Methods beyond the paper's tables that learn to segment from random weights: algorithm -> its row."""

REGISTRY: dict[str, Algorithm] = {
    "supervised": Algorithm("mcd.segmentation.supervised:Supervised", f"{_OPTIONS}SupervisedOptions"),
    "mean_teacher": Algorithm(
        "mcd.segmentation.mean_teacher:MeanTeacher", f"{_OPTIONS}MeanTeacherOptions", unlabelled=True
    ),
    "dtml": Algorithm("mcd.segmentation.dtml:DTML", f"{_OPTIONS}DTMLOptions", unlabelled=True),
    "sass": Algorithm("mcd.segmentation.sass:SASS", f"{_OPTIONS}SASSOptions", unlabelled=True),
    **{name: baseline.algorithm for name, baseline in BASELINES.items()},
}
"""Algorithm -> where its classes are. Text, so that reading the registry does not load torch."""


def segmentation_class(algorithm: str) -> "type[Segmentation]":
    """The `Segmentation` class of an algorithm."""
    found: type[Segmentation] = resolve_name(find(REGISTRY, algorithm).method)
    return found


def options_class(algorithm: str) -> "type[SegmentationOptions]":
    """The options of an algorithm; loads no torch."""
    found: type[SegmentationOptions] = resolve_name(find(REGISTRY, algorithm).options)
    return found
