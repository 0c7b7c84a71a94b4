"""Figures of numbers with their intervals: curves over the label ratios (Fig. 5), dots with whiskers (Figs. 6 to 8)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mcd.csv_files import read_csv
from mcd.errors import McdError
from mcd.evaluation.scores import crossed, read_scores, training_values
from mcd.evaluation.statistics import effects
from mcd.pair import Pair
from mcd.reporting.figures.style import EDGE, LOOKS, ONE_COLUMN, SERIES, Look, figure, house_style, save
from mcd.reporting.tables.content import INTERVALS
from mcd.reporting.tables.spec import TableSpec, label_ratio

Value = tuple[float, float, float]  # value, low and high end of its interval; NaN where a single patient has none


@house_style()
def draw_ratio_curves(long_csv: str | Path, spec: TableSpec, path: str | Path) -> None:
    """Fig. 5: DSC over the label ratios, one panel per modality, one line per method.

    Multi-ConDoS and Fully Supervised have their intervals as bands; fifteen bands would hide each other
    (the table has every interval).
    """
    value, over = _reader(long_csv, spec)
    ratios = _ratios(spec)
    wide = min(3, len(spec.columns))
    deep = -(-len(spec.columns) // wide)
    drawn = figure(height=48 * deep + 30)
    panels = drawn.subplots(deep, wide, squeeze=False, sharex=True).ravel()
    for panel in panels[len(spec.columns) :]:
        panel.remove()
    positions = np.arange(len(ratios))  # evenly spaced: on a linear axis 5 to 20 % would be crowded
    for place, (panel, column) in enumerate(zip(panels, spec.columns, strict=False)):
        for key, method in spec.methods.items():
            line = np.array([value(column, method, ratio, "DSC") for ratio in ratios])
            panel.plot(positions, line[:, 0], **LOOKS[key].line(), label=method, clip_on=False)
            if key in ("multi_condos", "fully_supervised"):
                panel.fill_between(positions, line[:, 1], line[:, 2], color=LOOKS[key].color, alpha=0.13, linewidth=0)
        panel.set_title(_column_title(column, spec))
        panel.set_xticks(positions, [f"{100 * ratio:g}" for ratio in ratios])
        panel.tick_params(labelbottom=True)
        if place % wide == 0:
            panel.set_ylabel("DSC")
        if place + wide >= len(spec.columns):
            panel.set_xlabel("labelled training patients [%]")
    _curve_legend(drawn, spec, over)
    save(drawn, path)


@house_style()
def draw_sharing(scores_files: Iterable[str | Path], spec: TableSpec, path: str | Path) -> None:
    """Fig. 6: number of shared layers, over the label ratios; DSC is the sum of the two modalities, as in the paper."""
    cells = {cell[:-1]: values for cell, values in training_values(read_scores(scores_files), ["DSC"]).items()}
    ratios = _ratios(spec)
    cohort = spec.columns[0][0]
    modalities = [modality for _, modality in spec.columns]
    drawn = figure(height=72, width=ONE_COLUMN)
    series: dict[str, list[Value]] = {}
    overs = []
    for key, label in spec.methods.items():
        sums = [_sum_over(cells, cohort, modalities, key, ratio, spec) for ratio in ratios]
        series[label] = [value for value, _ in sums]
        overs += [over for _, over in sums]
    panel = drawn.subplots()
    looks = [LOOKS[key] for key in spec.methods]
    _dots(panel, [f"{100 * ratio:g}" for ratio in ratios], series, looks)
    panel.set_xlabel("labelled training patients [%]")
    panel.set_ylabel(f"DSC, {' + '.join(modalities)}")
    panel.set_title(_cohort_title(cohort, spec))
    _legend(drawn, series, looks, overs, columns=3)
    save(drawn, path)


@house_style()
def draw_feature_losses(long_csv: str | Path, spec: TableSpec, path: str | Path) -> None:
    """Fig. 7: the losses on the paired features, in every modality at every ratio of `label_ratios`."""
    value, over = _reader(long_csv, spec)
    ratios = _ratios(spec)
    cohorts = list(dict(spec.columns))
    widths = [sum(column[0] == cohort for column in spec.columns) for cohort in cohorts]
    drawn = figure(height=62)
    panels = drawn.subplots(1, len(cohorts), squeeze=False, width_ratios=widths)[0]
    looks = [LOOKS[key] for key in spec.methods]
    for panel, cohort in zip(panels, cohorts, strict=True):
        cells = [(column, ratio) for column in spec.columns if column[0] == cohort for ratio in ratios]
        series = {
            method: [value(column, method, ratio, "DSC") for column, ratio in cells] for method in spec.methods.values()
        }
        _dots(panel, [f"{column[1]}\n{100 * ratio:g} %" for column, ratio in cells], series, looks)
        panel.set_title(_cohort_title(cohort, spec))
    panels[0].set_ylabel("DSC")
    _legend(drawn, spec.methods.values(), looks, over)
    save(drawn, path)


@house_style()
def draw_groupings(long_csv: str | Path, spec: TableSpec, path: str | Path, rankings: Mapping[str, str | Path]) -> None:
    """Fig. 8: the pairings of the modalities: one row per cohort, one panel per metric and one for how different pairs look.

    `rankings`: cohort -> CSV of `mcd.evaluation.grouping.rank_pairings`. If the paper's rule holds, pairings that are high in
    the last panel are high in the others.
    """
    value, over = _reader(long_csv, spec)
    cohorts = list(dict(spec.columns))
    drawn = figure(height=56 * len(cohorts) + 12)
    widths = [*[1] * len(spec.metrics), 0.6]  # wide enough for the cohort's title
    panels = drawn.subplots(len(cohorts), len(widths), squeeze=False, width_ratios=widths)
    for line, cohort in zip(panels, cohorts, strict=True):
        columns = [column for column in spec.columns if column[0] == cohort]
        own = {
            row
            for pair, row in spec.row_of_pair.items()
            if {(cohort, name) for name in Pair(pair).modalities} <= set(columns)
        }
        rows = [(ratio, row) for ratio, row in spec.rows if row in own]
        for panel, metric in zip(line, spec.metrics, strict=False):
            series: dict[str, Sequence[Value]] = {
                row: [value(column, row, ratio, metric) for column in columns] for ratio, row in rows
            }
            _dots(panel, [modality for _, modality in columns], series, SERIES)
            panel.set_ylabel(metric)
            panel.set_title(_cohort_title(cohort, spec))
        looks = _differences(rankings[cohort], [row for _, row in rows], spec)
        _dots(line[-1], ["both pairs"], {row: [looks[row]] for _, row in rows}, SERIES)
        line[-1].set_ylabel("difference (1 - NMI)")
        line[-1].set_title(_cohort_title(cohort, spec))
    _legend(drawn, dict.fromkeys(row for _, row in spec.rows), SERIES, over)
    save(drawn, path)


def _differences(ranking: str | Path, rows: Iterable[str], spec: TableSpec) -> dict[str, Value]:
    """Row of Fig. 8 -> how different its pairs look, with its interval; the order of names does not matter."""

    def key(pairs: Iterable[str]) -> frozenset[frozenset[str]]:
        return frozenset(frozenset(Pair(pair).modalities) for pair in pairs)

    try:
        table = pd.read_csv(read_csv(ranking))
        found = {key(row.pairing.split(", ")): (row.difference, row.ci_low, row.ci_high) for row in table.itertuples()}
    except (ValueError, AttributeError) as error:
        raise McdError(f"{ranking}: not a ranking of pairings ({error}); delete it to regenerate it") from None
    wanted = {row: key(pair for pair, own in spec.row_of_pair.items() if own == row) for row in rows}
    if missing := [row for row, pairs in wanted.items() if pairs not in found]:
        raise McdError(f"{ranking}: does not rank {missing[0]}; delete the file to regenerate it")
    return {row: found[pairs] for row, pairs in wanted.items()}


def _reader(
    long_csv: str | Path, spec: TableSpec
) -> tuple[Callable[[tuple[str, str], str, float | None, str], Value], list[str]]:
    """A function that looks up a number of a long table by column, row, label ratio and metric, `McdError` if it is missing;
    and what the table's intervals are over.
    """
    try:
        table = pd.read_csv(read_csv(long_csv), dtype={"dataset": str, "modality": str, "method": str})
        found = {
            (row.dataset, row.modality, row.method, label_ratio(row.label_ratio), row.metric): (
                row.value,
                row.ci_low,
                row.ci_high,
            )
            for row in table.itertuples()
        }
        over = list(table["interval_over"])
    except (ValueError, AttributeError, KeyError) as error:
        raise McdError(f"{long_csv}: not a long table ({error}); delete it to regenerate it") from None

    def value(column: tuple[str, str], row: str, ratio: float | None, metric: str) -> Value:
        try:
            return found[*column, row, label_ratio(ratio), metric]
        except KeyError:
            raise McdError(
                f"{long_csv}: {spec.name} needs {metric} of {row} on {' '.join(column)} at {100 * (ratio or 0):g} %, which is "
                "missing; delete the file to regenerate it"
            ) from None

    return value, over


def _sum_over(
    cells: Mapping[tuple[Any, ...], pd.DataFrame],
    cohort: str,
    modalities: Sequence[str],
    method: str,
    ratio: float | None,
    spec: TableSpec,
) -> tuple[Value, str]:
    """Mean of sums over modalities, with its interval, and what that is over: the parts of a sum share training and patient.

    `cells`: `RUN` -> values of `training_values`.
    """
    wanted = (cohort, method, label_ratio(ratio))
    found = {
        modality: values for (of, _, modality, by, at), values in cells.items() if (of, by, label_ratio(at)) == wanted
    }
    missing = [name for name in modalities if name not in found]
    if missing:
        raise McdError(
            f"{spec.name}: no scores of {spec.methods[method]} on {cohort} {missing[0]} at {100 * (ratio or 0):g} %; "
            "run its fine-tuning"
        )
    units = crossed([found[name] for name in modalities])
    means = effects(units.values.sum(axis=2, keepdims=True)).means()
    (low,), (high,) = means.interval()
    return (float(means.value[0]), float(low), float(high)), units.over


def _dots(panel: Axes, groups: Sequence[str], series: Mapping[str, Sequence[Value]], looks: Sequence[Look]) -> None:
    """A dot with its interval for each series in each group; the series of a group are side by side."""
    positions = np.arange(len(groups))
    step = 0.7 / len(series)
    for place, (look, values) in enumerate(zip(looks, series.values(), strict=False)):
        middle, low, high = np.array(values).T
        x = positions + (place - (len(series) - 1) / 2) * step
        panel.vlines(x, low, high, color=look.color, linewidth=0.9)
        panel.plot(x, middle, look.marker, color=look.color, **EDGE, zorder=3)
    for border in positions[1:] - 0.5:
        panel.axvline(border, color="#dddddd", linewidth=0.5)
    panel.set_xticks(positions, list(groups))
    panel.tick_params(axis="x", length=0)
    panel.set_xlim(-0.5, len(groups) - 0.5)


def _intervals(over: Iterable[str]) -> str:
    """What whiskers or bands are."""
    return f"95 % interval {' or '.join(INTERVALS[kind] for kind in dict.fromkeys(over))}"


def _legend(drawn: Figure, names: Iterable[str], looks: Sequence[Look], over: Iterable[str], columns: int = 6) -> None:
    handles = [
        Line2D([], [], color=look.color, marker=look.marker, linewidth=0.9, **EDGE, label=_word(name))
        for name, look in zip(names, looks, strict=False)
    ]
    drawn.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(columns, len(handles)),
        title=fill(f"whiskers: {_intervals(over)}", 60),
    )


def _curve_legend(drawn: Figure, spec: TableSpec, over: Iterable[str]) -> None:
    """Every method, and what bands and line styles mean."""
    words = [f"bands: {_intervals(over)}"]
    for group, kind in (("Self-supervised", "solid"), ("Semi-supervised", "dash-dotted")):
        if group in spec.groups.values():
            words.append(f"thin and {kind}: {group.lower()}")
    handles = [Line2D([], [], **LOOKS[key].line(), label=method) for key, method in spec.methods.items()]
    drawn.legend(handles=handles, loc="outside lower center", ncols=6, title="; ".join(words), handlelength=3.2)


def _ratios(spec: TableSpec) -> list[float]:
    return list(dict.fromkeys(ratio for ratio, _ in spec.rows if ratio is not None))


def _cohort_title(cohort: str, spec: TableSpec) -> str:
    return spec.cohort_labels.get(cohort, cohort) + (" (simulated)" if cohort in spec.simulated else "")


def _column_title(column: tuple[str, str], spec: TableSpec) -> str:
    return f"{_cohort_title(column[0], spec)}, {column[1]}"


def _word(name: str) -> str:
    """SL1 as the paper sets it, with a subscript."""
    subscript = "".join(chr(0x2080 + int(digit)) for digit in name[2:] if digit.isdecimal())
    return f"SL{subscript}" if name.startswith("SL") and name[2:].isdecimal() else name
