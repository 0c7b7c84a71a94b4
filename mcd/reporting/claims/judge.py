"""Testing the paper's comparative sentences on this run's trainings and patients, and on the numbers that the paper prints.

Each claim becomes a list of contrasts (`mcd.reporting.claims.sentences`): weighted sums of means that are positive if the
sentence is right. A run has every training's score of every patient, so a contrast has an interval over both
(`mcd.evaluation.statistics`); the paper prints only means. The output file is described in docs/reference/formats.md, "Claims".
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mcd.csv_files import read_csv, write_frame
from mcd.errors import McdError, first_line
from mcd.evaluation.score_rows import VERSION
from mcd.evaluation.scores import DRAWS, PATIENTS, SEEDS, crossed, training_values
from mcd.evaluation.statistics import LEVEL, Floats, Means, effects, total
from mcd.pair import Pair
from mcd.reporting.claims.sentences import (
    ALMOST_ALL,
    PRINTED,
    Claim,
    Contrast,
    Looks,
    Terms,
    contrasts,
    read_claims,
    reading,
)
from mcd.reporting.printed.paper import doubtful, reported
from mcd.reporting.tables.score_tables import table_scores
from mcd.reporting.tables.spec import Key, TableSpec, label_ratio
from mcd.reporting.tables.translation_table import read_translations
from mcd.version import UNKNOWN, code_version, lineage

NOT_COMPUTED = "not computed"

ROUNDING = 5e-5  # half a unit of a printed score's last digit: "by 0.049" is a difference of two rounded numbers
TIE = 1e-9  # tolerance of floating point: numbers closer than this are equal

ONE_TRAINING = {
    PATIENTS: "one training: nothing is known of another one",
    DRAWS: "draws of one pre-training: nothing is known of another one",
}
"""Why nothing is decided without several seeds."""


@dataclass(frozen=True)
class Judgement:
    """The result of testing a claim on one set of numbers; docs/reference/formats.md explains each field."""

    verdict: str
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    interval_over: str | None = None
    margin: float | None = None
    better: int | None = None
    compared: int | None = None
    seeds: int | None = None
    patients: int | None = None
    datasets: tuple[str, ...] = ()
    remark: str = ""


def judge_means(claim: Claim, means: Mapping[Key, float]) -> Judgement:
    """Judge by numbers that have no interval: the claim holds or fails."""
    found = contrasts(claim, means)
    if not found:
        return Judgement(NOT_COMPUTED, remark=_missing(claim, means))
    cases = _Cases.of(claim, found, means)
    values = np.array([_weighted(contrast.terms, means) for contrast in found])
    place = cases.deciding(cases.averaged(values - cases.margins))
    margin, difference = cases.averaged(cases.margins)[place], cases.averaged(values)[place]
    verdict = _turned(claim, "holds" if difference > margin + TIE else "fails")
    return replace(
        cases.judgement(values), verdict=verdict, difference=difference, margin=margin, remark=_missing(claim, means)
    )


def judge_trainings(claim: Claim, cells: Mapping[Key, pd.DataFrame], looks: Looks | None = None) -> Judgement:
    """Judge by every training's values of every patient (of `mcd.evaluation.scores.training_values`, for each cell).

    A contrast is taken training by training and patient by patient; cohorts are independent of each other. Values without a
    partner in a contrast are left out of it. Nothing is decided by one seed, nor by so few patients that a sign test could
    not be significant even if all agreed.
    """
    known = {key: values for key, values in cells.items() if key[4] == claim.metric and values.notna().any(axis=None)}
    found = contrasts(claim, known, looks)
    if not found:
        return Judgement(NOT_COMPUTED, remark=_missing(claim, known))
    means = {key: float(values.mean().mean()) for key, values in known.items()}
    cases = _Cases.of(claim, found, means)
    reserves, over = _reserves(claim, found, known, cases.weights)
    separate, _ = _reserves(claim, found, known, np.eye(len(found)))
    tail, (false, true) = (1 - LEVEL) / 2, cases.needed
    lows, highs = reserves.interval(tail / false)[0], reserves.interval(tail / true)[1]
    place = cases.deciding(reserves.value)
    margin = cases.averaged(cases.margins)[place]
    low, high = np.sort(lows)[::-1][true - 1], np.sort(highs)[false - 1]
    seeds, patients = int(reserves.trainings.min()), int(reserves.patients.min())
    several = claim.metric != "FID"  # which is one number of all slices
    verdict = "holds" if low > 0 else "fails" if high < 0 else "undecided"
    fewest = fewest_patients(true if verdict == "fails" else false)
    remark = ""
    if over != SEEDS or seeds < 2:
        verdict, remark = "undecided", ONE_TRAINING[DRAWS if over == DRAWS else PATIENTS]
    elif several and patients < fewest:
        verdict, remark = "undecided", f"{patients} patients are too few for a verdict, which takes {fewest}"
    return replace(
        cases.judgement(separate.value + cases.margins),
        verdict=_turned(claim, verdict),
        difference=float(reserves.value[place] + margin),
        ci_low=_number(low + margin),
        ci_high=_number(high + margin),
        interval_over=over if several else "seeds",
        margin=margin,
        seeds=seeds if over == SEEDS else 1,
        patients=patients if several else None,
        remark=_joined(remark, _missing(claim, known)),
    )


def fewest_patients(contrasts: int = 1) -> int:
    """Patients needed to tell one of `contrasts` contrasts from 0 if all patients agree: two-sided sign test, Bonferroni."""
    return math.ceil(math.log2(2 * contrasts / (1 - LEVEL)))


@dataclass(frozen=True)
class _Cases:
    """The cases of a claim, and how they make one verdict.

    Attributes:
        weights: (cases, G) that average the cases to the G numbers that the claim is about.
        margins: (cases,) what each difference has to exceed; 0 if the claim only says that one side is better.
        share: which share of the G numbers has to.
    """

    found: Sequence[Contrast]
    weights: Floats
    margins: Floats
    share: float

    @classmethod
    def of(cls, claim: Claim, found: Sequence[Contrast], means: Mapping[Key, float]) -> "_Cases":
        about: list[Any] = list(range(len(found)))  # the number that each case is a part of
        if claim.over == "average":
            about = [0] * len(found)
        elif claim.over == "each method":
            about = [contrast.methods for contrast in found]
        numbers = list(dict.fromkeys(about))
        weights = np.array([[float(one == number) for number in numbers] for one in about])
        if claim.relative:
            size = [np.mean([abs(means[key]) for key in contrast.terms]) for contrast in found]
            weights /= np.array(size)[:, None]
        margins = np.array([_least(claim) - _weighted(contrast.allowance, means) for contrast in found])
        share = ALMOST_ALL if claim.over == "almost all" else 1.0
        return cls(found, weights / (weights > 0).sum(axis=0), margins, share)

    @property
    def needed(self) -> tuple[int, int]:
        """How many of the G numbers below their margin refute the claim, and how many above it prove it.

        To show that m of G are true takes the m-th smallest p times G - m + 1 (Benjamini and Heller, Biometrics 64(4), 2008):
        with m = G the largest p, with m = 1 Bonferroni's correction.
        """
        numbers = self.weights.shape[1]
        true = math.ceil(self.share * numbers)
        return numbers - true + 1, true

    def averaged(self, values: Floats) -> Floats:
        """(G,) of (cases,)."""
        return np.asarray(values @ self.weights)

    def deciding(self, reserves: Floats) -> int:
        """The place of the number that decides: if this one is above its margin, enough are."""
        return int(np.argsort(-reserves, kind="stable")[self.needed[1] - 1])

    def judgement(self, differences: Floats) -> Judgement:
        """What is said of the cases whatever the verdict."""
        better = int((differences > self.margins + TIE).sum())
        return Judgement("", better=better, compared=len(self.found), datasets=tuple(_datasets(self.found)))


def _reserves(
    claim: Claim, found: Sequence[Contrast], known: Mapping[Key, pd.DataFrame], weights: Floats
) -> tuple[Means, str]:
    """By how much contrasts exceed their margins, averaged by (contrasts, G) weights; and what the intervals are over."""
    parts, overs = [], []
    for cohort in _datasets(found):
        own = [
            (place, {key: weight for key, weight in _whole(contrast).items() if key[0] == cohort})
            for place, contrast in enumerate(found)
        ]
        own = [(place, terms) for place, terms in own if terms]
        keys = list(dict.fromkeys(key for _, terms in own for key in terms))
        units = crossed([known[key] for key in keys])
        at = {key: units.values[:, :, place] for place, key in enumerate(keys)}
        values = np.stack([_weighted(terms, at) for _, terms in own], axis=-1)
        parts.append(effects(values).means(weights[[place for place, _ in own]]))
        overs.append(units.over)
    order = [PATIENTS, DRAWS, SEEDS]
    whole = total(parts)
    return replace(whole, value=whole.value - _least(claim) * weights.sum(axis=0)), min(overs, key=order.index)


def _least(claim: Claim) -> float:
    """What every difference has to exceed, whatever the numbers."""
    return claim.by - ROUNDING if claim.by else 0.0


def _whole(contrast: Contrast) -> Terms:
    """What has to be positive."""
    return {
        key: contrast.terms.get(key, 0.0) + contrast.allowance.get(key, 0.0)
        for key in contrast.terms | contrast.allowance
    }


def _turned(claim: Claim, verdict: str) -> str:
    return {"holds": "fails", "fails": "holds"}.get(verdict, verdict) if claim.negated else verdict


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _weighted(terms: Terms, values: Mapping[Key, Any]) -> Any:
    return sum(weight * values[key] for key, weight in terms.items())


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


def cells_of(scores: pd.DataFrame, metrics: Sequence[str]) -> dict[Key, pd.DataFrame]:
    """Every cell of a table's scores: one value per training and patient."""
    return {
        (cohort, modality, _short(method), label_ratio(ratio), _measure(metric)): values
        for (cohort, _, modality, method, ratio, metric), values in training_values(scores, metrics).items()
    }


