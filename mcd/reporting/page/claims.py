"""The claims, a block for each sentence, filtered by this run's verdict, by that of the printed numbers, and by words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mcd.csv_files import read_csv
from mcd.reporting.page.contents import PageContents
from mcd.reporting.page.elements import View
from mcd.reporting.tables.content import INTERVALS
from mcd.reporting.tables.spec import MEASURES

VERDICTS = ("holds", "fails", "undecided", "not computed")


def claims_view(contents: PageContents, path: str | Path) -> View:
    """The view of a file of claims (`mcd.reporting.claims.judge.write_claims`)."""
    claims = pd.read_csv(read_csv(path), keep_default_na=False, dtype=str)
    simulated = dict.fromkeys(" ".join(claims["simulated"]).split())
    return View.of(
        "claims",
        "Claims",
        "claims",
        simulated=[contents.cohort_title(name) for name in simulated],
        filters=[
            _filter("run", "this run", claims["verdict"]),
            _filter("paper", "the paper’s numbers", claims["paper_verdict"]),
        ],
        sentences=_sentences(claims.to_dict("records")),
    )


def _sentences(claims: list[dict[Any, str]]) -> dict[str, list[dict[str, Any]]]:
    """The blocks of `computed` sentences, of which this run has at least one verdict, and of `missing` ones."""
    found: dict[str, list[dict[str, Any]]] = {"computed": [], "missing": []}
    for number in dict.fromkeys(claim["number"] for claim in claims):
        own = [claim for claim in claims if claim["number"] == number]
        said = {name: own[0][name] for name in ("number", "section", "source", "sentence", "note")}
        readings = {claim["reading"] for claim in own}
        said["reading"] = readings.pop() if len(readings) == 1 else ""  # else each row says its own
        rows = [{**_row(claim), "reading": "" if said["reading"] else claim["reading"]} for claim in own]
        found["missing" if all(map(_missing, own)) else "computed"].append({**said, "rows": rows})
    return found


def _filter(by: str, words: str, verdicts: pd.Series) -> dict[str, Any]:
    """A row of buttons, each with the number of claims that it leaves; "" leaves all."""
    known = [
        verdict for verdict in VERDICTS if by == "run" or verdict != "undecided"
    ]  # printed numbers have no intervals
    counts = {verdict: int((verdicts == verdict).sum()) for verdict in known}
    return {"by": by, "words": words, "verdicts": {"": len(verdicts), **counts}}


def _missing(claim: Mapping[Any, str]) -> bool:
    return claim["verdict"] == "not computed"


def _row(claim: Mapping[Any, str]) -> dict[str, Any]:
    """The results of the run and of the printed numbers, in one metric."""
    return {"metric": MEASURES[claim["metric"]].key, "run": _said(claim, ""), "paper": _said(claim, "paper_")}


def _said(claim: Mapping[Any, str], prefix: str) -> dict[str, str]:
    """The verdict of the run ("") or of the printed numbers ("paper_"), its remark and numbers; missing ones are ""."""
    metric = MEASURES[claim["metric"]]
    found = dict.fromkeys(("difference", "value", "unit", "interval", "cases", "share"), "")
    found |= {"verdict": claim[f"{prefix}verdict"], "remark": claim[f"{prefix}remark"]}
    if difference := claim[f"{prefix}difference"]:
        number = f"{float(difference):+.{metric.decimals}f}"
        found |= {"difference": number, "value": difference, "unit": metric.unit}
    if not prefix and claim["ci_low"]:  # printed numbers have none
        low, high = (f"{float(claim[end]):+.{max(1, metric.decimals - 1)}f}" for end in ("ci_low", "ci_high"))
        found["interval"] = f"{low} to {high} {INTERVALS[claim['interval_over']]}"
    if compared := claim[f"{prefix}compared"]:
        better = claim[f"{prefix}better"]
        found |= {"cases": f"{better} of {compared}", "share": f"{int(better) / int(compared):.4f}"}
    return found
