"""One fine-tuning from shards to checkpoint: what the workflow's rules and the command line both call."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mcd.errors import McdError
from mcd.models.unet import UNet
from mcd.registry import find
from mcd.seeding import derive_seed
from mcd.segmentation.length import equal_length
from mcd.segmentation.options import FinetuningTask
from mcd.segmentation.registry import REGISTRY, options_class, segmentation_class
from mcd.segmentation.supervised import set_prior
from mcd.segmentation.transfer import transfer
from mcd.slices.batches import MixedSlices, SliceSet, no_target
from mcd.slices.preparation import prepared_by, raw_digests, training_data
from mcd.slices.shards import Shards
from mcd.slices.splits import Split, read_split
from mcd.training.alone import training_alone
from mcd.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, weights_digest
from mcd.training.device import prepare
from mcd.training.history import LENGTH, History, Watch, warnings_of
from mcd.training.loop import train
from mcd.training.schedule import Compute
from mcd.version import UNKNOWN, code_version, lineage

log = logging.getLogger(__name__)


def finetune(
    task: FinetuningTask,
    *,
    shards: Sequence[str | Path],
    split: str | Path,
    output: str | Path,
    pretrained: str | Path | None = None,
    compute: Compute | None = None,
    resume: str | Path | None = None,
    about: Mapping[str, Any] | None = None,
    watch: Watch | None = None,
) -> History:
    """Train one modality's U-Net on the labelled subjects' slices with a target; write the checkpoint to `output`.

    A semi-supervised algorithm sees every slice with content, including those of the other training subjects without labels.

    Args:
        pretrained: a pre-training checkpoint to start from; None for random weights.
        resume: where the running state is kept; a killed call resumes from it and ends with the same weights. The caller
            removes it when the whole job is done. No other process may train with the same one at the time.
        about: added unchanged to the checkpoint's description.
        watch: is shown the losses after every epoch, and may ask for example images.

    Returns:
        The losses, one row per epoch.

    Raises:
        McdError: for an unknown algorithm, options that it does not have, or a checkpoint that does not fit.
    """
    compute = compute or Compute()
    device = prepare(compute)
    options = options_class(task.algorithm).read(task.options, f"options of {task.algorithm}")
    own_seed = derive_seed(
        task.seed, task.modality, task.label_ratio
    )  # without the method, so that rows differ only in it
    torch.manual_seed(derive_seed(own_seed, "weights"))
    unet = UNet(task.filters, out_channels=len(task.regions))
    set_prior(unet, task.prior_probability)
    description: dict[str, Any] = {
        **(about or {}),
        "algorithm": task.algorithm,
        "options": options.model_dump(),
        "modality": task.modality,
        "regions": task.regions,
        "filters": task.filters,
        "label_ratio": task.label_ratio,
        "transferred": [],
        "seed": task.seed,
    }
    version, warned, pretrained_on = "", [], []
    if pretrained is not None:
        checkpoint = load_checkpoint(pretrained, "pretraining")
        description["transferred"] = _transfer(checkpoint, unet, task, str(pretrained))
        version = checkpoint.description.get("mcd_version", UNKNOWN)
        warned = checkpoint.description.get("warnings", [])
        pretrained_on = checkpoint.description.get("raw_digests", {}).get(task.modality, [])
    identity = {
        **task.model_dump(mode="json"),
        "options": description["options"],
        "pretrained_weights": weights_digest({name: unet.state_dict()[name] for name in description["transferred"]}),
    }
    parts = read_split(split)
    if not parts.train:
        raise McdError(f"{split}: no training patient has a label, and pre-training alone needs none; add labels")
    with training_alone(resume), Shards(shards) as opened:
        description |= training_data(opened, parts.seen, task.modality)
        description["mcd_version"] = lineage(prepared_by(opened, parts.seen), version, code_version())
        slices = training_slices(opened, parts, task, device, compute.memory_limit_gb * 1e9)
        method = segmentation_class(task.algorithm)(unet, task.augmentation, options)
        method.transferred, method.transferred_rate = description["transferred"], task.transferred_rate
        history = train(
            method,
            slices,
            equal_length(task.schedule, method, slices, own_seed),
            compute,
            seed=own_seed,
            resume=Path(resume) if resume else None,
            identity=identity,
            watch=watch,
        )
        labelled, others = parts.labelled(task.label_ratio), parts.without_labels(task.label_ratio)
        sizes = {"subjects": len(parts.seen), "labelled": len(labelled), "slices": len(slices)}
        sizes |= {"unlabelled": len(parts.unlabelled)} if parts.unlabelled else {}
        if slices.known is not None:
            sizes["partly_labelled"] = int((~slices.known).any(axis=1).sum())
        description |= {measure: sum(row[measure] for row in history) for measure in LENGTH}
        description["warnings"] = [*(f"pre-training, {warning}" for warning in warned), *warnings_of(history)]
        mixed = find(REGISTRY, task.algorithm).unlabelled
        description["learned_from"] = {
            "labelled": raw_digests(opened, labelled, task.modality),
            "unlabelled": raw_digests(opened, others, task.modality) if mixed else [],
            "pretraining": pretrained_on,
        }
        description["card"] = {**description.get("card", {}), "training": sizes}
        save_checkpoint(Checkpoint("segmentation", description, {"network": unet.state_dict()}), output)
    return history


def _transfer(checkpoint: Checkpoint, unet: UNet, task: FinetuningTask, name: str) -> list[str]:
    """Load pre-trained weights into `unet`; return the names of the transferred tensors."""
    transferred = transfer(checkpoint, unet, task.modality, task.depth, name=name)
    log.info("transferred %d of %d tensors from %s", len(transferred), len(unet.state_dict()), name)
    return transferred


def _check_partial(known: np.ndarray, task: FinetuningTask) -> None:
    """Check that a method can learn where labels lack regions, (subjects, regions) bool, and that somebody's has each one."""
    if not vars(segmentation_class(task.algorithm)).get("partial_labels", False):
        raise McdError(
            f"{task.algorithm}: takes a region that a patient has no label of for background; leave such patients out, or say "
            "in the method that it does not (partial_labels)"
        )
    if missing := [region for region, held in zip(task.regions, known.T, strict=True) if not held.any()]:
        raise McdError(
            f"label_ratio {task.label_ratio:g}: none of the labels that it gives away holds {', '.join(missing)}; raise it, or "
            "leave that region out"
        )


