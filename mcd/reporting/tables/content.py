"""What a table's page shows, as plain data, from which the page of the whole run, too, is rendered (by way of JSON)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, TypedDict

import pandas as pd

from mcd.evaluation.metric import Measure
from mcd.evaluation.scores import DRAWS, PATIENTS, SEEDS
from mcd.reporting.printed.paper import ERRATA, reported
from mcd.reporting.tables.labelled import labels_words
from mcd.reporting.tables.spec import MEASURES, Key, TableSpec, label_ratio

Number = dict[str, Any]  # a row of the long table
Column = tuple[str, str, str]  # cohort, modality, metric

SIGNIFICANT = 0.05  # of p values after Holm's correction

INTERVALS = {
    SEEDS: "over trainings and patients",
    "seeds": "over trainings (FID is one number of all test slices)",
    DRAWS: "over draws of the labelled patients and over patients, of this one pre-training",
    PATIENTS: "over patients, of this one training",
}
"""What an interval is over (`interval_over` of a long table), in words."""

OF_ONE = {DRAWS, PATIENTS}
"""Kinds of intervals that are of one training or pre-training."""

PRINTED_METRICS = {"FID": "FID_Inception"}
"""Name of a printed metric -> our name: the printed FID is shown beside ours only if the network is the same."""


class Cell(TypedDict):
    """One number as it is shown; `text` is None if it was not computed."""

    text: str | None
    rank: int | None  # 1 is the best of the block's column, 2 the second
    mark: str | None  # "better" or "worse" than the reference
    interval: str | None
    spread: str | None
    paper: str | None
    title: str  # shown when hovering


class Row(TypedDict):
    method: str
    own: bool  # the reference
    cells: list[Cell]


class Group(TypedDict):
    heading: str | None
    rows: list[Row]


class Block(TypedDict):
    """The rows of one label ratio."""

    heading: str | None
    groups: list[Group]


class TableContent(TypedDict):
    """The input of the template `table.html`: all texts are plain, and the template escapes them."""

    title: str
    facts: list[dict[str, str]]  # "number", "words"
    shows: dict[str, bool]  # "intervals", "spread" and "paper": which kinds of small print the cells have
    cohorts: list[dict[str, Any]]  # "label", "simulated", "width" in columns
    modalities: list[str]
    width: int  # columns per modality
    metrics: list[dict[str, str]]  # "text", "title": the heading of every column
    blocks: list[Block]
    number: str | None  # what a number is, if it is a mean over patients
    intervals: list[str]  # what they are over
    compared: str | None  # the reference, if methods are compared with one
    tested: bool  # whether the comparisons are tested; those of one training are not
    level: str  # of the tests
    simulated: list[str]  # the cohorts whose patients are
    undefined: bool  # whether scores are left out
    paper_table: str | None
    notes: list[str]


def table_content(long: pd.DataFrame, spec: TableSpec) -> TableContent:
    """What the page of a long table shows (`score_tables.long_table`, with the columns of `compare` if it was tested).

    In each block of one label ratio the best and the second of a column are marked, judged by the digits shown.
    The paper's numbers are shown beside ours in the cohorts of `spec.paper_cohorts`, and nowhere else.
    """
    numbers: dict[Key, Number] = {
        (row["dataset"], row["modality"], row["method"], label_ratio(row["label_ratio"]), row["metric"]): row
        for row in long.astype(object).where(long.notna(), None).to_dict("records")
    }
    paper = _paper_numbers(spec)

    def any_has(key: str) -> bool:
        return any(number.get(key) is not None for number in numbers.values())

    cohorts = list(dict.fromkeys(cohort for cohort, _ in spec.columns))
    intervals = [number for number in numbers.values() if number.get("ci_low") is not None]
    return {
        "title": _title(spec),
        "facts": _facts(numbers, spec),
        "shows": {"intervals": any_has("ci_low"), "spread": any_has("seed_sd"), "paper": bool(paper)},
        "cohorts": _cohort_heads(spec),
        "modalities": [spec.modality_labels.get(modality, modality) for _, modality in spec.columns],
        "width": len(spec.metrics),
        "metrics": [_metric_head(MEASURES[key]) for _ in spec.columns for key in spec.metrics],
        "blocks": _blocks(numbers, paper, spec),
        "number": spec.number if any(number.get("patients") for number in numbers.values()) else None,
        "intervals": list(
            dict.fromkeys(
                _interval_words(number) for over in INTERVALS for number in intervals if number["interval_over"] == over
            )
        ),
        "compared": spec.reference if any_has("difference") else None,
        "tested": any_has("p_holm"),
        "level": f"{SIGNIFICANT:g}",
        "simulated": [_cohort(cohort, spec) for cohort in cohorts if cohort in spec.simulated],
        "undefined": any(number.get("undefined") for number in numbers.values()),
        "paper_table": spec.paper_table,
        "notes": [*(ERRATA.get(spec.paper_table or "", ()) if paper else ()), *spec.notes, *_about_versions(numbers)],
    }


def _about_versions(numbers: Mapping[Key, Number]) -> list[str]:
    """A sentence where not all that a table is made of was made by one version of the code; numbers of one are not counted."""
    counts = Counter(
        " and ".join(number["mcd_version"].split()) for number in numbers.values() if number.get("mcd_version")
    )
    if len(counts) < 2 and not any(" and " in versions for versions in counts):
        return []
    total = sum(counts.values())
    parts = ", ".join(f"{count} of {total} numbers by {versions}" for versions, count in counts.most_common())
    return [
        f"Made by several versions of mcd: {parts}. Where these differ in what they compute, the numbers do not compare; "
        "“mcd trace” says which version made what."
    ]


def _title(spec: TableSpec) -> str:
    cohorts = dict.fromkeys(cohort for cohort, _ in spec.columns)
    simulated = [_cohort(cohort, spec) for cohort in cohorts if cohort in spec.simulated]
    if not simulated:
        return spec.title
    return f"{spec.title} ({'simulated patients' if len(simulated) == len(cohorts) else 'simulated: ' + ', '.join(simulated)})"


def _paper_numbers(spec: TableSpec) -> dict[Key, float]:
    if spec.paper_table is None:
        return {}
    table = reported(spec.paper_table).dropna(subset="value")
    return {
        (
            cohort,
            modality,
            row.method,
            label_ratio(row.label_ratio),
            PRINTED_METRICS.get(row.metric, row.metric),
        ): row.value
        for cohort, modality in spec.columns
        for row in table[table["dataset"] == spec.paper_cohorts.get(cohort)].itertuples()
        if row.modality == modality or pd.isna(row.modality)  # Table IX has one number per cohort
    }


def _facts(numbers: Mapping[Key, Number], spec: TableSpec) -> list[dict[str, str]]:
    facts = []
    for cohort in dict.fromkeys(cohort for cohort, _ in spec.columns):
        # The largest number of patients in a mean: hovering and a note say where some have no defined value.
        own = [number.get("patients") or 0 for key, number in numbers.items() if key[0] == cohort]
        if patients := max(own, default=0):
            kind = "simulated test patients" if cohort in spec.simulated else "test patients"
            facts.append({"number": str(patients), "words": f"{kind} in {_cohort(cohort, spec)}"})
    kinds = [
        ("seeds", "seed", "seeds"),
        ("draws", "draw for each seed", "draws for each seed"),
        ("folds", "fold", "folds, whose trainings together are one"),
    ]
    for key, one, several in kinds:
        counts = sorted({number[key] for number in numbers.values() if number.get(key)})
        if counts and (key == "seeds" or counts[-1] > 1):
            span = "–".join(str(count) for count in dict.fromkeys([counts[0], counts[-1]]))
            facts.append({"number": span, "words": one if span == "1" else several})
    return facts


# --- heads ---


def _cohort_heads(spec: TableSpec) -> list[dict[str, Any]]:
    return [
        {
            "label": _cohort(cohort, spec),
            "simulated": cohort in spec.simulated,
            "width": len(spec.metrics) * len(list(columns)),
        }
        for cohort, columns in groupby(spec.columns, key=lambda column: column[0])
    ]


def _metric_head(metric: Measure) -> dict[str, str]:
    way, arrow = ("higher", "↑") if metric.higher_is_better else ("lower", "↓")
    unit = f" ({metric.unit})" if metric.unit else ""
    heading = metric.heading or metric.key.replace("_", " ")
    return {"text": f"{heading}{unit} {arrow}", "title": f"{metric.label}{unit}: {way} is better"}


# --- rows ---


def _blocks(numbers: Mapping[Key, Number], paper: Mapping[Key, float], spec: TableSpec) -> list[Block]:
    columns = [(cohort, modality, metric) for cohort, modality in spec.columns for metric in spec.metrics]
    blocks: list[Block] = []
    for ratio, rows in groupby(spec.rows, key=lambda row: row[0]):
        methods = [method for _, method in rows]
        ranks = {column: _ranks(numbers, methods, ratio, column) for column in columns}
        groups: list[Group] = [
            {
                "heading": name if name and len(methods) > 1 else None,
                "rows": [_row(method, ratio, ranks, numbers, paper, spec) for method in members],
            }
            for name, members in groupby(methods, key=lambda method: spec.groups.get(method, ""))
        ]
        heading = None if ratio is None else labels_words(ratio, spec.labelled.get(ratio))
        blocks.append({"heading": heading, "groups": groups})
    return blocks


def _row(
    method: str,
    ratio: float | None,
    ranks: Mapping[Column, Mapping[str, int]],
    numbers: Mapping[Key, Number],
    paper: Mapping[Key, float],
    spec: TableSpec,
) -> Row:
    cells = []
    for column, best in ranks.items():
        cohort, modality, metric = column
        key = (cohort, modality, method, label_ratio(ratio), metric)
        cells.append(_cell(numbers.get(key), paper.get(key), best.get(method), MEASURES[metric], spec))
    return {"method": method, "own": method == spec.reference, "cells": cells}


def _ranks(
    numbers: Mapping[Key, Number], methods: Sequence[str], ratio: float | None, column: Column
) -> dict[str, int]:
    """1 for the best of a block's column, 2 for the second; ties share a rank; empty if there is nothing to compare."""
    cohort, modality, key = column
    metric = MEASURES[key]
    values = {}
    for method in methods:
        number = numbers.get((cohort, modality, method, label_ratio(ratio), key))
        if number is not None and number["value"] is not None:
            values[method] = round(number["value"], metric.decimals)
    if len(values) < 2:
        return {}
    order = sorted(set(values.values()), reverse=metric.higher_is_better)[:2]
    return {method: order.index(value) + 1 for method, value in values.items() if value in order}


