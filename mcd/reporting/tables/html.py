"""A table as one self-contained page: no script, no file beside it, readable on paper, on a phone and in the dark."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd

from mcd.evaluation.metric import Measure
from mcd.reporting.printed.paper import ERRATA, reported
from mcd.reporting.tables.spec import MEASURES, TableSpec

Cell = dict[str, Any]
Key = tuple[str, str, str, float | None, str]  # cohort, modality, method, label ratio, metric
Column = tuple[str, str, str]  # cohort, modality, metric

SIGNIFICANT = 0.05  # of p values after Holm's correction

PRINTED_METRICS = {"FID": "FID_Inception"}
"""What a metric of the print is called here: FID stands beside ours only where the network is the same."""


def page(long: pd.DataFrame, spec: TableSpec) -> str:
    """The page of a long table (`score_tables.long_table`, with the columns of `compare` where it was tested).

    In each block of one label ratio the best of a column is bold and the second underlined, judged by the digits shown.
    The paper's numbers stand below ours in the cohorts of `spec.paper_cohorts`, and nowhere else.
    """
    cells: dict[Key, Cell] = {
        (row["dataset"], row["modality"], row["method"], _ratio(row["label_ratio"]), row["metric"]): row
        for row in long.astype(object).where(long.notna(), None).to_dict("records")
    }
    paper = _paper_numbers(spec)
    columns = [(cohort, modality, metric) for cohort, modality in spec.columns for metric in spec.metrics]
    title = escape(_title(spec))
    here = Path(__file__)
    return Template(here.with_name("table.html").read_text(encoding="utf-8")).substitute(
        title=title,
        style=here.with_name("table.css").read_text(encoding="utf-8").strip(),
        facts=_facts(cells, spec),
        switches=_switches(cells, paper),
        table="\n".join([_head(spec), *_blocks(cells, paper, columns, spec)]),
        notes="\n".join(f"<p>{note}</p>" for note in _notes(cells, paper, spec)),
    )


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
        (cohort, modality, row.method, _ratio(row.label_ratio), PRINTED_METRICS.get(row.metric, row.metric)): row.value
        for cohort, modality in spec.columns
        for row in table[table["dataset"] == spec.paper_cohorts.get(cohort)].itertuples()
        if row.modality == modality or pd.isna(row.modality)  # Table IX has a number a cohort
    }


def _ratio(value: float | None) -> float | None:
    """A label ratio to look up by; None where a table has none."""
    return None if value is None or pd.isna(value) else round(float(value), 6)


def _facts(cells: Mapping[Key, Cell], spec: TableSpec) -> str:
    facts = []
    for cohort in dict.fromkeys(cohort for cohort, _ in spec.columns):
        # The most that a mean is over: where some have no defined value, the pointer and a note tell.
        if patients := max((cell.get("patients") or 0 for key, cell in cells.items() if key[0] == cohort), default=0):
            kind = "simulated test patients" if cohort in spec.simulated else "test patients"
            facts.append(f"<b>{patients}</b> {kind} in {escape(_cohort(cohort, spec))}")
    if seeds := sorted({cell["seeds"] for cell in cells.values() if cell.get("seeds")}):
        span = "–".join(str(count) for count in dict.fromkeys([seeds[0], seeds[-1]]))
        facts.append(f"<b>{span}</b> {'seed' if span == '1' else 'seeds'}")
    return '<ul class="facts">' + "".join(f"<li>{fact}</li>" for fact in facts) + "</ul>"


def _switches(cells: Mapping[Key, Cell], paper: Mapping[Key, float]) -> str:
    shown = [("intervals", "95 % intervals", any(cell.get("ci_low") is not None for cell in cells.values()))]
    shown.append(("spread", "spread over seeds", any(cell.get("seed_sd") is not None for cell in cells.values())))
    shown.append(("paper", "numbers printed in the paper", bool(paper)))
    boxes = [
        f'<label><input type="checkbox" data-show="{key}" checked>{words}</label>'
        for key, words, there in shown
        if there
    ]
    return f'<div class="switches">Show {" ".join(boxes)}</div>' if boxes else ""


def _head(spec: TableSpec) -> str:
    width = len(spec.metrics)
    cohorts, modalities, metrics = [], [], []
    for cohort, group in groupby(spec.columns, key=lambda column: column[0]):
        names = [modality for _, modality in group]
        badge = '<span class="badge">simulated</span>' if cohort in spec.simulated else ""
        cohorts.append(
            f'<th class="cohort first" colspan="{width * len(names)}" scope="colgroup">'
            f"<span>{escape(_cohort(cohort, spec))}{badge}</span></th>"
        )
        modalities += [
            f'<th class="modality first" colspan="{width}" scope="colgroup">'
            f"<span>{escape(spec.modality_labels.get(name, name))}</span></th>"
            for name in names
        ]
        metrics += [_metric_head(MEASURES[key], first=key == spec.metrics[0]) for _ in names for key in spec.metrics]
    rows = [
        '<tr><th class="method" rowspan="3" scope="col">Method</th>' + "".join(cohorts) + "</tr>",
        f"<tr>{''.join(modalities)}</tr>",
        f"<tr>{''.join(metrics)}</tr>",
    ]
    return "<thead>\n" + "\n".join(rows) + "\n</thead>"


def _metric_head(metric: Measure, first: bool) -> str:
    way, arrow = ("higher", "↑") if metric.higher_is_better else ("lower", "↓")
    unit = f" ({metric.unit})" if metric.unit else ""
    words = f"{metric.label}{unit}: {way} is better"
    heading = escape((metric.heading or metric.key.replace("_", " ")) + unit)
    return f'<th{_first(first)} scope="col" title="{escape(words)}">{heading} {arrow}</th>'


def _blocks(
    cells: Mapping[Key, Cell], paper: Mapping[Key, float], columns: Sequence[Column], spec: TableSpec
) -> list[str]:
    blocks = []
    for ratio, rows in groupby(spec.rows, key=lambda row: row[0]):
        methods = [method for _, method in rows]
        ranks = {column: _ranks(cells, methods, ratio, column) for column in columns}
        lines = []
        if ratio is not None:
            words = f"{100 * ratio:g} % of the labels"
            lines.append(_heading("block", words, len(columns)))
        for group, members in groupby(methods, key=lambda method: spec.groups.get(method, "")):
            if group and len(methods) > 1:
                lines.append(_heading("group", group, len(columns)))
            for method in members:
                row = "".join(
                    _cell(
                        cells.get((column[0], column[1], method, _ratio(ratio), column[2])),
                        paper.get((column[0], column[1], method, _ratio(ratio), column[2])),
                        ranks[column].get(method),
                        column,
                        spec,
                    )
                    for column in columns
                )
                kind = "run own" if method == spec.reference else "run"
                lines.append(f'<tr class="{kind}"><th class="method" scope="row">{_name(method)}</th>{row}</tr>')
        blocks.append("<tbody>\n" + "\n".join(lines) + "\n</tbody>")
    return blocks


def _heading(kind: str, words: str, width: int) -> str:
    return f'<tr class="{kind}"><th colspan="{width + 1}" scope="rowgroup"><span>{escape(words)}</span></th></tr>'


def _ranks(cells: Mapping[Key, Cell], methods: Sequence[str], ratio: float | None, column: Column) -> dict[str, int]:
    """1 for the best of a block's column, 2 for the second, ties alike; nothing where there is nothing to compare."""
    cohort, modality, key = column
    metric = MEASURES[key]
    values = {}
    for method in methods:
        cell = cells.get((cohort, modality, method, _ratio(ratio), key))
        if cell is not None and cell["value"] is not None:
            values[method] = round(cell["value"], metric.decimals)
    if len(values) < 2:
        return {}
    order = sorted(set(values.values()), reverse=metric.higher_is_better)[:2]
    return {method: order.index(value) + 1 for method, value in values.items() if value in order}


