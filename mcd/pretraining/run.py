"""One pre-training from shards to checkpoint: what the workflow's rule and the command line both call."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mcd.distributed.processes import is_first, together
from mcd.errors import McdError
from mcd.pretraining.base import Pretraining
from mcd.pretraining.options import PretrainingOptions, PretrainingTask
from mcd.pretraining.registry import REGISTRY, options_class, pretraining_class
from mcd.registry import find
from mcd.seeding import derive_seed
from mcd.slices.batches import PairedSlices, PooledSlices, SliceSet
from mcd.slices.preparation import prepared_by, raw_digests
from mcd.slices.shards import Shards
from mcd.slices.splits import read_split
from mcd.training.alone import training_alone
from mcd.training.checkpoint import Checkpoint, save_checkpoint
from mcd.training.device import prepare
from mcd.training.history import History, Pictures, Watch, warnings_of
from mcd.training.loop import train
from mcd.training.schedule import Compute
from mcd.version import code_version, lineage

log = logging.getLogger(__name__)


def pretrain(
    task: PretrainingTask,
    *,
    shards: Sequence[str | Path],
    split: str | Path,
    output: str | Path,
    compute: Compute | None = None,
    resume: str | Path | None = None,
    about: dict[str, Any] | None = None,
    watch: Watch | None = None,
) -> History:
    """Pre-train on every training subject's slices, without labels, and write the checkpoint to `output`.

    Under `torchrun` its processes share every batch, and the first of them writes.

    Args:
        resume: where the running state is kept; a killed call resumes from it and ends with the same weights. No other
            process may train with the same one at the time.
        about: added unchanged to the checkpoint's description (cohort, names, ...).
        watch: is shown the losses after every epoch, those of earlier modalities too; it may ask for example images.

    Returns:
        The losses, one row per epoch (of each modality in turn, for a single-modal algorithm).

    Raises:
        McdError: for an unknown algorithm, or options that it does not have.
    """
    compute = compute or Compute()
    device = prepare(compute)
    options = options_class(task.algorithm).read(task.options, f"options of {task.algorithm}")
    groups = _groups(task)
    description = _describe(task, options, about or {})
    weights: dict[str, dict[str, Tensor]] = {}
    history: History = []
    resumes = [Path(f"{resume}.{'-'.join(group)}") if resume else None for group in groups]
    with Shards(shards) as opened, together(device), training_alone(resume):
        subjects = read_split(split).seen
        for group, own_resume in zip(groups, resumes, strict=True):
            slices = _slices(opened, subjects, group, _in_pairs(task, group), device, compute)
            of_group = {} if len(groups) == 1 else {"modality": group[0]}
            shown = _behind(history, of_group, watch)
            method, rows = _train_group(task, options, group, slices, compute, own_resume, shown)
            history = [*history, *({**of_group, **row} for row in rows)]
            weights |= {modality: method.unet_state(modality) for modality in group}
        description |= {
            "shared": method.shared,
            "trained": method.trained_keys(weights[group[-1]]),
            "mcd_version": lineage(prepared_by(opened, subjects), code_version()),
            "raw_digests": {modality: raw_digests(opened, subjects, modality) for modality in weights},
        }
        description["warnings"] = warnings_of(history)
        if is_first():
            save_checkpoint(Checkpoint("pretraining", description, weights), output)
            for path in filter(None, resumes):
                path.unlink(missing_ok=True)
    return history


def _groups(task: PretrainingTask) -> list[tuple[str, ...]]:
    """The modalities of each training: all together, or each in a training of its own."""
    algorithm = find(REGISTRY, task.algorithm)
    if algorithm.multimodal and len(task.modalities) != 2 and not (algorithm.any_number and len(task.modalities) > 2):
        raise McdError(f"{task.algorithm}: pre-trains on a pair; name two modalities, such as CT-PET")
    if algorithm.multimodal or task.sees == "both":
        return [task.modalities]
    return [(modality,) for modality in task.modalities]


def _describe(task: PretrainingTask, options: PretrainingOptions, about: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint's description, as far as it is known before training."""
    return {
        **about,
        "algorithm": task.algorithm,
        "options": options.model_dump(),
        "modalities": list(task.modalities),
        "filters": task.filters,
        "seed": task.seed,
    }


def _in_pairs(task: PretrainingTask, group: tuple[str, ...]) -> bool:
    """Whether a training sees more than two modalities, a pair of them in each step."""
    return len(group) > 2 and find(REGISTRY, task.algorithm).multimodal


def _slices(
    shards: Shards,
    subjects: Sequence[str],
    group: tuple[str, ...],
    in_pairs: bool,
    device: torch.device,
    compute: Compute,
) -> SliceSet:
    """All slices with content of the training subjects, in all modalities of a group or, `in_pairs`, in two of them."""
    limit = compute.memory_limit_gb * 1e9
    slices = SliceSet(
        shards, subjects, group, select="pairs" if in_pairs else "content", device=device, memory_limit=limit
    )
    kept = "held in memory" if slices.in_memory else "streamed"
    log.info("%s: %d slices of %d subjects, %s, on %s", "-".join(group), len(slices), len(subjects), kept, device)
    return slices


def _behind(history: History, of_group: dict[str, str], watch: Watch | None) -> Watch | None:
    """`watch`, shown the losses of one group's training behind those of the groups before it."""
    if watch is None:
        return None

    def shown(rows: History, pictures: Pictures) -> None:
        watch([*history, *({**of_group, **row} for row in rows)], pictures)

    return shown


def _train_group(
    task: PretrainingTask,
    options: PretrainingOptions,
    group: tuple[str, ...],
    slices: SliceSet,
    compute: Compute,
    resume: Path | None,
    watch: Watch | None,
) -> tuple[Pretraining, History]:
    """One training, of all modalities of a group."""
    own_seed = derive_seed(task.seed, *group)
    torch.manual_seed(derive_seed(own_seed, "weights"))
    method = pretraining_class(task.algorithm)(options, task.filters, group, slices.size)
    steps = task.steps_per_epoch
    if len(group) > 1 and not find(REGISTRY, task.algorithm).multimodal:
        slices = PooledSlices(slices)
    elif _in_pairs(task, group):
        slices = PairedSlices(slices)
        steps = steps and math.ceil(steps * len(group) / 2)  # so that each modality is seen as often as in its pair
    schedule = options.schedule(task.epochs, task.batch_size, steps)
    identity = {**task.model_dump(mode="json"), "options": options.model_dump(mode="json"), "of": group}
    rows = train(method, slices, schedule, compute, seed=own_seed, resume=resume, identity=identity, watch=watch)
    return method, rows
