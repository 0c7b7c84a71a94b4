"""What a training's files say by themselves: how far fine-tuning moved the weights, and what each loss weighs in the sum."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mcd.csv_files import read_csv
from mcd.diagnosis.findings import TERM_NAMES
from mcd.diagnosis.numbers import LAYERS, Number
from mcd.errors import McdError
from mcd.training.checkpoint import Checkpoint


def moved(before: Mapping[str, Tensor], model: Checkpoint) -> list[Number]:
    """For each layer that was transferred: `norm_ratio`, of the fine-tuned weights to the pre-trained, and their `cosine`.

    The kernels of convolutions alone: batch normalisation follows each, and its own weights begin at 1, not at random.

    Args:
        before: the state of the pre-trained U-Net for the model's modality.
        model: of kind `segmentation`.
    """
    about, after = model.description, model.weights["network"]
    kernels = [key for key in about["transferred"] if after[key].ndim == 4]
    run = {"modality": about["modality"], "method": about.get("method", ""), "label_ratio": about["label_ratio"]}
    rows = []
    for layer in LAYERS:
        keys = [key for key in kernels if layer_of(key) == layer]
        if not keys:
            continue
        old, new = (torch.cat([state[key].flatten().double() for key in keys]) for state in (before, after))
        rows.append(Number("moved", "norm_ratio", float(new.norm() / old.norm()), layers=layer, **run))
        rows.append(Number("moved", "cosine", float(old @ new / (old.norm() * new.norm())), layers=layer, **run))
    return rows


def layer_of(key: str) -> str:
    """The layer of Table I to which a tensor of a U-Net belongs: the transposed convolution that ends it, too."""
    part, number, *_ = key.split(".")
    first = {"encoder": 0, "upsample": 4, "decoder": 5}[part]  # upsample.0 ends down layer 4, upsample.1 up layer 1
    return LAYERS[first + int(number)]


def loss_terms(losses: str | Path, options: Mapping[str, Any], algorithm: str) -> list[Number]:
    """Each loss of a DSGAN times its weight, mean of the last epoch; of other algorithms the `total` (of each modality).

    Raises:
        McdError: for a file that is damaged, or not of this training.
    """
    last: dict[str, dict[str, str]] = {}
    for row in csv.DictReader(read_csv(losses)):
        last[row.get("modality", "")] = row
    weights = (
        {term: options[term] for term in TERM_NAMES if options.get(term)} if algorithm == "dsgan" else {"total": 1.0}
    )
    try:
        return [
            Number("loss", term, weight * float(row[term]), modality)
            for modality, row in last.items()
            for term, weight in weights.items()
        ]
    except (KeyError, ValueError) as error:
        raise McdError(f"{losses}: not the losses of this training ({error}); delete it to regenerate it") from None