def training_slices(
    shards: Shards, split: Split, task: FinetuningTask, device: torch.device, memory_limit: float
) -> SliceSet:
    """The slices with a target of the labelled subjects (Sec. V); for a semi-supervised algorithm, slices of all subjects.

    It is unknown which unlabelled slices contain a target, so a mixed set has every slice with content, also of the labelled
    subjects: see `mcd.segmentation.semi_supervised`.

    Raises:
        McdError: where no labelled slice has a target, or nothing is left unlabelled for an algorithm that needs it.
    """
    mixed = find(REGISTRY, task.algorithm).unlabelled
    modality, regions = task.modality, task.regions
    subjects = split.labelled(task.label_ratio)
    others = split.without_labels(task.label_ratio)
    if mixed and not others:
        raise McdError(
            f"label_ratio {task.label_ratio:g}: labels every training subject, but a semi-supervised algorithm needs "
            "unlabelled ones too; lower it"
        )
    limit = memory_limit / 2 if mixed else memory_limit  # either part may be the larger
    select = "content" if mixed else task.options.get("slices", "target")
    labelled = SliceSet(shards, subjects, [modality], regions=regions, select=select, device=device, memory_limit=limit)
    log.info("%s: %d labelled slices of %d subjects, on %s", modality, len(labelled), len(subjects), device)
    if not labelled.has_target.any():
        raise McdError(no_target(subjects))
    if labelled.known is not None:
        _check_partial(labelled.known, task)
    if not mixed:
        return labelled
    unlabelled = SliceSet(shards, others, [modality], select="content", device=device, memory_limit=limit)
    log.info("%s: %d unlabelled slices of %d subjects", modality, len(unlabelled), len(others))
    return MixedSlices(labelled, unlabelled)
