"""What a run shows, before any table: the best methods, the proposed one's place, and by how much it leads or trails."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import pandas as pd

from mcd.evaluation.scores import PATIENTS
from mcd.reporting.claims.judge import Judgement, cells_of, judge_trainings
from mcd.reporting.claims.sentences import Claim
from mcd.reporting.page.contents import PageContents
from mcd.reporting.tables.content import INTERVALS
from mcd.reporting.tables.labelled import labelled_words, labels_words
from mcd.reporting.tables.spec import MEASURES, Key
from mcd.slices.splits import read_split

METRIC = "DSC"
SCRATCH = "fully_supervised"
SHOWN = 3  # of the best methods


def results(contents: PageContents, scores: pd.DataFrame) -> list[dict[str, Any]]:
    """One row for each cohort and label ratio at which methods are compared, in the order of the page's cohorts.

    A method's number is the mean over the cohort's modalities of its means in the tables. Modalities are those that the
    reference (`PageContents.reference`) was trained for; a method that lacks one of them has no place.
    """
    names = {key: words["label"] for key, words in contents.methods.items()}
    cells = cells_of(scores.assign(method=scores["method"].map(names)), [METRIC])
    ratios = sorted({key[3] for key in cells if key[3] is not None})
    splits = {cohort.name: [read_split(path) for path in cohort.splits] for cohort in contents.cohorts}
    rows = []
    for cohort, ratio in product(contents.cohorts, ratios):
        here = {key: values for key, values in cells.items() if key[0] == cohort.name and key[3] == ratio}
        reference = names.get(contents.reference or "")
        if (row := _result(here, reference, names.get(SCRATCH))) is not None:
            patients = labelled_words([ratio], {cohort.name: splits[cohort.name]}, {}).get(ratio)
            labels = labels_words(ratio, patients)
            rows.append({"cohort": cohort.title, "simulated": cohort.simulated, "labels": labels, **row})
    return rows


def _result(cells: Mapping[Key, pd.DataFrame], reference: str | None, scratch: str | None) -> dict[str, Any] | None:
    of_method: dict[str, dict[str, float]] = {}
    for (_, modality, method, _, _), values in cells.items():
        of_method.setdefault(method, {})[modality] = float(values.mean().mean())
    wanted = of_method.get(reference or "") or {modality for found in of_method.values() for modality in found}
    means = {
        method: sum(found[modality] for modality in wanted) / len(wanted)
        for method, found in of_method.items()
        if found.keys() >= set(wanted)
    }
    defined = {method: value for method, value in means.items() if value == value}
    if len(defined) < 2:
        return None
    order = sorted(defined, key=lambda method: -defined[method])
    decimals = MEASURES[METRIC].decimals
    best = [(method, f"{defined[method]:.{decimals}f}") for method in order[:SHOWN]]
    row: dict[str, Any] = {"best": best, "modalities": ", ".join(wanted), "methods": len(order), "against": []}
    if reference in defined:
        known = {key: values for key, values in cells.items() if key[1] in wanted and key[2] in defined}
        value = defined[reference]
        row |= {"reference": reference, "value": f"{value:.{decimals}f}"}
        row["place"] = 1 + sum(round(other, decimals) > round(value, decimals) for other in defined.values())
        row["against"] = list(_against(known, reference, order, scratch))
    return row


def _against(
    cells: Mapping[Key, pd.DataFrame], reference: str, order: Sequence[str], scratch: str | None
) -> Iterator[dict[str, str]]:
    """The reference against the best of all others, then against training from scratch, as claims are judged."""
    others = [method for method in order if method != reference]
    yield _judged("the best other", others[0], judge_trainings(_claim(reference, others), cells))
    if scratch in others and scratch != others[0]:
        yield _judged("training from scratch", scratch, judge_trainings(_claim(reference, [scratch]), cells))


def _claim(reference: str, others: Sequence[str]) -> Claim:
    """That a method is better than each of some others, on average over the modalities."""
    return Claim(0, "", "", "table2", METRIC, "above", "each method", (reference,), tuple(others))


def _judged(kind: str, method: str, judgement: Judgement) -> dict[str, str]:
    digits = MEASURES[METRIC].decimals
    found = {"kind": kind, "method": method, "interval": "", "over": "", "verdict": judgement.verdict}
    found["difference"] = f"{judgement.difference:+.{digits}f}"
    if judgement.ci_low is not None and judgement.ci_high is not None:
        found["interval"] = f"{judgement.ci_low:+.{digits - 1}f} to {judgement.ci_high:+.{digits - 1}f}"
        found["over"] = INTERVALS[judgement.interval_over or PATIENTS]
    found["verdict"] = {"holds": "better", "fails": "worse"}.get(judgement.verdict, judgement.verdict)
    found["remark"] = judgement.remark
    return found
