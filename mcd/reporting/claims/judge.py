"""Testing the paper's comparative sentences on this run's patients, and on the numbers that the paper prints.

Each claim becomes a list of contrasts (`mcd.reporting.claims.sentences`): weighted sums of means over patients that are
positive if the sentence is right. A run has every patient's score, so a contrast has a bootstrap interval over patients; the
paper prints only means. The output file is described in docs/reference/formats.md, "Claims".
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcd.csv_files import read_csv, write_frame
from mcd.evaluation.bootstrap import bootstrap_means
from mcd.evaluation.scores import patient_values
from mcd.evaluation.statistics import expanded_tail
from mcd.reporting.claims.sentences import PRINTED, Claim, Contrast, Terms, contrasts, read_claims, reading
from mcd.reporting.printed.paper import doubtful, reported
from mcd.reporting.tables.score_tables import table_scores
from mcd.reporting.tables.spec import Key, TableSpec, label_ratio
from mcd.seeding import derive_seed

LEVEL = 0.95
NOT_COMPUTED = "not computed"

ROUNDING = 5e-5  # half a unit of a printed score's last digit: "by 0.049" is a difference of two rounded numbers
TIE = 1e-9  # tolerance of floating point: numbers closer than this are equal


@dataclass(frozen=True)
class Judgement:
    """The result of testing a claim on one set of numbers; docs/reference/formats.md explains each field."""

    verdict: str
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    margin: float | None = None
    better: int | None = None
    compared: int | None = None
    patients: int | None = None
    datasets: tuple[str, ...] = ()
    remark: str = ""


def judge_means(claim: Claim, means: Mapping[Key, float]) -> Judgement:
    """Judge by numbers that have no interval: the claim holds or fails."""
    found = contrasts(claim, means)
    if not found:
        return Judgement(NOT_COMPUTED, remark=_missing(claim, means))
    differences = np.array([_weighted(contrast.terms, means) for contrast in found])
    judgement = _judgement(claim, found, differences, _margins(claim, found, means))
    return replace(judgement, remark=_missing(claim, means))


def judge_patients(claim: Claim, patients: Mapping[Key, pd.Series]) -> Judgement:
    """Judge by every patient's values (a series indexed by patient for each cell): paired, with a 95 % bootstrap interval.

    The interval is an expanded percentile interval (`mcd.evaluation.statistics.expanded_tail`), since a verdict depends on it.
    Patients of different cohorts are drawn independently. A patient without a value in a contrast is left out of it.
    """
    known = {key: values for key, values in patients.items() if key[4] == claim.metric and values.notna().any()}
    found = contrasts(claim, known)
    if not found:
        return Judgement(NOT_COMPUTED, remark=_missing(claim, known))
    differences = np.zeros(len(found))
    draws: NDArray[np.float64] | float = 0.0
    counts = np.full(len(found), np.inf)  # of each contrast's patients, in the cohort that has fewest
    for cohort in _datasets(found):
        own = [{key: weight for key, weight in contrast.terms.items() if key[0] == cohort} for contrast in found]
        subjects = next(known[key].index for terms in own for key in terms)
        values = pd.DataFrame({place: _weighted(terms, known) for place, terms in enumerate(own)}, index=subjects)
        differences += values.mean().to_numpy()
        draws = draws + bootstrap_means(values.to_numpy(float), derive_seed("claims", cohort))
        concerned = np.array([bool(terms) for terms in own])  # the others have an empty sum, 0
        counts[concerned] = np.minimum(counts, values.notna().sum())[concerned]
    margins = _margins(claim, found, {key: float(values.mean()) for key, values in known.items()})
    judgement = _judgement(claim, found, differences, margins, draws, int(counts.min()))
    return replace(judgement, remark=_joined(judgement.remark, _missing(claim, known)))


def fewest_patients(contrasts: int = 1) -> int:
    """Patients needed to tell one of `contrasts` contrasts from 0 if all patients agree: two-sided sign test, Bonferroni."""
    return math.ceil(math.log2(2 * contrasts / (1 - LEVEL)))


def _judgement(
    claim: Claim,
    found: Sequence[Contrast],
    differences: NDArray[np.float64],
    margins: NDArray[np.float64],
    draws: NDArray[np.float64] | float | None = None,
    patients: int | None = None,
) -> Judgement:
    """One verdict over all contrasts, from (contrasts,) differences and their (resamples, contrasts) bootstrap draws.

    On average: the mean difference and its interval. In every case: the contrast that comes closest to breaking the claim,
    and an interval of the smallest true difference of all. Its lower end is the lowest of all lower ends: if they are
    above the margin, all true differences are. Its upper end is the lowest of the upper ends after Bonferroni's correction,
    since of many contrasts some are low by chance.
    """
    every = claim.over == "every"
    worst = int(np.argmin(differences - margins))
    difference = float(differences[worst] if every else differences.mean())
    margin = float(margins[worst] if every else margins.mean())
    low = high = None
    remark = ""
    if draws is None or patients is None:
        verdict = "holds" if difference > margin + TIE else "fails"
    elif patients < 2:
        verdict, remark = "undecided", "one patient gives no interval"
    else:
        reserves = draws - margins if every else np.mean(draws - margins, axis=1, keepdims=True)
        several = reserves.shape[1]
        tail = (1 - LEVEL) / 2
        low = float(np.nanquantile(reserves, expanded_tail(tail, patients), axis=0).min() + margin)
        high = float(np.nanquantile(reserves, 1 - expanded_tail(tail / several, patients), axis=0).min() + margin)
        verdict = "holds" if low > margin else "fails" if high < margin else "undecided"
        fewest = fewest_patients(several if verdict == "fails" else 1)
        if patients < fewest:
            verdict, remark = "undecided", f"{patients} patients are too few for a verdict, which takes {fewest}"
    if claim.negated:
        verdict = {"holds": "fails", "fails": "holds"}.get(verdict, verdict)
    return Judgement(
        verdict,
        difference,
        low,
        high,
        margin,
        better=int((differences > margins + TIE).sum()),
        compared=len(found),
        patients=patients,
        datasets=tuple(_datasets(found)),
        remark=remark,
    )


def _weighted(terms: Terms, values: Mapping[Key, Any]) -> Any:
    return sum(weight * values[key] for key, weight in terms.items())


def _margins(claim: Claim, found: Sequence[Contrast], means: Mapping[Key, float]) -> NDArray[np.float64]:
    """What each difference has to exceed; 0 if the claim only says that one side is better."""
    least = claim.by - ROUNDING if claim.by else 0.0
    return np.array([least - _weighted(contrast.allowance, means) for contrast in found])


def _datasets(found: Iterable[Contrast]) -> list[str]:
    return list(dict.fromkeys(key[0] for contrast in found for key in contrast.terms))


def _missing(claim: Claim, cells: Collection[Key]) -> str:
    """What the claim names but the numbers lack, in words."""
    known = [key for key in cells if key[4] == claim.metric]
    if not known:
        return f"no {claim.metric}" + (f" of {claim.dataset}" if claim.dataset else "")
    places = {2: claim.methods, 1: (*claim.modalities, *(claim.than or {}).get("modalities", ()))}
    lacking = [name for place, names in places.items() for name in names if name not in {key[place] for key in known}]
    ratios = [*claim.ratios, *claim.right_ratios]
    lacking += [f"{100 * ratio:g} % of the labels" for ratio in ratios if ratio not in {key[3] for key in known}]
    return f"without {', '.join(lacking)}" if lacking else ""


def _joined(*words: str) -> str:
    return "; ".join(filter(None, words))


# --- the numbers, and the file ---


def patients_of(scores_files: Iterable[str | Path], spec: TableSpec) -> dict[Key, pd.Series]:
    """Every cell of a table from its score files: one value per patient, the mean over regions, then seeds."""
    values = patient_values(table_scores(scores_files, spec), spec.metrics)
    values["method"] = values["method"].map(_short)
    cells = values.groupby(["cohort", "modality", "method", "label_ratio", "metric"], sort=False)
    return {key: group.set_index("subject")["value"] for key, group in cells}


def means_of(numbers: pd.DataFrame) -> dict[Key, float]:
    """The defined numbers of a long table (`CELL` and `value`); a label ratio is None if there is none.

    `FID_<network>` of a run's Table IV counts as FID whatever the network, since a table has only one of them.
    """
    there = numbers.dropna(subset=["value"])
    ratios = [label_ratio(ratio) for ratio in there["label_ratio"]]
    names = there[["dataset", "modality", "method"]].fillna("").map(str)
    return {
        (dataset, modality, _short(method), ratio, "FID" if metric.startswith("FID_") else metric): float(value)
        for (dataset, modality, method), ratio, metric, value in zip(
            names.itertuples(index=False, name=None), ratios, there["metric"], there["value"], strict=True
        )
    }


def _short(method: str) -> str:
    """The letter of a grouping (Fig. 8), whose rows say which modalities are paired."""
    return method.split(":")[0]


def judge_print(claim: Claim) -> Judgement:
    """Judge by the numbers that the paper prints, as they are; the remark names those that the paper itself contradicts."""
    table = claim.printed or PRINTED.get(claim.table)
    if table is None:
        return Judgement(NOT_COMPUTED, remark=f"{claim.source} prints no numbers")
    means = _of_dataset(claim, _printed(table), {})
    judgement = judge_means(claim, means)
    used = {key for contrast in contrasts(claim, means) for key in contrast.terms}
    doubts = [
        f"{key[2]}, {key[1]}{f', {100 * key[3]:g} %' if key[3] else ''}: {why}"
        for key, why in doubtful(table).items()
        if key in used
    ]
    source = f"from Table {table}" if claim.printed else ""
    printed = f"in doubt: {'; '.join(doubts)}" if doubts else ""
    return replace(judgement, remark=_joined(source, judgement.remark, printed))


@cache
def _printed(table: str) -> dict[Key, float]:
    return means_of(reported(table))


def _of_dataset(claim: Claim, cells: Mapping[Key, Any], datasets: Mapping[str, str]) -> dict[Key, Any]:
    """The cells of the claim's data set, if it names one; `datasets` says which cohort is which."""
    return {key: value for key, value in cells.items() if claim.dataset in (None, datasets.get(key[0], key[0]))}