def _cell(cell: Cell | None, paper: float | None, rank: int | None, column: Column, spec: TableSpec) -> str:
    metric = MEASURES[column[2]]
    first = _first(column[2] == spec.metrics[0])
    printed = "" if paper is None else f'<small class="paper">{paper:.{metric.decimals}f}</small>'
    if cell is None or cell["value"] is None:
        return f'<td{first}><span class="absent">–</span>{printed}</td>'
    number = f"{cell['value']:.{metric.decimals}f}"
    number = {1: f"<b>{number}</b>", 2: f"<u>{number}</u>"}.get(rank or 0, number)
    interval = ""
    if cell.get("ci_low") is not None:
        low, high = _interval(cell, metric)
        interval = f'<small class="interval">{low}–{high}</small>'
    spread = ""
    if cell.get("seed_sd") is not None:
        spread = f'<small class="spread">± {cell["seed_sd"]:.{max(1, metric.decimals - 1)}f}</small>'
    words = escape("; ".join(_words(cell, paper, metric, spec)))
    return f'<td{first} title="{words}">{number}{_mark(cell, metric)}{interval}{spread}{printed}</td>'


def _interval(cell: Cell, metric: Measure) -> tuple[str, str]:
    """The interval's ends with two digits less than the number, which is all that so few patients can tell."""
    decimals = max(1, metric.decimals - 2)
    return f"{cell['ci_low']:.{decimals}f}", f"{cell['ci_high']:.{decimals}f}"


