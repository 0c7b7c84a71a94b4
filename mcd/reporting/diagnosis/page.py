"""Diagnoses of all pre-trainings as one CSV and one self-contained page: what the numbers say in words, then the numbers."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from statistics import fmean

from mcd.diagnosis.findings import TERM_NAMES, best_constant, costs, findings, gains, rises, shares
from mcd.diagnosis.numbers import LAYERS, Diagnosis, Number, read_diagnoses, write_diagnoses
from mcd.errors import McdError
from mcd.files import write_text
from mcd.reporting.templates import render, verbatim
from mcd.seeding import fold_text
from mcd.version import lineage

ABSENT = "–"

OVERVIEW = {
    "Translation": "L1 error of translations, as a share of the best image that is the same for every slice: 1 is idle",
    "Partner": "share of partners in the other modality that L_C’s features find, among 16 slices of unseen patients",
    "Silhouettes": "the same by silhouettes alone: near 1, L_C’s task can be solved without a look at what is inside",
    "Probe": "AUC of a linear probe for the regions less that in random weights, at the encoder’s best level: 0 is idle",
    "Knock-out, L1": "rise of the translations’ error without what the shared (or innermost) layers hand on: 0 is idle",
    "Knock-out, DSC": "what fine-tuned networks lose without it: 0 is idle",
    "Kept": "cosine of fine-tuned to pre-trained weights in down layer 4: 0 means that nothing was kept",
    "Smallest loss": "the smallest term of the loss, as a share of the largest; Sec. V wants them alike",
}
"""The columns of the overview, with what they mean. Means over modalities and label ratios."""


@dataclass(frozen=True)
class Table:
    """A small table of the page."""

    title: str
    note: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]] = field(default_factory=list)


def write_diagnosis_page(
    paths: Sequence[str | Path],
    out_csv: str | Path,
    out_html: str | Path,
    *,
    methods: Mapping[str, str],
    cohorts: Mapping[str, str],
    simulated: Collection[str],
) -> None:
    """Collect the files of `mcd.diagnosis.run` in one CSV and one page.

    Args:
        methods: pre-training -> what the reader calls it.
        cohorts: cohort -> what the reader calls it.
        simulated: the cohorts whose patients are.

    Raises:
        McdError: if there is none, or one is missing or damaged.
    """
    diagnoses = list(read_diagnoses(paths))
    if not diagnoses:
        raise McdError(f"{out_html}: there is no pre-training to diagnose; add a method that pre-trains")
    write_diagnoses(diagnoses, out_csv)
    page = render(
        "diagnosis/templates/diagnosis.html",
        **shown_diagnoses(diagnoses, methods, cohorts, simulated),
        style=verbatim("tables/table.css", "diagnosis/diagnosis.css"),
    )
    write_text(out_html, str(page))


def shown_diagnoses(
    diagnoses: Sequence[Diagnosis], methods: Mapping[str, str], cohorts: Mapping[str, str], simulated: Collection[str]
) -> dict[str, object]:
    """What the macro `diagnosis` shows, on a page of its own or as a part of another."""
    return {
        "overview": OVERVIEW,
        "cohorts": [
            {
                "label": cohorts[cohort],
                "simulated": cohort in simulated,
                "trainings": [_training(diagnosis, methods) for diagnosis in diagnoses if diagnosis.cohort == cohort],
            }
            for cohort in dict.fromkeys(diagnosis.cohort for diagnosis in diagnoses)
        ],
        "versions": lineage(*(diagnosis.version for diagnosis in diagnoses)),
    }


def _training(diagnosis: Diagnosis, methods: Mapping[str, str]) -> dict[str, object]:
    """What the page shows of one pre-training."""
    tables = [
        _translation(diagnosis),
        _retrieval(diagnosis),
        _probe(diagnosis),
        _segmentation(diagnosis),
        _moved(diagnosis),
        _losses(diagnosis),
    ]
    return {
        "anchor": f"{diagnosis.cohort}/{diagnosis.pair}/{diagnosis.pretraining}/seed{diagnosis.seed}"
        + fold_text(diagnosis.fold),
        "method": methods[diagnosis.pretraining],
        "pair": diagnosis.pair,
        "seed": f"{diagnosis.seed}, fold {diagnosis.fold}" if diagnosis.fold else diagnosis.seed,
        "cells": _overview(diagnosis),
        "findings": findings(diagnosis),
        "tables": [table for table in tables if table.rows],
    }


def _overview(diagnosis: Diagnosis) -> list[str]:
    """A row of the overview, in the order of `OVERVIEW`."""
    found = {number.measure: number.value for number in diagnosis.of("retrieval")}
    translation = [
        number.value / best_constant(diagnosis, number.modality) for number in diagnosis.of("translation", "l1")
    ]
    by_modality: dict[str, list[float]] = {}
    for (modality, _), gain in gains(diagnosis).items():
        by_modality.setdefault(modality, []).append(gain)
    kept = [number.value for number in diagnosis.of("moved", "cosine") if number.layers == "down layer 4"]
    terms = shares(diagnosis)
    return [
        _mean(translation, ".2f"),
        _mean([found["features"]] if found else [], ".2f"),
        _mean([found["silhouettes"]] if found else [], ".2f"),
        _mean([max(values) for values in by_modality.values()], "+.3f"),
        _mean([100 * rise for _, rise in rises(diagnosis)], "+.1f", " %"),
        _mean([cost for _, cost in costs(diagnosis)], "+.3f"),
        _mean(kept, ".2f"),
        _mean([min(terms.values())] if len(terms) > 1 else [], ".3f"),
    ]


def _translation(diagnosis: Diagnosis) -> Table:
    rows = []
    without = {number.modality: number for number, _ in rises(diagnosis)}
    for number in diagnosis.of("translation", "l1"):
        constant = {
            measure: next(one.value for one in diagnosis.of("translation", measure) if one.modality == number.modality)
            for measure in ("l1_zero", "l1_mean")
        }
        values = [number.value, constant["l1_zero"], constant["l1_mean"], without[number.modality].value]
        rows.append([number.modality, *(f"{value:.4f}" for value in values)])
    name = next((number.layers for number in without.values()), "")
    return Table(
        "Translations to each modality",
        "Mean absolute error in z-scores over all pixels of the test patients’ slices, as in L_T; no label is read.",
        ["To", "Translation", "All-zero image", "Mean training slice", f"Translation without the {name}"],
        rows,
    )


def _retrieval(diagnosis: Diagnosis) -> Table:
    values = [f"{number.value:.3f}" for number in diagnosis.of("retrieval")]
    return Table(
        "Partners found",
        "Share of slices whose partner in the other modality is the nearest of a batch of test patients’ slices, mean of both "
        "directions.",
        ["By L_C’s features", "By silhouettes alone", "Chance"],
        [values] if values else [],
    )


def _probe(diagnosis: Diagnosis) -> Table:
    random = {
        (number.modality, number.region, number.layers): number.value for number in diagnosis.of("probe", "random")
    }
    pretrained = diagnosis.of("probe", "pretrained")
    layers = _layers(pretrained)
    cells = {
        (
            number.modality,
            number.region,
            number.layers,
        ): f"{number.value:.3f} ({random[number.modality, number.region, number.layers]:.3f})"
        for number in pretrained
    }
    names = dict.fromkeys((modality, region) for modality, region, _ in cells)
    return Table(
        "Linear probe of the encoder",
        "AUC among cells with tissue: pre-trained (random weights). Learnt on one half of the training patients, scored on the "
        "other.",
        ["Modality", "Region", *layers],
        [[*name, *(cells.get((*name, layer), ABSENT) for layer in layers)] for name in names],
    )


def _segmentation(diagnosis: Diagnosis) -> Table:
    return Table(
        "Fine-tuned networks, knocked out",
        "DSC of training patients whose labels fine-tuning did not see, mean over regions and patients.",
        ["Modality", "Labels", "Layers", "DSC", "Without them"],
        [
            [number.modality, _ratio(number), number.layers, f"{number.value:.3f}", f"{number.value - cost:.3f}"]
            for number, cost in costs(diagnosis)
        ],
    )


def _moved(diagnosis: Diagnosis) -> Table:
    cosines = diagnosis.of("moved", "cosine")
    norms = {(n.modality, n.label_ratio, n.layers): n.value for n in diagnosis.of("moved", "norm_ratio")}
    layers = _layers(cosines)
    rows = []
    for (modality, _), numbers in groupby(cosines, lambda number: (number.modality, number.label_ratio)):
        own = list(numbers)
        cells = {n.layers: f"{n.value:.2f} ({norms[n.modality, n.label_ratio, n.layers]:.2f})" for n in own}
        rows.append([modality, _ratio(own[0]), *(cells.get(layer, ABSENT) for layer in layers)])
    return Table(
        "What fine-tuning left",
        "Cosine of fine-tuned to pre-trained kernels (norm as a share of the pre-trained), of what was transferred.",
        ["Modality", "Labels", *layers],
        rows,
    )


def _losses(diagnosis: Diagnosis) -> Table:
    rows = [
        [
            *([number.modality] if number.modality else [ABSENT]),
            TERM_NAMES.get(number.measure, number.measure),
            f"{number.value:.4f}",
        ]
        for number in diagnosis.of("loss")
    ]
    return Table("Loss", "Weight times value, mean of the last epoch.", ["Modality", "Term", "In the sum"], rows)


def _layers(numbers: Iterable[Number]) -> list[str]:
    there = {number.layers for number in numbers}
    return [layer for layer in LAYERS if layer in there]


def _ratio(number: Number) -> str:
    return f"{100 * (number.label_ratio or 0):g} %"


def _mean(values: Sequence[float], digits: str, unit: str = "") -> str:
    return f"{fmean(values):{digits}}{unit}" if values else ABSENT
