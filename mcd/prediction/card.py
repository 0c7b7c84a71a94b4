"""A model card: what the model is, what it was trained on, how it performs on test patients, and what it is not for.

The facts are in the checkpoint (docs/reference/formats.md, "Checkpoint"). The test results are in the score
file beside it, which may gain a metric after training. `render` joins the two in the sections of Mitchell et al.,
"Model Cards for Model Reporting" (FAT* 2019).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mcd.errors import McdError
from mcd.evaluation.metrics import METRICS
from mcd.evaluation.score_rows import FOLD, RUN, TRAINING
from mcd.evaluation.scores import read_scores, summarise
from mcd.methods import METHODS, PRETRAININGS
from mcd.seeding import seed_words
from mcd.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

MEAN = "mean"
"""In place of a region: a patient's mean over its regions, as in the tables."""


def scores_of(
    model: str | Path, description: Mapping[str, Any], scores: str | Path | None = None
) -> pd.DataFrame | None:
    """The test scores of a model, as `read_scores` returns them; None if there are none.

    Args:
        model: the checkpoint's path; `description` is the checkpoint's.
        scores: a score file; default `scores.csv` beside the model, if it is this model's.

    Raises:
        McdError: `scores` is missing, broken, or another model's.
    """
    path = Path(scores) if scores else Path(model).with_name("scores.csv")
    if not scores and not path.exists():
        return None
    table = read_scores([path])
    keys = [*RUN, *TRAINING, FOLD]
    own = tuple({"draw": 0, FOLD: 0, **description}.get(key, "") for key in keys)
    others = set(table[keys].itertuples(index=False, name=None)) - {own}
    if not others:
        return table
    if not scores:
        return None
    other, this = (", ".join(map(str, run)) for run in (min(others), own))
    raise McdError(f"{path}: holds scores of {other}, and {model} is {this}; give its own by --scores")


def record_licence(model: str | Path, licence: str) -> None:
    """Record in the file the licence that the model's owner chose."""
    checkpoint = load_checkpoint(model, "segmentation")
    checkpoint.description["card"] = {**checkpoint.description.get("card", {}), "licence": licence}
    save_checkpoint(checkpoint, model)


