"""Scores of the test patients, from predictions and the shards' labels (paper Sec. V, "Evaluation"). No torch.

Separate from predicting, so that another metric needs neither training nor a GPU.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mcd.errors import McdError
from mcd.evaluation.metrics import METRICS, score_subject
from mcd.evaluation.score_rows import PERSON, VERSION, write_scores
from mcd.prediction.fusion import THRESHOLD, fuse
from mcd.prediction.masks import (
    predicted_length,
    predicted_regions,
    predicted_version,
    read_predictions,
    read_probabilities,
)
from mcd.slices.shards import Shards
from mcd.slices.splits import split_to_test
from mcd.version import code_version, lineage

log = logging.getLogger(__name__)

Masks = Mapping[str, np.ndarray]
"""Region -> (z, y, x) bool."""


def score_predictions(
    *,
    predictions: str | Path,
    shards: Sequence[str | Path],
    split: str | Path,
    scores: str | Path,
    columns: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Score each test subject's predicted volume.

    Args:
        predictions: HDF5 of `mcd.prediction.run.predict_test`.
        scores: CSV to write, one row per subject and region.
        columns: of every row: those of `mcd.evaluation.score_rows.IDENTITY` except subject and region.

    Returns:
        The rows of `scores`.

    Raises:
        McdError: if `predictions` lacks a test subject, or has it on another grid than the shards.
    """
    regions = predicted_regions(predictions)
    columns = {
        **columns,
        VERSION: lineage(predicted_version(predictions), code_version()),
        **predicted_length(predictions),
    }
    rows: list[dict[str, Any]] = []
    with Shards(shards) as opened:
        for subject, who in _tested(split):
            truth = true_masks(opened, subject, regions)
            masks = _masks(predictions, subject, truth)
            spacing = opened.subject(subject).spacing
            rows += [{**columns, **who, **row} for row in score_subject(truth, masks, spacing)]
    write_scores(rows, scores)
    for metric in METRICS:
        log.info("mean over all patients and regions: %s %.*f", metric.key, metric.decimals, _mean(rows, metric.key))
    return rows


def score_fused(
    *,
    predictions: Sequence[str | Path],
    shards: Sequence[str | Path],
    split: str | Path,
    scores: str | Path,
    columns: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Score two modalities' predictions, each alone and fused (beyond the paper).

    The single networks are scored again, by the code that scores the fused ones, so that everything compared is in one file.

    Args:
        predictions: HDF5 of two networks with the same regions, with probabilities, in the order of the pair.
        scores: CSV to write, one row per way, subject and region.
        columns: as in `score_predictions`; `method` becomes `<method>/first`, `/second`, `/mean` or `/staple`.

    Returns:
        The rows of `scores`.

    Raises:
        McdError: as `score_predictions`; also if the networks' regions differ, or probabilities were not kept.
    """
    first, second = predictions
    regions = predicted_regions(first)
    if (others := predicted_regions(second)) != regions:
        raise McdError(f"{second}: predicts {others}, {first} {regions}; fuse networks of one kind")
    columns = {**columns, VERSION: lineage(*map(predicted_version, predictions), code_version())}
    rows: list[dict[str, Any]] = []
    with Shards(shards) as opened:
        for subject, who in _tested(split):
            truth = true_masks(opened, subject, regions)
            masks = [np.stack(list(_masks(path, subject, truth).values())) for path in predictions]
            probabilities = [read_probabilities(path, subject) for path in predictions]
            ways = {
                "first": masks[0],
                "second": masks[1],
                "mean": fuse(probabilities, "mean") >= THRESHOLD,
                "staple": fuse(masks, "staple") >= THRESHOLD,
            }
            spacing = opened.subject(subject).spacing
            for way, found in ways.items():
                own = {**columns, "method": f"{columns['method']}/{way}", **who}
                scored = score_subject(truth, dict(zip(regions, found, strict=True)), spacing)
                rows += [{**own, **row} for row in scored]
    write_scores(rows, scores)
    return rows


def _tested(split: str | Path) -> list[tuple[str, dict[str, str]]]:
    """The test subjects, each with the columns that say who it is; their persons stand there if any is not its own."""
    parts = split_to_test(split)
    persons = {subject: parts.person(subject) for subject in parts.test}
    named = any(subject != person for subject, person in persons.items())
    return [
        (subject, {"subject": subject, **({PERSON: person} if named else {})}) for subject, person in persons.items()
    ]


def true_masks(shards: Shards, subject: str, regions: Mapping[str, Sequence[int]]) -> Masks:
    """A subject's labels as one mask per region, in the order of `regions` (name -> label codes)."""
    labels = shards.read(subject, "labels")
    return {region: np.isin(labels, codes) for region, codes in regions.items()}


def _masks(predictions: str | Path, subject: str, truth: Masks) -> Masks:
    """A subject's predicted masks, on the grid of the truth."""
    masks = read_predictions(predictions, subject)
    for region, mask in masks.items():
        if mask.shape != truth[region].shape:
            raise McdError(
                f"{predictions}: {subject} is {mask.shape}, its slices are {truth[region].shape}; delete it to regenerate it"
            )
    return masks


def _mean(rows: Sequence[Mapping[str, Any]], key: str) -> float:
    defined = [row[key] for row in rows if not math.isnan(row[key])]
    return sum(defined) / len(defined) if defined else math.nan
