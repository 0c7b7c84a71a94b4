"""The one training loop: any `Method`, on CPU or GPU, resumable to the same weights."""

import csv
import json
import logging
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from mcd.distributed.processes import average_gradients, is_first, of_first
from mcd.distributed.shares import processes
from mcd.errors import McdError
from mcd.files import atomic_path
from mcd.seeding import derive_seed
from mcd.slices.batches import SliceSet
from mcd.training.adam import Adam
from mcd.training.checkpoint import load_resume, save_resume
from mcd.training.cost import name_of, peak_gpu_memory, peak_memory
from mcd.training.method import Method
from mcd.training.schedule import Compute, Schedule

log = logging.getLogger(__name__)

History = list[dict[str, Any]]
"""One row an epoch: `epoch`, `learning_rate`, what it cost, and its mean of every loss (docs/formats.md, "Losses")."""


def train(
    method: Method,
    slices: SliceSet,
    schedule: Schedule,
    compute: Compute,
    *,
    seed: int,
    resume: Path | None = None,
    identity: dict[str, Any] | None = None,
    save_every: float = 60.0,
) -> History:
    """Train `method` in place on `slices`.

    Every epoch draws its batches and its random numbers from `seed` and its own number, so a training that goes on from
    the end of an epoch ends with the weights of one that was never interrupted. Several processes that were started together
    (`mcd.distributed.processes`) go through the same steps as one, and the first of them keeps the state.

    Args:
        seed: of everything random but the initial weights, which the caller drew.
        resume: file to keep the running state in, rewritten at the end of an epoch when `save_every` seconds have passed
            since the last time. The caller removes it once the result is written. None to keep nothing.
        identity: what makes this training what it is; a resume file of another identity is not taken up.

    Raises:
        McdError: when a loss is no longer finite, naming the loss and the epoch; when there are more processes than slices
            in a batch.
    """
    device = slices.device
    if min(schedule.batch_size, len(slices)) < processes():
        raise McdError(
            f"training: {processes()} processes cannot share a batch of {min(schedule.batch_size, len(slices))}"
        )
    if compute.compile and processes() > 1:
        raise McdError("training: compute.compile is for one process; leave it out, or train with one")
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    method.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    players = {name: list(parameters) for name, parameters in method.players().items()}
    optimizers = {
        name: Adam(
            parameters,
            lr=schedule.learning_rate,
            betas=schedule.betas,
            weight_decay=schedule.weight_decay,
            fused=True,
        )
        for name, parameters in players.items()
    }
    whole_identity = json.dumps(
        {"method": identity, "schedule": str(schedule), "seed": seed, "slices": len(slices)}, sort_keys=True
    )
    history: History = []
    state = of_first(lambda: load_resume(resume, whole_identity)) if resume else None
    if state:
        method.load_state_dict(state["method"])
        for name, optimizer in optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        history = state["history"]
        log.info("going on after epoch %d of %d", len(history), schedule.epochs)

    if compute.compile:
        _compile_blocks(method)
    steps_per_epoch = schedule.steps_per_epoch or sum(1 for _ in _pass(method, slices, schedule, seed, 0))
    saved = time.monotonic()
    bar = tqdm(
        total=schedule.epochs, initial=len(history), unit="epoch", disable=None if is_first() else True, leave=False
    )
    for epoch in range(len(history), schedule.epochs):
        torch.manual_seed(derive_seed(seed, "epoch", epoch))
        method.train()
        method.before_epoch(epoch, schedule.epochs)
        sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=device))
        seen, images, started = 0, 0, time.monotonic()
        for step, indices in enumerate(_epoch_batches(method, slices, schedule, seed, epoch)):
            rate = schedule.learning_rate * schedule.rate(epoch + (step + 1) / steps_per_epoch)
            batch = slices.batch(indices)
            for name, optimizer in optimizers.items():
                for group in optimizer.param_groups:
                    group["lr"] = rate
                with _only(name, players), compute.autocast(device):
                    losses = method.losses(batch, name)
                    optimizer.zero_grad(set_to_none=True)
                    losses["total"].backward()
                average_gradients(players[name])
                optimizer.step()
                for loss, value in losses.items():
                    label = f"{name}_{loss}" if len(players) > 1 and loss == "total" else loss
                    sums[label] += value.detach()
            method.after_step(epoch * steps_per_epoch + step + 1, schedule.epochs * steps_per_epoch)
            seen += len(indices)
            images += batch.images.shape[0] * batch.images.shape[1]
        means = {loss: float(value) / steps_per_epoch for loss, value in sums.items()}
        for loss, mean in means.items():
            if not np.isfinite(mean):
                raise McdError(
                    f"training: the loss {loss} became {mean} in epoch {epoch + 1}; lower the learning rate or its weight"
                )
        seconds = time.monotonic() - started
        speed = seen / seconds
        history.append(
            {
                "epoch": epoch + 1,
                "learning_rate": rate,
                "slices_per_second": round(speed, 1),
                "seconds": round(seconds, 3),
                "images": images,
                "memory_mib": peak_memory(),
                "gpu_memory_mib": peak_gpu_memory(device),
                "device": name_of(device),
                **means,
            }
        )
        log.info(
            "epoch %d/%d  %s  %.0f slices/s",
            epoch + 1,
            schedule.epochs,
            "  ".join(f"{k} {v:.4f}" for k, v in means.items()),
            speed,
        )
        bar.update()
        if resume and is_first() and time.monotonic() - saved >= save_every:
            save_resume(
                {
                    "identity": whole_identity,
                    "method": method.state_dict(),
                    "optimizers": {name: optimizer.state_dict() for name, optimizer in optimizers.items()},
                    "history": history,
                },
                resume,
            )
            saved = time.monotonic()
    bar.close()
    method.eval()
    return history


def _compile_blocks(method: Method) -> None:
    """Compile each convolution block where it stands: the layers fuse, and no weight changes its name."""
    torch._dynamo.config.recompile_limit = 256  # every block of every size is one entry of the same cache
    for module in method.modules():
        if isinstance(module, nn.Sequential):
            module.compile(dynamic=False)


def _pass(method: Method, slices: SliceSet, schedule: Schedule, seed: int, number: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(derive_seed(seed, "batches", number))
    return method.batches(slices, schedule.batch_size, rng)


def _epoch_batches(method: Method, slices: SliceSet, schedule: Schedule, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """One pass, or as many passes as make `steps_per_epoch`, each drawn anew."""
    if schedule.steps_per_epoch is None:
        yield from _pass(method, slices, schedule, seed, epoch)
        return
    left, number = schedule.steps_per_epoch, 0
    while left:
        for indices in _pass(method, slices, schedule, derive_seed(seed, epoch), number):
            yield indices
            left -= 1
            if not left:
                return
        number += 1


@contextmanager
def _only(player: str, players: dict[str, list[nn.Parameter]]) -> Iterator[None]:
    """Let gradients reach one player's parameters alone: saves the work, and guarantees that the others stand still."""
    for name, parameters in players.items():
        for parameter in parameters:
            parameter.requires_grad_(name == player)
    try:
        yield
    finally:
        for parameters in players.values():
            for parameter in parameters:
                parameter.requires_grad_(True)


def write_history(history: History, path: str | Path) -> None:
    """The losses as CSV, one row an epoch."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(name for row in history for name in row)))
        writer.writeheader()
        writer.writerows(history)