def summary(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per region and metric, in plain types: `region`, `metric`, `value`, `low`, `high`, `patients`.

    `value` is the mean over patients with a defined score, `low` and `high` its 95 % interval over patients, as in a table
    of this one training; None where there is none. Several regions end with their `MEAN`.
    """
    parts = {str(region): rows for region, rows in scores.groupby("region", sort=False)}
    if len(parts) > 1:
        parts[MEAN] = scores
    found = []
    for region, rows in parts.items():
        for mean in summarise(rows).to_dict("records"):
            value, low, high = (None if np.isnan(mean[key]) else mean[key] for key in ("value", "ci_low", "ci_high"))
            row = {"region": region, "metric": mean["metric"], "value": value, "low": low, "high": high}
            found.append({**row, "patients": mean["patients"]})
    return found


def render(checkpoint: Checkpoint, scores: pd.DataFrame | None = None) -> str:
    """The card of a segmentation checkpoint as Markdown. What the file does not say is shown as unknown.

    Args:
        scores: its test scores (`scores_of`), or None.
    """
    about = checkpoint.description
    card = about.get("card", {})
    data = card.get("data", {})
    regions, modality = about["regions"], about["modality"]
    name, simulated = about.get("cohort") or "unknown cohort", about.get("simulated")
    patients = {True: "simulated patients", False: "real patients", None: "not known whether simulated"}[simulated]
    method = METHODS.get(about.get("method", ""))
    pretraining = method.pretraining if method else None
    learned = f"`{about['algorithm']}` on the labels"
    if about["transferred"]:
        learned += f", from weights pre-trained by `{pretraining or 'an unknown method'}`"
        learned += f" on {about['pair']}" if about.get("pair") else ""
    weights = sum(tensor.numel() for key, tensor in checkpoint.weights["network"].items() if _is_weight(key))
    lines = [
        f"# Model card: {', '.join(regions)} in {modality} ({name})",
        "",
        "**For research only. This is not a medical device and must not be used for clinical decisions.**",
    ]
    if simulated:
        lines += ["", "**Trained and tested on simulated patients: its scores say nothing about real ones.**"]
    lines += ["", "## Model", ""]
    lines += _table(
        {
            "what": f"a segmentation of {modality} slices, one at a time: for each pixel the probability of each region",
            "regions": "; ".join(f"{region} (label codes {_words(codes)})" for region, codes in regions.items()),
            "method": f"{method.label} (`{about['method']}`)" if method else "unknown",
            "trained by": learned,
            "network": f"U-Net of the paper's Table I, f = {about['filters']}, {weights / 1e6:.2f} million weights",
            "trained with": f"mcd {checkpoint.version}, {seed_words(about)}",
            "paper": "Multi-ConDoS, IEEE Transactions on Medical Imaging, 2023",
            "licence": card.get("licence") or _default_licence(simulated, data.get("licence")),
        }
    )
    lines += [
        "",
        "## Intended use",
        "",
        f"Research on outlining {', '.join(regions)} in {modality} volumes of patients like those of training, preprocessed in "
        "the same way. Out of scope: diagnosis, treatment planning and every other decision about a patient; other modalities, "
        "diseases and parts of the body; use without a person who checks each outline.",
        "",
        "## Training data",
        "",
    ]
    training = card.get("training", {})
    lines += _table(
        {
            "cohort": f"{name}: {patients}",
            "training patients": training.get("subjects", "unknown"),
            **({"of them without any label": training["unlabelled"]} if training.get("unlabelled") else {}),
            **(
                {"of those with labels, some regions only": training["partly_labelled"]}
                if training.get("partly_labelled")
                else {}
            ),
            "of them with labels": f"{training.get('labelled', 'unknown')} (label ratio {100 * about['label_ratio']:g} %)",
            "slices": training.get("slices", "unknown"),
            **(
                {"data": data["title"], "their licence": data["licence"], "please cite": data["citation"]}
                if data
                else {}
            ),
        }
    )
    if pretraining and about["transferred"]:
        handed = PRETRAININGS[pretraining].hands_back
        lines += ["", f"Pre-training saw all training patients' slices, without labels. It trains {handed}."]
    if about.get("warnings"):
        lines += ["", "Warnings while it was trained:", "", *(f"- {warning}" for warning in about["warnings"])]
    lines += ["", "## Scores on test patients", "", *_scores(scores, name, patients)]
    lines += [
        "",
        "## Limits",
        "",
        "- An interval reflects the choice of test patients. Other labelled patients or another seed may change a score more.",
        "- Test and training patients come from one cohort: scanners, protocols and diseases that it lacks are untested.",
        "- The network segments any image, even one unlike its training data, and does not say how uncertain it is.",
        "- Slices are segmented one by one: outlines of neighbouring slices may be inconsistent.",
    ]
    return "\n".join(lines) + "\n"


def _is_weight(key: str) -> bool:
    return not key.endswith(("running_mean", "running_var", "num_batches_tracked"))


def _default_licence(simulated: bool | None, of_data: str | None) -> str:
    if simulated:
        return "Apache-2.0, as the code"
    words = "not stated. The code is Apache-2.0; what may be done with the weights depends on the terms of the cohort's data"
    return f"{words} ({of_data})" if of_data else words


def _words(codes: list[int]) -> str:
    return ", ".join(map(str, codes))


def _table(rows: Mapping[str, Any]) -> list[str]:
    return [
        "| | |",
        "|---|---|",
        *(f"| {key} | {str(value).replace('|', chr(92) + '|')} |" for key, value in rows.items()),
    ]


def _scores(scores: pd.DataFrame | None, name: str, patients: str) -> list[str]:
    if scores is None:
        return ["Not tested: there is no `scores.csv` of it beside the model. `mcd evaluate` tests it."]
    rows = summary(scores)
    cells = {(row["region"], row["metric"]): row for row in rows}
    heads = [metric.key + (f" ({metric.unit})" if metric.unit else "") for metric in METRICS]
    lines = [
        f"{scores['subject'].nunique()} patients of {name} ({patients}) that no training saw: mean over patients, and in "
        "brackets the 95 % interval over patients. It is about this model; another training would give another.",
        "",
        f"| region | {' | '.join(heads)} |",
        "|---" * (1 + len(heads)) + "|",
    ]
    for region in dict.fromkeys(row["region"] for row in rows):
        shown = [_number(cells[region, metric.key], metric.decimals) for metric in METRICS]
        lines.append(f"| {region} | {' | '.join(shown)} |")
    words = "; ".join(f"{metric.key}: {metric.label}" for metric in METRICS)
    lower = ", ".join(metric.key for metric in METRICS if not metric.higher_is_better)
    return [*lines, "", f"{words}. {lower}: lower is better, all others: higher."]


def _number(row: Mapping[str, Any], decimals: int) -> str:
    if row["value"] is None:
        return "undefined"
    if row["low"] is None:
        return f"{row['value']:.{decimals}f} (one patient)"
    return f"{row['value']:.{decimals}f} ({row['low']:.{decimals}f} to {row['high']:.{decimals}f})"
