"""One fine-tuning from shards to checkpoint, and its test: what the workflow's rules and the command line both call."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from mcd.errors import McdError
from mcd.evaluation.scores import score_subject, write_scores
from mcd.models.unet import UNet
from mcd.prediction.fusion import FUSIONS, THRESHOLD, fuse
from mcd.prediction.masks import write_predictions
from mcd.prediction.origin import training_data
from mcd.prediction.slices import BATCH_SIZE, load_network, predict_slices
from mcd.registry import make_options
from mcd.seeding import derive_seed
from mcd.segmentation import segmentation_class
from mcd.segmentation.transfer import transfer
from mcd.slices.augment import Augmentation
from mcd.slices.batches import MixedSlices, Regions, SliceSet
from mcd.slices.shards import Shards
from mcd.slices.splits import Split, read_split
from mcd.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mcd.training.loop import History, train
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
    description["card"] = {**description.get("card", {}), "training": sizes}  # the test is added by `record_test`
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


def evaluate(
    *,
    shards: Sequence[str | Path],
    split: str | Path,
    model: str | Path,
    scores: str | Path,
    predictions: str | Path,
    columns: Mapping[str, Any],
    batch_size: int = BATCH_SIZE,
    compute: Compute | None = None,
) -> pd.DataFrame:
    """Predict every slice of every test subject and score each subject's volume (Sec. V, "Evaluation").

    Args:
        scores: CSV to write, one row a subject and region.
        predictions: HDF5 to write, the masks (docs/formats.md).
        columns: put before the scores in each row (cohort, pair, method, ...).

    Returns:
        The rows of `scores`.
    """
    compute = compute or Compute()
    device = compute.prepare()
    network, description = load_network(model, device)
    regions, modality = description["regions"], description["modality"]
    rows: list[dict[str, Any]] = []
    masks: dict[str, np.ndarray] = {}
    with Shards(shards) as opened:
        for subject in read_split(split).test:
            slices = SliceSet(opened, [subject], [modality], regions=regions, select="all", device=device)
            predicted, truth = predict_slices(network, slices, batch_size, compute)
            masks[subject] = predicted >= THRESHOLD
            spacing = opened.subject(subject).spacing
            rows += [{**columns, "subject": subject, **row} for row in _scores(regions, truth, masks[subject], spacing)]
    table = pd.DataFrame(rows)
    write_predictions(masks, list(regions), predictions)
    write_scores(rows, scores)
    log.info("mean over %d test subjects: DSC %.4f, Sen %.4f", len(masks), table["DSC"].mean(), table["Sen"].mean())
    return table


def evaluate_fused(
    *,
    shards: Sequence[str | Path],
    split: str | Path,
    models: Sequence[str | Path],
    scores: str | Path,
    columns: Mapping[str, Any],
    compute: Compute | None = None,
) -> pd.DataFrame:
    """Score two modalities' networks on every test subject, each alone and fused (beyond the paper).

    The single networks are scored again, by the code that scores the fused ones, so that one file holds what is compared.

    Args:
        models: checkpoints of two fine-tunings with the same regions, in the order of the pair.
        scores: CSV to write, one row a way, subject and region.
        columns: as in `evaluate`; `method` becomes `<method>/first`, `/second`, `/mean` or `/staple`.

    Returns:
        The rows of `scores`.
    """
    compute = compute or Compute()
    device = compute.prepare()
    loaded = [load_network(model, device) for model in models]
    regions = loaded[0][1]["regions"]
    for model, (_, description) in zip(models, loaded, strict=True):
        if description["regions"] != regions:
            raise McdError(
                f"{model}: predicts {description['regions']}, {models[0]} {regions}; fuse networks of one kind"
            )
    rows: list[dict[str, Any]] = []
    with Shards(shards) as opened:
        for subject in read_split(split).test:
            predicted = []
            for network, description in loaded:
                modality = [description["modality"]]
                slices = SliceSet(opened, [subject], modality, regions=regions, select="all", device=device)
                found, truth = predict_slices(network, slices, BATCH_SIZE, compute)
                predicted.append(found)
            ways = dict(zip(("first", "second"), predicted, strict=True))
            for way, found in {**ways, **{how: fuse(predicted, how) for how in FUSIONS}}.items():
                own = {**columns, "method": f"{columns['method']}/{way}", "subject": subject}
                spacing = opened.subject(subject).spacing
                rows += [{**own, **row} for row in _scores(regions, truth, found >= THRESHOLD, spacing)]
    write_scores(rows, scores)
    return pd.DataFrame(rows)


def _scores(
    regions: Regions, truth: np.ndarray, predicted: np.ndarray, spacing_zyx: Sequence[float]
) -> list[dict[str, Any]]:
    """Score masks (regions, z, y, x): a row a region."""
    there, found = (dict(zip(regions, masks, strict=True)) for masks in (truth, predicted))
    return score_subject(there, found, spacing_zyx)
