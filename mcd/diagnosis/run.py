"""The diagnosis of one pre-training, from its files: what the workflow's rule calls."""

import logging
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from mcd.diagnosis.generators import innermost, mean_image, retrieval, translation_errors
from mcd.diagnosis.knock_out import segmentation_without
from mcd.diagnosis.numbers import INNERMOST, Diagnosis, Number, mean_numbers, write_diagnoses
from mcd.diagnosis.probe import probe
from mcd.diagnosis.weights import loss_terms, moved
from mcd.errors import McdError
from mcd.pretraining.dsgan import DSGAN
from mcd.seeding import derive_seed
from mcd.slices.batches import SliceSet
from mcd.slices.shards import Shards
from mcd.slices.splits import Split, read_split
from mcd.training.checkpoint import Checkpoint, load_checkpoint
from mcd.training.device import prepare
from mcd.training.schedule import Compute
from mcd.translation.passes import Passes
from mcd.translation.run import load_generators
from mcd.version import UNKNOWN, code_version, lineage

log = logging.getLogger(__name__)


def diagnose(
    *,
    pretrained: str | Path,
    losses: str | Path,
    models: Sequence[str | Path],
    shards: Sequence[str | Path],
    split: str | Path,
    output: str | Path,
    columns: Mapping[str, Any],
    regions: Mapping[str, Sequence[int]],
    compute: Compute | None = None,
) -> Diagnosis:
    """Diagnose a pre-training, and write its numbers to `output` (docs/reference/formats.md, "Diagnosis").

    Of test patients only images are used, for translations and retrieval; labels are those of training patients.

    Args:
        pretrained, losses: a pre-training's checkpoint and losses.
        models: checkpoints of fine-tunings that started from it.
        columns: `cohort`, `pair`, `pretraining` and `seed`, and of one of several folds `fold`; the seed also draws what is
            sampled.

    Raises:
        McdError: for a file that is missing or damaged, or a model that did not start from this pre-training.
    """
    compute = compute or Compute()
    device = prepare(compute)
    checkpoint = load_checkpoint(pretrained, "pretraining")
    about, seed = checkpoint.description, columns["seed"]
    parts, groups = read_split(split), {name: list(codes) for name, codes in regions.items()}
    numbers = loss_terms(losses, about["options"], about["algorithm"])
    layers, name = 1, INNERMOST
    with Shards(shards) as opened:
        if about["algorithm"] == "dsgan":
            method = load_generators(pretrained)
            layers, name = innermost(method.generator)
            method.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            pairs = combinations(range(len(method.modalities)), 2)
            numbers += mean_numbers([_of_generators(method, pair, opened, parts, seed, compute) for pair in pairs])
        for modality, state in checkpoint.weights.items():
            numbers += probe(
                state,
                about["filters"],
                modality,
                opened,
                parts.train,
                groups,
                seed=derive_seed(seed, "probe", modality),
                person=parts.person,
                compute=compute,
                device=device,
            )
        for path in models:
            model = load_checkpoint(path, "segmentation")
            numbers += moved(_pretrained_state(checkpoint, model, path), model)
            numbers += segmentation_without(path, layers, name, opened, parts, compute, device)
    version = lineage(about.get("mcd_version", UNKNOWN), code_version())
    diagnosis = Diagnosis(**{**columns, "version": version, "numbers": numbers})
    write_diagnoses([diagnosis], output)
    log.info("%d numbers", len(numbers))
    return diagnosis


def _of_generators(
    method: DSGAN, pair: tuple[int, int], shards: Shards, split: Split, seed: int, compute: Compute
) -> list[Number]:
    """What the generators of a pair can do, on slices that show both of its modalities."""
    passes, limit = Passes(method, compute, reconstructions=False, pair=pair), compute.memory_limit_gb * 1e9 / 2
    modalities, device = [method.modalities[position] for position in pair], next(method.parameters()).device
    learned, unseen = (
        SliceSet(shards, part, modalities, device=device, memory_limit=limit) for part in (split.seen, split.test)
    )
    passes.estimate(learned, derive_seed(seed, "statistics"))
    numbers = []
    if method.translates:
        mean = mean_image(learned, derive_seed(seed, "mean image"))
        numbers += translation_errors(passes, unseen, mean, derive_seed(seed, "translations"))
    return numbers + retrieval(passes, unseen, derive_seed(seed, "retrieval"))


def _pretrained_state(checkpoint: Checkpoint, model: Checkpoint, path: str | Path) -> Mapping[str, Any]:
    """What a model started from. A model of another pre-training is refused as far as its layers show it."""
    state = checkpoint.weights.get(model.description["modality"], {})
    for key in model.description["transferred"]:
        if key not in state or state[key].shape != model.weights["network"][key].shape:
            raise McdError(f"{path}: did not start from this pre-training ({key}); fine-tune it again")
    if not model.description["transferred"]:
        raise McdError(f"{path}: started from random weights; give the models that started from this pre-training")
    return state
