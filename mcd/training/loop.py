"""The one training loop: any `Method`, on CPU or GPU, resumable to the same weights."""

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
from mcd.durations import duration
from mcd.errors import McdError
from mcd.seeding import derive_seed
from mcd.slices.batches import Batch, SliceSet
from mcd.training.adam import Adam, last_move
from mcd.training.checkpoint import load_resume, save_resume
from mcd.training.cost import name_of, peak_gpu_memory, peak_memory
from mcd.training.device import autocast, compiling, numerics
from mcd.training.guards import warnings
from mcd.training.history import SEPARATOR, History, Watch, seconds_left
from mcd.training.method import Losses, Method
from mcd.training.schedule import Compute, Schedule
from mcd.version import code_version, foreign_sources

log = logging.getLogger(__name__)

SHOWN = 4
"""Slices of an example image."""


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
    watch: Watch | None = None,
) -> History:
    """Train `method` in place on `slices`.

    Every epoch draws its batches and its random numbers from `seed` and its own number, so a training that resumes from
    the end of an epoch ends with the weights of one that was never interrupted. Several processes that were started together
    (`mcd.distributed.processes`) go through the same steps as one, and the first of them keeps the state.

    Args:
        seed: of everything random but the initial weights, which the caller drew.
        resume: file to keep the running state in, rewritten at the end of an epoch when `save_every` seconds have passed
            since the last time, and after the last one, since a job may have several trainings. The caller removes it once the
            result is written. None to keep nothing.
        identity: what makes this training what it is beside the other arguments, in plain types that JSON has. A resume file
            of another identity, of other slices or of other code is not taken up, and the log says what differs.
        watch: is shown the losses after every epoch, in the first process, and may ask for example images.

    Raises:
        McdError: when a loss is no longer finite, naming the loss, the step and its patients; when there are more processes
            than slices in a batch; when it cannot be compiled as `compute` says.
    """
    _check_processes(slices, schedule)
    training = _Training(method, slices, schedule, compute, seed)
    if resume:
        whole_identity = {
            "training": identity or {},
            "schedule": schedule.model_dump(mode="json"),
            "seed": seed,
            "compute": numerics(compute, slices.device, training.compiled),
            "slices": slices.identity(),
            "code": _code(method),
        }
        training.restore(of_first(lambda: load_resume(resume, whole_identity)))
    if training.compiled:
        _compile_blocks(method, graphs=training.compiled == "graphs")
    saved = time.monotonic()
    with tqdm(
        total=schedule.epochs,
        initial=training.done,
        unit="epoch",
        disable=None if is_first() else True,
        leave=False,
    ) as bar:
        for epoch in range(training.done, schedule.epochs):
            training.run_epoch(epoch)
            bar.update()
            if watch and is_first():
                watch(training.history, training.pictures)
            is_due = time.monotonic() - saved >= save_every or epoch + 1 == schedule.epochs
            if resume and is_first() and is_due:
                save_resume({"identity": whole_identity, **training.state()}, resume)
                saved = time.monotonic()
    method.eval()
    return training.history


def _code(method: Method) -> dict[str, Any]:
    """The versions of the code that trains: another one may end with other weights."""
    own = tuple(cls for cls in type(method).__mro__ if issubclass(cls, Method))
    return {"mcd": code_version(), "torch": torch.__version__, **foreign_sources(own)}


def _check_processes(slices: SliceSet, schedule: Schedule) -> None:
    batch = min(schedule.batch_size, len(slices))
    if batch < processes():
        raise McdError(f"training: {processes()} processes cannot share a batch of {batch}")


