"""What the page contains of a test patient: every method's scores, and compressed slices with masks."""

import base64
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from mcd.errors import McdError
from mcd.evaluation.metrics import METRIC_KEYS, METRICS
from mcd.files import access_mode, write_text
from mcd.prediction.masks import predicted_subjects, read_predictions
from mcd.reporting.figures.style import OUTLINES, region_colours
from mcd.reporting.page.contents import PageCohort, PageContents, Prediction
from mcd.reporting.page.elements import json_text
from mcd.slices.shards import Shards


def pack(volume: np.ndarray) -> str:
    """A (slices, H, W) uint8 volume as text: differences to the pixel on the left, zlib, base64.

    The browser undoes it (`unpack` in page.js). An image element would be no smaller, and browsers that guard against
    fingerprinting alter the pixels that a script reads back from one, which would alter masks.
    """
    deltas = np.diff(volume, axis=2, prepend=np.uint8(0))  # wraps around, and back
    return base64.b64encode(zlib.compress(deltas.tobytes(), 9)).decode("ascii")


def unpack(text: str, shape: Sequence[int]) -> np.ndarray:
    """The inverse of `pack`."""
    deltas = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(shape)
    return np.cumsum(deltas, axis=2, dtype=np.uint8)


def grey(volume: np.ndarray) -> np.ndarray:
    """z-scores (0 outside the region) as 8-bit grey between the 1st and 99th percentile of the region; black outside."""
    inside = volume[volume != 0]
    low, high = np.percentile(inside, [1, 99]) if inside.size else (0.0, 1.0)
    scaled = np.clip((volume.astype(np.float32) - low) / max(high - low, 1e-6), 0, 1) * 255
    return np.where(volume == 0, 0, np.rint(scaled)).astype(np.uint8)


def bits(masks: Mapping[str, np.ndarray], regions: Sequence[str]) -> np.ndarray:
    """Region masks as one uint8 volume; region r is bit r."""
    packed: np.ndarray = np.zeros(next(iter(masks.values())).shape, np.uint8)
    for place, region in enumerate(regions):
        packed |= masks[region].astype(np.uint8) << place
    return packed


def slices_of(
    shards: Shards,
    subject: str,
    modalities: Sequence[str],
    regions: Mapping[str, Sequence[int]],
    predictions: Sequence[Prediction],
) -> dict[str, Any]:
    """A patient's images, truth and predictions, packed, with `shape` (z, y, x) and `spacing` in mm (z, y, x).

    A prediction is a row: label ratio, seed, modality, method and masks.
    """
    images = shards.read(subject, "images", channels=shards.modality_positions(modalities))
    labels = shards.read(subject, "labels")
    knows = shards.subject(subject).knows
    drawn = {name: np.isin(labels, codes if knows(name) else []) for name, codes in regions.items()}
    truth = bits(drawn, list(regions))
    found = []
    for run in predictions:
        masks = bits(read_predictions(run.path, subject), list(regions))
        if masks.shape != truth.shape:
            raise McdError(f"{run.path}: {subject} is {masks.shape}, its slices are {truth.shape}; delete the file")
        found.append([run.ratio, run.seed, run.modality, run.method, pack(masks)])
    return {
        "shape": list(truth.shape),
        "spacing": list(shards.subject(subject).spacing),
        "images": {name: pack(grey(images[:, place])) for place, name in enumerate(modalities)},
        "truth": pack(truth),
        "predictions": found,
    }


def scores_of(scores: pd.DataFrame) -> dict[tuple[str, str], list[list[Any]]]:
    """(cohort, patient) -> rows of ratio, seed, method, modality, region and every metric, averaged over draws.

    An undefined score is None. Rows keep the order of methods and ratios in `scores`.
    """
    key = ["cohort", "subject", "label_ratio", "seed", "method", "modality", "region"]
    means = scores.groupby(key, sort=False)[METRIC_KEYS].mean().reset_index()
    decimals = [metric.decimals for metric in METRICS]
    found: dict[tuple[str, str], list[list[Any]]] = {}
    for row in means.itertuples(index=False):
        values = [
            None if pd.isna(value) else round(float(value), digits)
            for value, digits in zip(row[len(key) :], decimals, strict=True)
        ]
        found.setdefault((row.cohort, row.subject), []).append([*row[2 : len(key)], *values])
    return found


def tested_in(predictions: Sequence[Prediction]) -> dict[tuple[str, int, int], list[str]]:
    """(cohort, seed, fold) -> its test patients, by id: a seed may have others than the next."""
    one = {(run.cohort, run.seed, run.fold): run.path for run in predictions}
    return {key: predicted_subjects(path) for key, path in one.items()}