def _words(cell: Cell, paper: float | None, metric: Measure, spec: TableSpec) -> list[str]:
    """What the pointer tells about a cell."""
    words = []
    digits, unit = metric.decimals, f" {metric.unit}" if metric.unit else ""
    if cell.get("ci_low") is not None:
        words.append(f"95 % interval {cell['ci_low']:.{digits}f} to {cell['ci_high']:.{digits}f}{unit}")
    if cell.get("patients"):
        words.append(f"mean over {_count(cell['patients'], 'patient')}, {_count(cell['seeds'], 'seed')}")
    if cell.get("undefined"):
        words.append(f"{_count(cell['undefined'], 'undefined score')} left out")
    if cell.get("seed_sd") is not None:
        words.append(f"standard deviation over seeds {cell['seed_sd']:.{digits}f}")
    if cell.get("p_holm") is not None:
        words.append(
            f"{cell['difference']:+.{digits}f}{unit} against {spec.reference}, "
            f"Wilcoxon p = {cell['p']:.2g}, {cell['p_holm']:.2g} after Holm"
        )
    if paper is not None:
        words.append(f"printed in the paper: {paper:.{digits}f}")
    return words


def _mark(cell: Cell, metric: Measure) -> str:
    """A triangle where a method differs from the reference: up where it is better, down where it is worse."""
    p = cell.get("p_holm")
    if p is None or p >= SIGNIFICANT:
        return ""
    better = (cell["difference"] > 0) == metric.higher_is_better
    return f'<span class="mark {"better" if better else "worse"}">{"▲" if better else "▼"}</span>'


def _notes(cells: Mapping[Key, Cell], paper: Mapping[Key, float], spec: TableSpec) -> list[str]:
    notes = [
        "Within a block, <b>bold</b> is the best of a column and <u>underlined</u> the second, by the digits shown; – was not "
        "computed."
    ]
    if any(cell.get("patients") for cell in cells.values()):
        notes.insert(0, escape(spec.number))
    if any(cell.get("ci_low") is not None for cell in cells.values()):
        notes.append("Small: 95 % bootstrap interval over patients. More about a number under the pointer.")
    if any(cell.get("seed_sd") is not None for cell in cells.values()):
        notes.append("±: standard deviation over seeds of the mean over patients.")
    if any(cell.get("p_holm") is not None for cell in cells.values()):
        notes.append(
            f'<span class="worse">▼</span> worse, <span class="better">▲</span> better than {_name(spec.reference or "")}: '
            f"paired two-sided Wilcoxon test over patients, p &lt; {SIGNIFICANT:g} after Holm’s correction for the methods "
            "of a column and block."
        )
    simulated = [_cohort(cohort, spec) for cohort in dict(spec.columns) if cohort in spec.simulated]
    if simulated:
        notes.append(
            f"{escape(', '.join(simulated))}: <strong>simulated</strong> patients. Their numbers exercise the "
            "software and say nothing about real patients or the paper’s results."
        )
    if any(cell.get("undefined") for cell in cells.values()):
        notes.append(
            "Scores that are not defined (nothing to find, or nothing found) are left out of a mean and counted."
        )
    if paper:
        notes.append(f"<i>Italic</i>: the number printed in the paper (Table {escape(spec.paper_table or '')}).")
        notes += [escape(note) for note in ERRATA.get(spec.paper_table or "", ())]
    return notes + [escape(note) for note in spec.notes]


def _cohort(cohort: str, spec: TableSpec) -> str:
    return spec.cohort_labels.get(cohort, cohort)


def _name(method: str) -> str:
    """A method's name; the losses of Table V ("L_GAN+L_T") get their subscripts."""
    return re.sub(r"\bL_([A-Z]+)", r"L<sub>\1</sub>", escape(method))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _first(first: bool) -> str:
    return ' class="first"' if first else ""