def _cell(number: Number | None, paper: float | None, rank: int | None, metric: Measure, spec: TableSpec) -> Cell:
    cell: Cell = {
        "text": None,
        "rank": None,
        "mark": None,
        "interval": None,
        "spread": None,
        "paper": None if paper is None else f"{paper:.{metric.decimals}f}",
        "title": "",
    }
    if number is None or number["value"] is None:
        return cell
    cell |= {
        "text": f"{number['value']:.{metric.decimals}f}",
        "rank": rank,
        "mark": _mark(number, metric),
        "title": "; ".join(_words(number, paper, metric, spec)),
    }
    if number.get("ci_low") is not None:
        cell["interval"] = _interval(number, metric)
    if number.get("seed_sd") is not None:
        cell["spread"] = f"± {number['seed_sd']:.{max(1, metric.decimals - 1)}f}"
    return cell


def _interval_words(number: Number) -> str:
    """What an interval is over."""
    words = INTERVALS[number["interval_over"]]
    if number["interval_over"] not in OF_ONE:
        return words
    return f"{words}{' of each fold' if number.get('folds') else ''}: nothing is known of another one"


def _interval(number: Number, metric: Measure) -> str:
    """The interval with two digits less than the number, since so few patients do not support more."""
    decimals = max(1, metric.decimals - 2)
    return f"{number['ci_low']:.{decimals}f}–{number['ci_high']:.{decimals}f}"


