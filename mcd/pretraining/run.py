"""One pre-training from shards to checkpoint: what the workflow's rule and the command line both call."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mcd.distributed.processes import is_first, together
from mcd.pretraining import pretraining_class
from mcd.registry import make_options
from mcd.seeding import derive_seed
from mcd.slices.batches import PooledSlices, SliceSet
from mcd.slices.shards import Shards
from mcd.slices.splits import read_split
from mcd.training.checkpoint import Checkpoint, save_checkpoint
from mcd.training.history import History
from mcd.training.loop import train
from mcd.training.schedule import Compute

log = logging.getLogger(__name__)


def pretrain(
    *,
    shards: Sequence[str | Path],
    split: str | Path,
    output: str | Path,
    algorithm: str,
    options: dict[str, Any],
    modalities: tuple[str, str],
    filters: int,
    epochs: int,
    batch_size: int,
    steps_per_epoch: int | None = None,
    sees: str = "own",
    seed: int = 0,
    compute: Compute | None = None,
    resume: str | Path | None = None,
    about: dict[str, Any] | None = None,
) -> History:
    """Pre-train on every training subject's slices, without labels, and write the checkpoint to `output`.

    Under `torchrun` its processes share every batch, and the first of them writes.

    Args:
        modalities: the pair (X, Y).
        sees: what a single-modal algorithm is shown: each modality `own` slices, in a training of its own, or `both`
            modalities' slices in one pool, whose one network then serves both.
        options: of the algorithm; unknown or impossible ones are an error.
        resume: where the running state is kept meanwhile; a killed call goes on from there and ends with the same weights.
        about: put into the checkpoint's description as it is (cohort, names, ...).

    Returns:
        The losses, one row an epoch (of each modality in turn, for a single-modal algorithm).
    """
    compute = compute or Compute()
    device = compute.prepare()
    method_class = pretraining_class(algorithm)
    settings = make_options(method_class, algorithm, options)
    schedule = settings.schedule(epochs, batch_size, steps_per_epoch)
    if method_class.multimodal or sees == "both":
        groups: list[tuple[str, ...]] = [modalities]
    else:
        groups = [(modality,) for modality in modalities]
    weights: dict[str, dict[str, torch.Tensor]] = {}
    history: History = []
    description: dict[str, Any] = {
        **(about or {}),
        "algorithm": algorithm,
        "options": asdict(settings),
        "modalities": list(modalities),
        "filters": filters,
        "shared": getattr(settings, "shared", 1),
        "seed": seed,
    }
    resumes: list[Path] = []
    with Shards(shards) as opened, together(device):
        subjects = read_split(split).train
        for group in groups:
            slices = SliceSet(
                opened, subjects, group, select="content", device=device, memory_limit=compute.memory_limit_gb * 1e9
            )
            log.info(
                "%s on %s: %d slices of %d subjects, %s, on %s",
                algorithm,
                "-".join(group),
                len(slices),
                len(subjects),
                "held in memory" if slices.in_memory else "streamed",
                device,
            )
            own_seed = derive_seed(seed, *group)
            torch.manual_seed(derive_seed(own_seed, "weights"))
            method = method_class(settings, filters, group, slices.size)
            if len(group) > 1 and not method_class.multimodal:
                slices = PooledSlices(slices)
            own_resume = Path(f"{resume}.{'-'.join(group)}") if resume else None
            rows = train(
                method,
                slices,
                schedule,
                compute,
                seed=own_seed,
                resume=own_resume,
                identity={key: value for key, value in description.items() if key != "trained"} | {"of": group},
            )
            history += rows if len(groups) == 1 else [{"modality": group[0], **row} for row in rows]
            for modality in group:
                state = method.unet_state(modality)
                weights[modality] = state
                description["trained"] = method.trained_keys(state)
            resumes += [own_resume] if own_resume else []
        if is_first():
            save_checkpoint(Checkpoint("pretraining", description, weights), output)
            for path in resumes:
                path.unlink(missing_ok=True)
    return history
