"""From score files to tables: a long CSV with everything, a wide CSV in the paper's layout, and a page to read.

Both CSVs are described in docs/reference/formats.md, "Tables".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from mcd.csv_files import write_frame
from mcd.errors import McdError
from mcd.evaluation.metrics import METRIC_KEYS
from mcd.evaluation.score_rows import RUN, VERSION
from mcd.evaluation.scores import SEEDS, crossed, read_scores, summarise, training_values
from mcd.evaluation.statistics import effects, holm
from mcd.files import atomic_path, write_json, write_text
from mcd.reporting.printed.paper import CELL
from mcd.reporting.tables import html
from mcd.reporting.tables.content import table_content
from mcd.reporting.tables.labelled import about_same_labels, labelled_words
from mcd.reporting.tables.spec import MEASURES, TableSpec, label_ratio
from mcd.slices.splits import Split
from mcd.training.history import LENGTH
from mcd.version import UNKNOWN, lineage

LONG_COLUMNS = [
    *[*CELL, "value", "ci_low", "ci_high", "interval_over", "patients", "seeds", "draws", "seed_sd", "undefined"],
    *["pair", *LENGTH, VERSION],
]
COMPARED = ["difference", "difference_low", "difference_high", "p", "p_holm"]


def long_table(scores: pd.DataFrame, metrics: Sequence[str] = METRIC_KEYS) -> pd.DataFrame:
    """One row per cohort, pair, modality, method, label ratio and metric, with the columns `LONG_COLUMNS`, and `folds` where
    any cohort has several.

    The numbers are those of `mcd.evaluation.scores.summarise`.
    """
    about = versions(scores, RUN).merge(_lengths(scores), on=RUN, validate="one_to_one")
    long = summarise(scores, metrics).merge(about, on=RUN, how="left", validate="many_to_one")
    shown = [*LONG_COLUMNS, *(["folds"] if long["folds"].any() else [])]
    return long.rename(columns={"cohort": "dataset"})[shown]


def versions(rows: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """For each `key`, the versions of the code that its rows went through: columns `key`, `VERSION`."""
    known = rows if VERSION in rows else rows.assign(**{VERSION: UNKNOWN})
    distinct = known[[*key, VERSION]].drop_duplicates()
    return distinct.groupby(key, sort=False, as_index=False)[VERSION].agg(lambda words: lineage(*words))


def _lengths(scores: pd.DataFrame) -> pd.DataFrame:
    """For each `RUN`, the mean over its trainings of `LENGTH`; NaN where scores do not know it."""
    known = scores.reindex(columns=[*RUN, *LENGTH])
    return known.groupby(RUN, sort=False, as_index=False)[LENGTH].mean()


def compare(scores: pd.DataFrame, metrics: Sequence[str], reference: str) -> pd.DataFrame:
    """Compare every method with `reference`, training by training and patient by patient: columns `CELL`, `pair`, `COMPARED`.

    `difference` is the mean difference, `difference_low` and `difference_high` its interval, `p` of the test that it is 0
    (`mcd.evaluation.statistics`); p is NaN where there is one seed, since nothing is known of another. A family for Holm's
    correction is one cohort, modality, label ratio and metric, that is a column of a block of the table. A block without
    the reference has no comparison.
    """
    family = ["cohort", "modality", "label_ratio", "metric"]
    columns: dict[tuple[Any, ...], dict[tuple[str, str], pd.DataFrame]] = {}
    for cell, values in training_values(scores, metrics).items():
        named = dict(zip([*RUN, "metric"], cell, strict=True))
        runs = columns.setdefault(tuple(named[key] for key in family), {})
        runs[named["method"], named["pair"]] = values
    found = []
    for cell, runs in columns.items():
        references = [run for run in runs if run[0] == reference]
        if len(references) > 1:
            raise McdError(
                f"{reference} on {cell[0]} {cell[1]} was pre-trained with {', '.join(pair for _, pair in references)}; "
                "a comparison needs one pair per modality"
            )
        if references:
            own = runs.pop(references[0])
            tests = [_compare(other, own) for other in runs.values()]
            adjusted = holm([test[-1] for test in tests])
            found += [(*cell, *run, *test, p) for run, test, p in zip(runs, tests, adjusted, strict=True)]
    table = pd.DataFrame(found, columns=[*family, "method", "pair", *COMPARED])
    return table.rename(columns={"cohort": "dataset"})[[*CELL, "pair", *COMPARED]]


def _compare(other: pd.DataFrame, reference: pd.DataFrame) -> tuple[float, float, float, float]:
    """Mean difference, the ends of its interval, and p."""
    units = crossed([other, reference])
    means = effects(units.values[:, :, :1] - units.values[:, :, 1:]).means()
    (low,), (high,) = means.interval()
    known = units.over == SEEDS and means.trainings[0] > 1
    return float(means.value[0]), float(low), float(high), float(means.p()[0]) if known else float("nan")


def wide_table(
    long: pd.DataFrame,
    rows: Sequence[tuple[float | None, str]],
    columns: Sequence[tuple[str, str]],
    metrics: Sequence[str],
) -> pd.DataFrame:
    """The table as printed: `label_ratio`, `method`, then `<cohort>_<modality>_<metric>` with the metric fastest.

    What was not computed is NaN. Raises `McdError` where one cell has several values (runs of more than one pair).
    """
    twice = long.duplicated(CELL)
    if twice.any():
        cell = long[twice].iloc[0]
        pairs = long.loc[(long[CELL] == cell[CELL]).all(axis=1), "pair"]
        raise McdError(
            f"{cell['method']} on {cell['dataset']} {cell['modality']} was pre-trained with {', '.join(pairs)}; "
            "a table needs one pair per modality"
        )
    known = (
        long[[*CELL, "value"]].astype(object).where(long.notna(), None)
    )  # a table without label ratios has rows of None
    values = {tuple(cell): value for *cell, value in known.itertuples(index=False)}
    return pd.DataFrame(
        [
            {"label_ratio": ratio, "method": method}
            | {
                f"{cohort}_{modality}_{metric}": values.get((cohort, modality, method, ratio, metric), float("nan"))
                for cohort, modality in columns
                for metric in metrics
            }
            for ratio, method in rows
        ]
    )


def table_scores(scores_files: Iterable[str | Path], spec: TableSpec) -> pd.DataFrame:
    """The scores that belong in a table, with methods by display name.

    Raises `McdError` for a method that the table does not know, and if no score belongs in it.
    """
    scores = read_scores(scores_files)
    strangers = sorted(set(scores["method"]) - spec.methods.keys())
    if strangers:
        raise McdError(
            f"{spec.name}: scores of unknown method {', '.join(strangers)}; known are {', '.join(spec.methods)}"
        )
    scores["method"] = scores["pair"].map(spec.row_of_pair) if spec.row_of_pair else scores["method"].map(spec.methods)
    configured = {label_ratio(ratio): ratio for ratio, _ in spec.rows}  # a file may differ in the last digit
    scores["label_ratio"] = scores["label_ratio"].map(lambda ratio: configured.get(label_ratio(ratio), ratio))
    wanted = pd.MultiIndex.from_tuples(list(spec.rows)), pd.MultiIndex.from_tuples(list(spec.columns))
    scores = scores[
        pd.MultiIndex.from_frame(scores[["label_ratio", "method"]]).isin(wanted[0])
        & pd.MultiIndex.from_frame(scores[["cohort", "modality"]]).isin(wanted[1])
    ]
    if scores.empty:
        raise McdError(
            f"{spec.name}: none of the scores belongs to a row and column of the table; check cohorts and ratios"
        )
    return scores


def write_table(
    scores_files: Iterable[str | Path],
    spec: TableSpec,
    out_csv: Path,
    out_long: Path,
    out_html: Path,
    out_json: Path,
    *,
    splits: Mapping[str, Sequence[Split]] | None = None,
) -> None:
    """Read the score files that a table needs and write the table as `write_long` does.

    `splits`: cohort -> those of its trainings, from which the table says how many patients its label ratios are.
    """
    scores = table_scores(scores_files, spec)
    spec = replace(spec, notes=[*spec.notes, *about_absent_regions(scores, spec)])
    if splits:
        ratios = [ratio for ratio in dict(spec.rows) if ratio is not None]
        labelled = labelled_words(ratios, splits, spec.cohort_labels)
        spec = replace(
            spec, labelled=labelled, notes=[*spec.notes, *about_same_labels(ratios, splits, spec.cohort_labels)]
        )
    long = long_table(scores, spec.metrics)
    if spec.reference is not None:
        tests = compare(scores, spec.metrics, spec.reference)
        long = long.merge(tests, on=[*CELL, "pair"], how="left", validate="one_to_one")
    write_long(long, spec, out_csv, out_long, out_html, out_json)


AGREED_ON_NOTHING = {"DSC": "1", "HD95": "0 mm", "BIoU": "1"}
"""The scores of a region that a patient does not have and a network does not outline (`mcd.evaluation`)."""


def about_absent_regions(scores: pd.DataFrame, spec: TableSpec) -> list[str]:
    """A sentence for each cohort in which a patient lacks a region and a network is scored for not outlining it."""
    values = [f"{MEASURES[key].label} {AGREED_ON_NOTHING[key]}" for key in spec.metrics if key in AGREED_ON_NOTHING]
    absent = scores[scores["DSC"].notna() & scores["Sen"].isna()]
    sentences = []
    for cohort, rows in absent.groupby("cohort", sort=False) if values else ():
        subjects = rows.drop_duplicates(["subject", "region"])
        regions = ", ".join(f"{region} in {count}" for region, count in subjects["region"].value_counts().items())
        everyone = scores.loc[scores["cohort"] == cohort, "subject"].nunique()
        nothing = int(rows["PPV"].isna().sum())
        sentences.append(
            f"{spec.cohort_labels.get(cohort, cohort)}: of {everyone} patients some do not have every region ({regions}). A "
            f"network that outlines nothing there is right, and has {' and '.join(values)}, as {nothing} of these {len(rows)} "
            "scores; means count them."
        )
    return sentences


def write_long(
    long: pd.DataFrame, spec: TableSpec, out_csv: Path, out_long: Path, out_html: Path, out_json: Path
) -> None:
    """Write a long table (at least `CELL`, `value`, `pair`; methods by display name) as wide CSV, long CSV and page.

    The page is written as HTML, and as the JSON from which the page of the whole run renders it (`content.TableContent`).

    A `simulated` column in both CSVs names the simulated cohorts; `pretrained` in the long one says which layers
    do not start from random weights, which differs between methods.
    """
    if spec.pretrained:
        long = long.assign(pretrained=long["method"].map(spec.pretrained))
    wide = wide_table(long, spec.rows, spec.columns, spec.metrics)
    for name in wide.columns[2:]:
        wide[name] = [f"{value:.4f}" if pd.notna(value) else "" for value in wide[name]]  # as the paper prints
    if spec.simulated:
        wide["simulated"] = " ".join(cohort for cohort in dict(spec.columns) if cohort in spec.simulated)
    with atomic_path(out_csv) as temporary:
        wide.to_csv(temporary, index=False)
    write_frame(long.assign(simulated=long["dataset"].isin(spec.simulated)), out_long, "%.6g")
    content = table_content(long, spec)
    write_text(out_html, html.page(content))
    write_json(out_json, content, sealed=True)