def means_of(numbers: pd.DataFrame) -> dict[Key, float]:
    """The defined numbers of a long table (`CELL` and `value`); a label ratio is None if there is none."""
    there = numbers.dropna(subset=["value"])
    ratios = [label_ratio(ratio) for ratio in there["label_ratio"]]
    names = there[["dataset", "modality", "method"]].fillna("").map(str)
    return {
        (dataset, modality, _short(method), ratio, _measure(metric)): float(value)
        for (dataset, modality, method), ratio, metric, value in zip(
            names.itertuples(index=False, name=None), ratios, there["metric"], there["value"], strict=True
        )
    }


def _short(method: str) -> str:
    """The letter of a grouping (Fig. 8), whose rows say which modalities are paired."""
    return method.split(":")[0]


def _measure(metric: str) -> str:
    """`FID_<network>` of a run's Table IV counts as FID whatever the network, since a table has only one of them."""
    return "FID" if metric.startswith("FID_") else metric


def looks_of(rankings: Mapping[str, str | Path], spec: TableSpec) -> dict[tuple[str, str, str], float]:
    """How different each modality and its partner look, in each grouping of a table (Fig. 8).

    `rankings`: cohort -> CSV of `mcd.evaluation.grouping.rank_pairings`.
    """
    found: dict[tuple[str, str, str], float] = {}
    for cohort, path in rankings.items():
        try:
            table = pd.read_csv(read_csv(path))
            means = table[[name for name in table if "-" in name]].max()  # NaN in pairings without the pair
            looks = {frozenset(Pair(str(name)).modalities): float(look) for name, look in means.items()}
        except (ValueError, TypeError) as error:
            raise McdError(
                f"{path}: not a ranking of pairings ({first_line(error)}); delete it to regenerate it"
            ) from None
        for name, row in spec.row_of_pair.items():
            modalities = Pair(name).modalities
            if (look := looks.get(frozenset(modalities))) is not None:
                found |= {(cohort, modality, _short(row)): look for modality in modalities}
    return found


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
    translations: Mapping[str, tuple[TableSpec, Sequence[str | Path], Sequence[str | Path]]],
    measured: Mapping[str, str | Path],
    rankings: Mapping[str, str | Path],
    absent: Mapping[str, str],
    datasets: Mapping[str, str],
    simulated: Collection[str],
    path: str | Path,
) -> None:
    """Judge every claim on this run and on the printed numbers, and write the file that docs/reference/formats.md describes.

    Args:
        comparisons: table's name -> its layout and score files.
        translations: the same of Table IV, its SSIM and its FID files.
        measured: table's name -> its long CSV, for tables of single measurements (Table IX).
        rankings: cohort -> how different its pairs of modalities look (`looks_of`).
        absent: table's name -> why this run does not have it, or only what it shares with others.
        datasets: cohort -> the paper's data set whose layout it has, for claims that name one.
        simulated: the cohorts whose patients are simulated.
    """
    cells, means, versions = {}, {}, {}
    for name, (spec, files) in comparisons.items():
        rows_of_table = table_scores(files, spec)
        cells[name], versions[name] = cells_of(rows_of_table, spec.metrics), _versions(rows_of_table)
    for name, (spec, scores, distances) in translations.items():
        made = read_translations(scores, distances, spec)
        cells[name] = cells_of(made.scores, ["SSIM"]) | cells_of(made.distances, [made.metric])
        versions[name] = _versions(made.scores)
    for name, file in measured.items():
        long = pd.read_csv(read_csv(file))
        means[name], versions[name] = means_of(long), _versions(long)
    looks = looks_of(rankings, comparisons["fig8"][0]) if "fig8" in comparisons else {}
    rows = []
    for claim in read_claims():
        table = claim.table
        if table in cells:
            judgement = judge_trainings(claim, _of_dataset(claim, cells[table], datasets), looks)
        elif table in means:
            judgement = judge_means(claim, _of_dataset(claim, means[table], datasets))
            judgement = replace(judgement, remark=_joined("single measurements without interval", judgement.remark))
        else:
            judgement = Judgement(NOT_COMPUTED)
        if not judgement.compared:
            judgement = replace(judgement, remark=_joined(absent.get(table, ""), judgement.remark))
        version = lineage(versions.get(table, ""), code_version())
        rows.append({**_row(claim, judgement, judge_print(claim), simulated), VERSION: version})
    write_frame(pd.DataFrame(rows).convert_dtypes(), path, "%.6g")


def _versions(table: pd.DataFrame) -> str:
    """The versions of the code that a table's rows went through."""
    return lineage(*table.get(VERSION, [UNKNOWN]))


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
        "interval_over": run.interval_over,
        "margin": run.margin,
        "better": run.better,
        "compared": run.compared,
        "seeds": run.seeds,
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
