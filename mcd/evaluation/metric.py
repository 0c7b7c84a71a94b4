"""What a metric is; `mcd.evaluation.metrics` lists them. A metric of another package needs only this module."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """What a number means to a reader: its key, its name, and which direction is better."""

    key: str
    label: str
    higher_is_better: bool = True
    unit: str = ""
    decimals: int = 4  # as the paper prints
    heading: str = ""  # of a table's column, if not the key
    comparable: bool = True  # whether numbers of different columns are on one scale, and may be averaged


NEEDS = ("spacing_zyx",)
"""What a metric may ask for besides the two masks, by the name of its function's argument: the voxel spacing in mm."""


@dataclass(frozen=True, kw_only=True)
class Metric(Measure):
    """A measure that is computed from the ground truth and the prediction of one region of a patient.

    Attributes:
        function: of two boolean volumes (z, y, x), truth first, and of what `needs` names, by keyword; a number, or NaN where
            the score is undefined.
        definition: one line for the documentation.
        bounds: the smallest and the largest value.
        always_defined: whether the function never returns NaN, so that a score file with an empty cell is damaged.
        needs: names of `NEEDS`.
        version: raise it when `function` computes another number than before; the workflow then recomputes the scores, and
            trains nothing.

    Raises `ValueError` for a need that nothing provides.
    """

    function: Callable[..., float]
    definition: str
    bounds: tuple[float, float] = (0.0, 1.0)
    always_defined: bool = False
    needs: tuple[str, ...] = ()
    version: int = 1

    def __post_init__(self) -> None:
        if unknown := set(self.needs) - set(NEEDS):
            raise ValueError(
                f"metric {self.key}: nothing provides {', '.join(sorted(unknown))}; there is {', '.join(NEEDS)}"
            )
