"""A U-Net without what its innermost layers know: what happens to its output says how much it uses them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mcd.diagnosis.numbers import Number
from mcd.evaluation.overlap import dsc
from mcd.models.unet import UNet
from mcd.prediction.fusion import THRESHOLD
from mcd.prediction.slices import BATCH_SIZE, load_network, predict_slices
from mcd.slices.batches import SliceSet
from mcd.slices.shards import Shards
from mcd.slices.splits import Split
from mcd.training.schedule import Compute

PATIENTS = 8
"""On whom a segmentation network is tried, at most (our choice: a second of processor time in the default run)."""


@contextmanager
def knocked_out(network: UNet, layers: int) -> Iterator[None]:
    """What up layer `layers` hands on is replaced by its mean of each channel, over the batch and all positions.

    The first `layers` up layers and the last `layers` down layers hand on nothing else: their skip connections end among them.
    For a generator that shares them, these are the shared layers (Table I).
    """

    def flat(module: torch.nn.Module, given: Any, output: Tensor) -> Tensor:
        return output.mean((0, 2, 3), keepdim=True).expand_as(output)

    handle = network.upsample[layers].register_forward_hook(flat)
    try:
        yield
    finally:
        handle.remove()


def segmentation_without(
    model: str | Path, layers: int, name: str, shards: Shards, split: Split, compute: Compute, device: torch.device
) -> list[Number]:
    """A fine-tuned network's DSC, as it is and knocked out: mean over patients of a patient's mean over regions.

    The patients are training patients whose labels the fine-tuning did not see, so that nothing is learnt about the test
    patients; none if it saw all, or if there are no labels.

    Args:
        model: checkpoint of a fine-tuning.
        layers, name: how many innermost layers are knocked out, and what they are called in `Number.layers`.
    """
    network, about = load_network(model, device)
    scores: dict[str, list[float]] = {"DSC": [], "DSC_without": []}
    used = set(split.labelled(about["label_ratio"]))
    others = [name for name in split.train if name not in used]
    for subject in with_region(shards, others, about["regions"])[:PATIENTS]:
        slices = SliceSet(shards, [subject], [about["modality"]], regions=about["regions"], select="all", device=device)
        batch = slices.batch(np.arange(len(slices)))
        assert batch.targets is not None
        truth = batch.targets.bool().transpose(0, 1).cpu().numpy()
        found = {"DSC": predict_slices(network, slices, BATCH_SIZE, compute)}
        with knocked_out(network, layers):
            found["DSC_without"] = predict_slices(network, slices, BATCH_SIZE, compute)
        for measure, probabilities in found.items():
            masks = probabilities >= THRESHOLD
            scores[measure].append(float(np.mean([dsc(*pair) for pair in zip(truth, masks, strict=True)])))
    run = {"modality": about["modality"], "method": about.get("method", ""), "label_ratio": about["label_ratio"]}
    return [
        Number("knock_out", measure, float(np.mean(values)), layers=name, **run)
        for measure, values in scores.items()
        if values
    ]


def with_region(shards: Shards, subjects: list[str], regions: dict[str, list[int]]) -> list[str]:
    """Those of some subjects whose label knows every region and holds one; none in a cohort without labels.

    Raises:
        McdError: for a label that cannot be read.
    """
    codes = {code for group in regions.values() for code in group}

    def holds_one(name: str) -> bool:
        return any(voxels.any() for code, voxels in shards.code_voxels(name).items() if code in codes)

    labelled = [name for name in subjects if shards.subject(name).labelled]
    return [name for name in labelled if all(map(shards.subject(name).knows, regions)) and holds_one(name)]
