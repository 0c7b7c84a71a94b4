"""One fine-tuning from shards to checkpoint: what the workflow's rules and the command line both call."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from mcd.errors import McdError
from mcd.models.unet import UNet
from mcd.prediction.origin import training_data
from mcd.registry import make_options
from mcd.seeding import derive_seed
from mcd.segmentation import segmentation_class
from mcd.segmentation.transfer import transfer
from mcd.slices.augment import Augmentation
from mcd.slices.batches import MixedSlices, Regions, SliceSet
from mcd.slices.shards import Shards
from mcd.slices.splits import Split, read_split
from mcd.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mcd.training.history import History
from mcd.training.loop import train
from mcd.training.schedule import Compute, Schedule

log = logging.getLogger(__name__)


def finetune(
    *,
    shards: Sequence[str | Path],
    split: str | Path,
    output: str | Path,
    modality: str,
    regions: Regions,
    label_ratio: float,
    filters: int,
    schedule: Schedule,
    augmentation: Augmentation,
    algorithm: str = "supervised",
    options: dict[str, Any] | None = None,
    pretrained: str | Path | None = None,
    depth: int = 3,
    seed: int = 0,
    compute: Compute | None = None,
    resume: str | Path | None = None,
    about: Mapping[str, Any] | None = None,
) -> History:
    """Train one modality's U-Net on the labelled subjects' slices that hold a target; write the checkpoint to `output`.

    A semi-supervised algorithm sees every slice with content, and the other training subjects' too, without their labels.

    Args:
        label_ratio: share of the training subjects whose labels are used, (0, 1].
        options: of the algorithm; unknown or impossible ones are an error.
        pretrained: a pre-training checkpoint to start from; None for random weights.
        depth: layers of the decoder to transfer (Table VIII).
        resume: where the running state is kept; a killed call goes on from there and ends with the same weights. The caller
            removes it when nothing of the job can be lost any more.
        about: put into the checkpoint's description as it is.

    Returns:
        The losses, one row an epoch.
    """
    compute = compute or Compute()
    device = compute.prepare()
    method_class = segmentation_class(algorithm)
    settings = make_options(method_class, algorithm, options or {})
    if method_class.uses_unlabelled and schedule.steps_per_epoch:
        # half of a batch is labelled: twice the steps show the labelled slices as often as a supervised training does
        schedule = replace(schedule, steps_per_epoch=2 * schedule.steps_per_epoch)
    own_seed = derive_seed(seed, modality, label_ratio)  # not the method: rows of a table differ in nothing else
    torch.manual_seed(derive_seed(own_seed, "weights"))
    unet = UNet(filters, out_channels=len(regions))
    transferred: list[str] = []
    if pretrained is not None:
        checkpoint = load_checkpoint(pretrained, "pretraining")
        transferred = transfer(checkpoint, unet, modality, depth, name=str(pretrained))
        log.info("transferred %d of %d tensors from %s", len(transferred), len(unet.state_dict()), pretrained)
    description: dict[str, Any] = {
        **(about or {}),
        "algorithm": algorithm,
        "options": asdict(settings),
        "modality": modality,
        "regions": {name: list(codes) for name, codes in regions.items()},
        "filters": filters,
        "label_ratio": label_ratio,
        "transferred": transferred,
        "seed": seed,
    }
    parts = read_split(split)
    with Shards(shards) as opened:
        description |= training_data(opened, parts.train, modality)
        slices = _training_slices(
            opened,
            parts,
            label_ratio,
            modality,
            regions,
            mixed=method_class.uses_unlabelled,
            device=device,
            memory_limit=compute.memory_limit_gb * 1e9,
        )
        method = method_class(unet, augmentation, settings)
        history = train(
            method,
            slices,
            schedule,
            compute,
            seed=own_seed,
            resume=Path(resume) if resume else None,
            identity=description,
        )
    sizes = {"subjects": len(parts.train), "labelled": len(parts.labelled(label_ratio)), "slices": len(slices)}
    description["card"] = {**description.get("card", {}), "training": sizes}
    save_checkpoint(Checkpoint("segmentation", description, {"network": unet.state_dict()}), output)
    return history


def _training_slices(
    shards: Shards,
    split: Split,
    label_ratio: float,
    modality: str,
    regions: Regions,
    *,
    mixed: bool,
    device: torch.device,
    memory_limit: float,
) -> SliceSet:
    """The slices with a target of the subjects whose labels may be used (Sec. V); where `mixed`, all slices of everybody.

    Which unlabelled slices hold a target nobody knows, so a mixed set takes every slice with content, of the labelled
    subjects too: see `mcd.segmentation.semi_supervised`.
    """
    subjects = split.labelled(label_ratio)
    others = split.train[len(subjects) :]
    if mixed and not others:
        raise McdError(
            f"label_ratio {label_ratio:g}: labels every training subject, and a semi-supervised algorithm needs unlabelled "
            "ones too; lower it"
        )
    limit = memory_limit / 2 if mixed else memory_limit  # either part may be the larger
    select = "content" if mixed else "target"
    labelled = SliceSet(shards, subjects, [modality], regions=regions, select=select, device=device, memory_limit=limit)
    log.info("%s: %d labelled slices of %d subjects, on %s", modality, len(labelled), len(subjects), device)
    if not mixed:
        return labelled
    unlabelled = SliceSet(shards, others, [modality], select="content", device=device, memory_limit=limit)
    log.info("%s: %d unlabelled slices of %d subjects", modality, len(unlabelled), len(others))
    return MixedSlices(labelled, unlabelled)
