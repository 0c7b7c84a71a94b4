"""The metrics by which a patient is scored. Another metric takes one function and one entry of `METRICS`.

Scoring, score files, tables, model cards, the page and the rules' parameters take their metrics from here. Nothing here loads
torch or pandas.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mcd.evaluation.metric import Metric
from mcd.evaluation.overlap import Mask, boundary_iou, dsc, ppv, sensitivity
from mcd.evaluation.surfaces import hausdorff95
from mcd.registry import added

METRICS: tuple[Metric, ...] = (
    Metric(
        key="DSC",
        label="Dice similarity coefficient",
        function=dsc,
        always_defined=True,
        definition="Dice similarity coefficient 2TP / (2TP + FP + FN)",
    ),
    Metric(key="Sen", label="Sensitivity", function=sensitivity, definition="sensitivity TP / (TP + FN)"),
    Metric(
        key="PPV",
        label="Positive predictive value",
        function=ppv,
        definition="positive predictive value TP / (TP + FP)",
    ),
    Metric(
        key="HD95",
        label="95 % Hausdorff distance",
        higher_is_better=False,
        unit="mm",
        decimals=2,
        function=hausdorff95,
        always_defined=True,
        needs=("spacing_zyx",),
        bounds=(0.0, math.inf),
        definition="symmetric 95 % Hausdorff distance in mm between surface voxels, at the volume's spacing: the larger of the "
        "two directed 95th percentiles",
    ),
    Metric(
        key="BIoU",
        label="Boundary intersection over union",
        function=boundary_iou,
        always_defined=True,
        definition="Boundary IoU slice by slice, summed over the volume; boundary width 2 % of the slice diagonal, rounded, at "
        "least one voxel",
    ),
    *added("mcd.metrics").values(),
)
"""In the order of a score file's columns; other packages add theirs by entry points of the group `mcd.metrics`."""

METRIC_KEYS = [metric.key for metric in METRICS]
METRIC_VERSIONS = {metric.key: metric.version for metric in METRICS}
"""A parameter of the scoring rules: they rerun when it changes, and for no other change in this module."""


def score_subject(
    truth: Mapping[str, Mask | None], prediction: Mapping[str, Mask], spacing_zyx: Sequence[float]
) -> list[dict[str, Any]]:
    """Score one patient: a row (`region` and every metric) for each region, in the order of `truth`.

    `truth` and `prediction` map a region to a boolean volume (z, y, x) on one grid; `spacing_zyx` is in mm. An undefined
    score is NaN, as are all of a region whose truth is None: nobody has drawn it. Raises `ValueError` where regions or shapes
    differ, since no score of such a pair means anything.
    """
    if truth.keys() != prediction.keys():
        raise ValueError(f"regions differ: truth has {sorted(truth)}, prediction has {sorted(prediction)}")
    provided = {"spacing_zyx": spacing_zyx}
    rows = []
    for region, there in truth.items():
        found = prediction[region]
        if there is None:
            rows.append({"region": region, **dict.fromkeys(METRIC_KEYS, math.nan)})
            continue
        if there.shape != found.shape or there.dtype != bool or found.dtype != bool:
            raise ValueError(
                f"{region}: truth is {there.dtype}{there.shape}, prediction is {found.dtype}{found.shape}; "
                "two boolean volumes of one shape are needed"
            )
        scores = {
            metric.key: metric.function(there, found, **{name: provided[name] for name in metric.needs})
            for metric in METRICS
        }
        rows.append({"region": region, **scores})
    return rows
