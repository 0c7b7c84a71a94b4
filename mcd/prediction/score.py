"""Scores of the test patients, from predictions and the shards' labels (paper Sec. V, "Evaluation"). No torch.

Separate from predicting, so that another metric needs neither training nor a GPU.
"""

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
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
from mcd.slices.splits import Part, held_out
from mcd.version import code_version, lineage

log = logging.getLogger(__name__)

Masks = Mapping[str, np.ndarray]
"""Region -> (z, y, x) bool."""

Truth = Mapping[str, np.ndarray | None]
"""Likewise; None for a region that the patient has no label of."""

Row = dict[str, Any]


def score_predictions(
    *,
    predictions: str | Path,
    shards: Sequence[str | Path],
    split: str | Path,
    scores: str | Path,
    columns: Mapping[str, Any],
    threads: int = 1,
    part: Part = "test",
) -> list[Row]:
    """Score each test subject's predicted volume.

    Args:
        predictions: HDF5 of `mcd.prediction.run.predict_test`.
        scores: CSV to write, one row per subject and region.
        columns: of every row: those of `mcd.evaluation.score_rows.IDENTITY` except subject and region.
        threads: subjects that are scored at a time; the rows do not depend on it.
        part: `validation` for those by whom settings are chosen, in place of the test subjects.

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

    def read(subject: str) -> tuple[Any, ...]:
        truth = true_masks(opened, subject, regions)
        return truth, _masks(predictions, subject, truth), opened.subject(subject).spacing

    with Shards(shards) as opened:
        rows = _of_all(_tested(split, part), read, score_subject, columns, threads)
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
    threads: int = 1,
) -> list[Row]:
    """Score two modalities' predictions, each alone and fused (beyond the paper).

    The single networks are scored again, by the code that scores the fused ones, so that everything compared is in one file.

    Args:
        predictions: HDF5 of two networks with the same regions, with probabilities, in the order of the pair.
        scores: CSV to write, one row per way, subject and region.
        columns: as in `score_predictions`; `method` becomes `<method>/first`, `/second`, `/mean` or `/staple`.
        threads: as in `score_predictions`.

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

    def read(subject: str) -> tuple[Any, ...]:
        truth = true_masks(opened, subject, regions)
        masks = [np.stack(list(_masks(path, subject, truth).values())) for path in predictions]
        return (
            truth,
            masks,
            [read_probabilities(path, subject) for path in predictions],
            opened.subject(subject).spacing,
        )

    def score(
        truth: Truth, masks: list[np.ndarray], probabilities: list[np.ndarray], spacing: Sequence[float]
    ) -> list[Row]:
        ways = {
            "first": masks[0],
            "second": masks[1],
            "mean": fuse(probabilities, "mean") >= THRESHOLD,
            "staple": fuse(masks, "staple") >= THRESHOLD,
        }
        return [
            {"method": f"{columns['method']}/{way}", **row}
            for way, found in ways.items()
            for row in score_subject(truth, dict(zip(regions, found, strict=True)), spacing)
        ]

    with Shards(shards) as opened:
        rows = _of_all(_tested(split), read, score, columns, threads)
    write_scores(rows, scores)
    return rows


def _of_all(
    subjects: Iterable[tuple[str, Mapping[str, str]]],
    read: Callable[[str], tuple[Any, ...]],
    score: Callable[..., list[Row]],
    columns: Mapping[str, Any],
    threads: int,
) -> list[Row]:
    """The rows of all subjects, in their order, each with `columns` and with who it is.

    One thread at a time reads, since shards close and open their files as needed; numpy and scipy let the others compute.
    """
    one_reads = Lock()

    def scored(one: tuple[str, Mapping[str, str]]) -> list[Row]:
        subject, who = one
        with one_reads:
            volumes = read(subject)
        return [{**columns, **who, **row} for row in score(*volumes)]

    with ThreadPoolExecutor(threads) as pool:
        return [row for rows in pool.map(scored, subjects) for row in rows]


def _tested(split: str | Path, part: Part = "test") -> list[tuple[str, dict[str, str]]]:
    """The subjects of a part, each with the columns that say who it is; their persons stand there if any is not its own."""
    parts, subjects = held_out(split, part)
    persons = {subject: parts.person(subject) for subject in subjects}
    named = any(subject != person for subject, person in persons.items())
    return [
        (subject, {"subject": subject, **({PERSON: person} if named else {})}) for subject, person in persons.items()
    ]


def true_masks(shards: Shards, subject: str, regions: Mapping[str, Sequence[int]]) -> Truth:
    """A subject's labels as one mask per region, in the order of `regions` (name -> label codes)."""
    labels, knows = shards.read(subject, "labels"), shards.subject(subject).knows
    return {region: np.isin(labels, codes) if knows(region) else None for region, codes in regions.items()}


def _masks(predictions: str | Path, subject: str, truth: Truth) -> Masks:
    """A subject's predicted masks, on the grid of the truth."""
    masks = read_predictions(predictions, subject)
    for region, mask in masks.items():
        there = truth[region]
        if there is not None and mask.shape != there.shape:
            raise McdError(
                f"{predictions}: {subject} is {mask.shape}, its slices are {there.shape}; delete it to regenerate it"
            )
    return masks


def _mean(rows: Sequence[Mapping[str, Any]], key: str) -> float:
    defined = [row[key] for row in rows if not math.isnan(row[key])]
    return sum(defined) / len(defined) if defined else math.nan