class _Training:
    """A method on its device, with one optimiser per player, and what has been recorded so far."""

    def __init__(self, method: Method, slices: SliceSet, schedule: Schedule, compute: Compute, seed: int) -> None:
        self.method, self.slices, self.schedule, self.compute, self.seed = method, slices, schedule, compute, seed
        self.device = slices.device
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        method.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.players = {name: list(parameters) for name, parameters in method.players().items()}
        self.optimizers = {name: _optimizer(parameters, schedule, method) for name, parameters in self.players.items()}
        self.steps_per_epoch = schedule.steps_per_epoch or sum(1 for _ in _pass(method, slices, schedule, seed, 0))
        self.compiled = compiling(compute, self.device, self.steps_per_epoch * schedule.epochs)
        self.history: History = []

    @property
    def done(self) -> int:
        """Epochs that are complete."""
        return len(self.history)

    def state(self) -> dict[str, Any]:
        """What `restore` needs to continue with the next epoch."""
        return {
            "method": self.method.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "history": self.history,
        }

    def restore(self, state: dict[str, Any] | None) -> None:
        """Continue from a kept state, if there is one."""
        if state is None:
            return
        self.method.load_state_dict(state["method"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.history = state["history"]
        log.info("resuming after epoch %d of %d", self.done, self.schedule.epochs)

    def run_epoch(self, epoch: int) -> None:
        """Train for one epoch, from 0, and record it."""
        torch.manual_seed(derive_seed(self.seed, "epoch", epoch))
        self.method.train()
        self.method.before_epoch(epoch, self.schedule.epochs)
        values: dict[str, list[Tensor]] = defaultdict(list)  # stay on the device until the epoch is over: no step waits
        drawn: list[np.ndarray] = []
        images, started = 0, time.monotonic()
        indices_of_steps = _epoch_batches(self.method, self.slices, self.schedule, self.seed, epoch)
        for step, (indices, batch) in enumerate(self.slices.batches(indices_of_steps)):
            self._begin_graphs()
            rate = self.schedule.learning_rate * self.schedule.rate(epoch + (step + 1) / self.steps_per_epoch)
            for name in self.players:
                for loss, value in self._step(name, batch, rate).items():
                    values[loss].append(value.detach())
            done = epoch * self.steps_per_epoch + step + 1
            self.method.after_step(done, self.schedule.epochs * self.steps_per_epoch)
            drawn.append(indices)
            images += batch.images.shape[0] * batch.images.shape[1]
        losses = {loss: torch.stack(steps).float().cpu().numpy() for loss, steps in values.items()}
        self._check_finite(losses, drawn, epoch)
        # one after the other in single precision, as a sum on the device would be
        means = {loss: float(np.add.accumulate(steps)[-1]) / len(steps) for loss, steps in losses.items()}
        self._record(epoch, rate, drawn, images, time.monotonic() - started, means)

    def _begin_graphs(self) -> None:
        """Allow graphs to overwrite their outputs: a step reads none of the last one's, but a player may read another's."""
        if self.compiled == "graphs":
            torch.compiler.cudagraph_mark_step_begin()

    def _step(self, name: str, batch: Batch, rate: float) -> Losses:
        """Move one player's parameters; the losses as they are named in the history."""
        optimizer = self.optimizers[name]
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        with only(name, self.players), autocast(self.compute, self.device):
            losses = self.method.losses(batch, name)
            optimizer.zero_grad(set_to_none=True)
            losses["total"].backward()
        average_gradients(self.players[name])
        optimizer.step()
        several = len(self.players) > 1
        return {f"{name}_{loss}" if several and loss == "total" else loss: value for loss, value in losses.items()}

    def _check_finite(self, losses: dict[str, np.ndarray], drawn: list[np.ndarray], epoch: int) -> None:
        """Raise `McdError` for the first step with a loss that is not finite; every later one follows from it."""
        bad = {loss: np.flatnonzero(~np.isfinite(steps)) for loss, steps in losses.items()}
        first = {loss: int(steps[0]) for loss, steps in bad.items() if len(steps)}
        if not first:
            return
        step = min(first.values())
        names = [loss for loss, at in first.items() if at == step]
        loss = next(
            (name for name in names if not name.endswith("total")), names[0]
        )  # a total is what its parts make it
        indices = drawn[step]
        faulty = ~self.slices.batch(indices).images.isfinite().flatten(1).all(1).cpu().numpy()
        if faulty.any():
            where, remedy = self._patients(indices[faulty]), "their images are not finite: preprocess them again"
        else:
            where, remedy = self._patients(indices), "lower the learning rate or its weight"
        what = f"the loss {loss} became {losses[loss][step]:g} in epoch {epoch + 1}"
        raise McdError(f"training: in step {step + 1}, with slices of {where}, {what}; {remedy}")

    def _patients(self, indices: np.ndarray) -> str:
        return ", ".join(self.slices.subjects[position] for position in np.unique(self.slices.subject_of[indices]))

    def pictures(self) -> dict[str, np.ndarray]:
        """The method's example images of the same slices each time, spread over those that are known to have a target, or all.

        Every epoch draws its numbers anew, so what is drawn here changes none of them.
        """
        together = self.slices.of_one_batch
        targets = together[self.slices.has_target[together]]
        candidates = targets if len(targets) else together
        shown = candidates[np.unique(np.linspace(0, len(candidates) - 1, SHOWN).round().astype(int))]
        self.method.eval()
        self._begin_graphs()
        torch.manual_seed(derive_seed(self.seed, "pictures"))
        with torch.no_grad(), autocast(self.compute, self.device):
            made = self.method.pictures(self.slices.batch(shown))
        return {name: images.float().cpu().numpy() for name, images in made.items()}

    def _targets(self, drawn: list[np.ndarray]) -> int:
        """How many labelled slices with a target some batches held: what all rows of a table see equally many of."""
        return sum(int(self.slices.has_target[indices].sum()) for indices in drawn)

    def _record(
        self, epoch: int, rate: float, drawn: list[np.ndarray], images: int, seconds: float, means: dict[str, float]
    ) -> None:
        seen = sum(map(len, drawn))
        self.history.append(
            {
                "epoch": epoch + 1,
                "learning_rate": rate,
                "steps": len(drawn),
                **({} if self.slices.regions is None else {"targets_seen": self._targets(drawn)}),
                "slices_per_second": round(seen / seconds, 1),
                "seconds": round(seconds, 3),
                "images": images,
                "memory_mib": peak_memory(),
                "gpu_memory_mib": peak_gpu_memory(self.device),
                "device": name_of(self.device),
                "mcd_version": code_version(),
                **means,
                "weights_moved": min(map(last_move, self.optimizers.values())),
            }
        )
        levels = self.method.levels(len(drawn[0]))
        before, found = (warnings(rows, levels) for rows in (self.history[:-1], self.history))
        if found:
            self.history[-1]["warning"] = SEPARATOR.join(found)
        words = "  ".join(f"{loss} {mean:.4f}" for loss, mean in means.items())
        left = seconds_left([row["seconds"] for row in self.history], self.schedule.epochs)
        ending = f"  {duration(left)} left" if left else ""
        log.info("epoch %d/%d  %s  %.0f slices/s%s", epoch + 1, self.schedule.epochs, words, seen / seconds, ending)
        for sentence in found:
            if sentence not in before:
                log.warning("epoch %d: %s", epoch + 1, sentence)


def _optimizer(parameters: list[nn.Parameter], schedule: Schedule, method: Method) -> Adam:
    """One group of parameters for each factor on the learning rate (`Method.rate_factor`)."""
    groups: dict[float, list[nn.Parameter]] = defaultdict(list)
    for parameter in parameters:
        groups[method.rate_factor(parameter)].append(parameter)
    return Adam(
        [{"params": group, "factor": factor} for factor, group in groups.items()],
        lr=schedule.learning_rate,
        betas=schedule.betas,
        weight_decay=schedule.weight_decay,
        decoupled_weight_decay=schedule.weight_decay_form == "decoupled",
        fused=True,
    )


def _compile_blocks(method: Method, graphs: bool) -> None:
    """Compile each convolution block in place: the layers fuse, and no weight changes its name.

    With CUDA graphs (torch's own, by `reduce-overhead`) a block's kernels start at once. Weights and batch statistics keep
    their places in memory, as the optimiser and `load_state_dict` write into them; gradients live until the next step.
    """
    torch._dynamo.config.recompile_limit = 256  # every block of every size is one entry of the same cache
    for module in method.modules():
        if isinstance(module, nn.Sequential):
            module.compile(dynamic=False, mode="reduce-overhead" if graphs else None)


def _pass(method: Method, slices: SliceSet, schedule: Schedule, seed: int, number: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(derive_seed(seed, "batches", number))
    return method.batches(slices, schedule.batch_size, rng)


def _epoch_batches(method: Method, slices: SliceSet, schedule: Schedule, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """One pass, or as many passes as make `steps_per_epoch`, each redrawn."""
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
def only(player: str, players: dict[str, list[nn.Parameter]]) -> Iterator[None]:
    """Let gradients reach one player's parameters alone: it saves the work, and guarantees that the others stay fixed."""
    for name, parameters in players.items():
        for parameter in parameters:
            parameter.requires_grad_(name == player)
    try:
        yield
    finally:
        for parameters in players.values():
            for parameter in parameters:
                parameter.requires_grad_(True)