def _words(number: Number, paper: float | None, metric: Measure, spec: TableSpec) -> list[str]:
    """What hovering over a number shows."""
    words = []
    digits, unit = metric.decimals, f" {metric.unit}" if metric.unit else ""
    if number.get("ci_low") is not None:
        ends = f"{number['ci_low']:.{digits}f} to {number['ci_high']:.{digits}f}{unit}"
        words.append(f"95 % interval {ends} {_interval_words(number)}")
    if number.get("patients"):
        draws = f" of {_count(number['draws'], 'draw')}" if (number.get("draws") or 1) > 1 else ""
        folds = f" in {_count(number['folds'], 'fold')}" if number.get("folds") else ""
        words.append(
            f"mean over {_count(number['patients'], 'patient')}{folds}, {_count(number['seeds'], 'seed')}{draws}"
        )
    if number.get("undefined"):
        words.append(f"{_count(number['undefined'], 'undefined score')} left out")
    if number.get("seed_sd") is not None:
        words.append(f"standard deviation over seeds {number['seed_sd']:.{digits}f}")
    if number.get("difference") is not None:
        compared = f"{number['difference']:+.{digits}f}{unit} against {spec.reference}"
        if number.get("difference_low") is not None:
            compared += f" ({number['difference_low']:+.{digits}f} to {number['difference_high']:+.{digits}f})"
        if number.get("p_holm") is not None:
            compared += f", p = {number['p']:.2g}, {number['p_holm']:.2g} after Holm"
        words.append(compared)
    if paper is not None:
        words.append(f"printed in the paper: {paper:.{digits}f}")
    return words


def _mark(number: Number, metric: Measure) -> str | None:
    """Whether a method differs from the reference, and in which direction."""
    p = number.get("p_holm")
    if p is None or p >= SIGNIFICANT:
        return None
    return "better" if (number["difference"] > 0) == metric.higher_is_better else "worse"


def _cohort(cohort: str, spec: TableSpec) -> str:
    return spec.cohort_labels.get(cohort, cohort)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