def patients_in(predictions: Sequence[Prediction], cohorts: Sequence[str]) -> list[tuple[str, str]]:
    """(cohort, patient) in the order of the cohorts, then of the ids."""
    tested = tested_in(predictions)
    return [
        (cohort, subject)
        for cohort in cohorts
        for subject in sorted({subject for (name, *_), own in tested.items() if name == cohort for subject in own})
    ]


def index_of(contents: PageContents, scores: Mapping[tuple[str, str], list[list[Any]]]) -> dict[str, Any]:
    """What the page's script needs before a patient is chosen; `scores` are those of `scores_of`."""
    tested = patients_in(contents.predictions, [cohort.name for cohort in contents.cohorts])
    colours = region_colours({cohort.name: list(cohort.regions) for cohort in contents.cohorts}, OUTLINES)
    sorted_by = contents.reference or next(iter(contents.methods))
    return {
        "metrics": [
            {
                "key": metric.key,
                "label": metric.label,
                "unit": metric.unit,
                "decimals": metric.decimals,
                "higher": metric.higher_is_better,
            }
            for metric in METRICS
        ],
        "methods": contents.methods,
        "reference": contents.reference,
        "ratio": contents.ratio,
        "ratios": sorted({run.ratio for run in contents.predictions}),
        "seeds": sorted({run.seed for run in contents.predictions}),
        "draws": contents.draws,
        "sorted_by": sorted_by,
        "outlines": OUTLINES,
        "cohorts": {
            cohort.name: {
                "title": cohort.title,
                "simulated": cohort.simulated,
                "modalities": list(cohort.modalities),
                "regions": list(cohort.regions),
                "colours": colours[cohort.name],
            }
            for cohort in contents.cohorts
        },
        # cohort, patient, and what they are sorted by; None where there is nothing
        "patients": [
            [*patient, _sorting_score(scores.get(patient, []), sorted_by, contents.ratio)]
            for patient in dict.fromkeys([*tested, *scores])
        ],
    }


def _sorting_score(rows: Iterable[list[Any]], method: str, ratio: float) -> float | None:
    """A patient's mean score, by the first metric, of a method at a label ratio: over seeds, modalities and regions."""
    values = [row[5] for row in rows if row[0] == ratio and row[2] == method and row[5] is not None]
    return round(sum(values) / len(values), 4) if values else None


def patient_texts(
    contents: PageContents, scores: Mapping[tuple[str, str], list[list[Any]]], room: int, beside: Path
) -> dict[tuple[str, str], Markup]:
    """(cohort, patient) -> its JSON, with slices while there is room: one patient of each cohort after another.

    Slices of the others are written into files of the folder `beside`, which the page reads when they are looked at.

    Args:
        scores: of `scores_of`; they are included for every patient, whatever the room.
        room: characters.
    """
    beside.mkdir(parents=True, exist_ok=True)
    beside.chmod(access_mode(images=True, folder=True))
    bare = {patient: {"scores": rows} for patient, rows in scores.items()}
    texts = {patient: json_text(content) for patient, content in bare.items()}
    room -= sum(map(len, texts.values()))
    cohorts = {cohort.name: cohort for cohort in contents.cohorts}
    tested = tested_in(contents.predictions)
    with ExitStack() as stack:
        opened = {name: stack.enter_context(Shards(cohort.shards)) for name, cohort in cohorts.items() if cohort.shards}
        for name, subject in _in_turn(contents):
            runs = [
                run
                for run in contents.predictions
                if run.cohort == name and subject in tested[name, run.seed, run.fold]
            ]
            slices = _slices(opened[name], subject, cohorts[name], runs)
            if folds := {run.seed: run.fold for run in runs if run.fold}:
                slices["folds"] = folds
            text = json_text({**bare.get((name, subject), {"scores": []}), **slices})
            room -= len(text)
            if room >= 0:
                texts[name, subject] = text
                continue
            room = (
                -1
            )  # a smaller one that comes later stays out, too, so that the first ones are there without exception
            file = beside / name / f"{subject}.js"
            write_text(file, f"patientArrived({json_text(f'{name}/{subject}')}, {json_text(slices)});\n", images=True)
            place = file.relative_to(beside.parent).as_posix()
            texts[name, subject] = json_text({**bare.get((name, subject), {"scores": []}), "beside": place})
    return texts


def _in_turn(contents: PageContents) -> list[tuple[str, str]]:
    """The test patients: the first of each cohort, then the second of each, and so on."""
    cohorts = [cohort.name for cohort in contents.cohorts]
    placed = [enumerate(patients_in(contents.predictions, [name])) for name in cohorts]
    return [patient for _, patient in sorted(chain(*placed), key=lambda entry: entry[0])]


def _slices(shards: Shards, subject: str, cohort: PageCohort, runs: Sequence[Prediction]) -> dict[str, Any]:
    shown = [modality for modality in cohort.modalities if any(run.modality == modality for run in runs)]
    return slices_of(shards, subject, shown, cohort.regions, runs)