def write_claims(
    comparisons: Mapping[str, tuple[TableSpec, Sequence[str | Path]]],
    measured: Mapping[str, str | Path],
    absent: Mapping[str, str],
    datasets: Mapping[str, str],
    simulated: Collection[str],
    path: str | Path,
) -> None:
    """Judge every claim on this run and on the printed numbers, and write the file that docs/reference/formats.md describes.

    Args:
        comparisons: table's name -> its layout and score files.
        measured: table's name -> its long CSV, for tables that do not come from segmentation scores.
        absent: table's name -> why this run does not have it, or only what it shares with others.
        datasets: cohort -> the paper's data set whose layout it has, for claims that name one.
        simulated: the cohorts whose patients are simulated.
    """
    patients = {name: patients_of(files, spec) for name, (spec, files) in comparisons.items()}
    means = {name: means_of(pd.read_csv(read_csv(file))) for name, file in measured.items()}
    rows = []
    for claim in read_claims():
        table = claim.table
        if table in patients:
            judgement = judge_patients(claim, _of_dataset(claim, patients[table], datasets))
        elif table in means:
            judgement = judge_means(claim, _of_dataset(claim, means[table], datasets))
            judgement = replace(judgement, remark=_joined("single numbers without interval", judgement.remark))
        else:
            judgement = Judgement(NOT_COMPUTED)
        if not judgement.compared:
            judgement = replace(judgement, remark=_joined(absent.get(table, ""), judgement.remark))
        rows.append(_row(claim, judgement, judge_print(claim), simulated))
    write_frame(pd.DataFrame(rows).convert_dtypes(), path, "%.6g")


def _row(claim: Claim, run: Judgement, printed: Judgement, simulated: Collection[str]) -> dict[str, Any]:
    return {
        "number": claim.number,
        "section": claim.section,
        "source": claim.source,
        "sentence": claim.sentence,
        "metric": claim.metric,
        "reading": reading(claim),
        "verdict": run.verdict,
        "difference": run.difference,
        "ci_low": run.ci_low,
        "ci_high": run.ci_high,
        "margin": run.margin,
        "better": run.better,
        "compared": run.compared,
        "patients": run.patients,
        "cohorts": " ".join(run.datasets),
        "simulated": " ".join(cohort for cohort in run.datasets if cohort in simulated),
        "remark": run.remark,
        "paper_verdict": printed.verdict,
        "paper_difference": printed.difference,
        "paper_margin": printed.margin,
        "paper_better": printed.better,
        "paper_compared": printed.compared,
        "paper_remark": printed.remark,
        "note": claim.note,
    }
