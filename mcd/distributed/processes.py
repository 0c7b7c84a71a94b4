"""One training by several processes, each with a GPU (or on CPUs, for tests), as `torchrun` starts them.

All processes do the same on the same batches, and share the networks' work (`mcd.distributed.shares`): a step is the same
whatever their number, up to rounding. This module does the rest: joining the others, averaging the gradients, and one
state to resume from. `DistributedDataParallel` is not used: it wraps a single forward pass in which every parameter takes
part, while a step here updates players in turn and passes through shared layers twice.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import uuid4

import torch
import torch.distributed as dist
from torch import nn

from mcd.distributed.shares import process, processes
from mcd.errors import McdError

Value = TypeVar("Value")


def started_together() -> int:
    """How many processes `torchrun` started, including this one; 1 if it was started in any other way."""
    return int(os.environ.get("WORLD_SIZE", 1))


def own_gpu() -> int:
    """Which GPU of its machine belongs to this process."""
    return int(os.environ.get("LOCAL_RANK", 0))


def launch(processes: int, function: Callable[..., Value], **arguments: Any) -> Value:
    """Call `function` in `processes` processes of this machine that train together; return what the first of them returns.

    Each starts as a new Python that imports the main module, which must have no effect (`if __name__ == "__main__":`), and
    receives the function and its arguments by pickle. For one process, or under `torchrun`, `function` is called directly.

    Raises:
        McdError: as raised by `function` in the first process.
    """
    if processes <= 1 or started_together() > 1:
        return function(**arguments)
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=str(uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        start_method="spawn",  # a fork inherits locks that other threads hold, and may wait for them for ever
    )
    value, message = elastic_launch(config, _attempt)(function, arguments)[0]
    if message is not None:
        raise McdError(message)
    return value


def _attempt(function: Callable[..., Value], arguments: dict[str, Any]) -> tuple[Value | None, str | None]:
    """In a started process: what `function` returns, or the message of a user's mistake, which all processes find."""
    logging.basicConfig(
        level=logging.INFO if int(os.environ["RANK"]) == 0 else logging.WARNING, format="%(asctime)s %(message)s"
    )
    try:
        return function(**arguments), None
    except McdError as error:
        return None, str(error)


@contextmanager
def together(device: torch.device) -> Iterator[None]:
    """Join the processes that `torchrun` started, over NCCL on GPUs or gloo on CPUs; started otherwise, train alone."""
    if started_together() == 1 or processes() > 1:
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        if device.type != "cuda":
            # If a process ends while another is still connecting, the latter fails first and hides the real message.
            dist.barrier()
        yield
    finally:
        dist.destroy_process_group()


def is_first() -> bool:
    """Whether this is the process that logs and writes."""
    return process() == 0


def of_first(function: Callable[[], Value]) -> Value:
    """Call `function` in the first process only, and return its result in all of them."""
    if processes() == 1:
        return function()
    box = [function() if is_first() else None]
    dist.broadcast_object_list(box, src=0)
    return box[0]  # type: ignore[return-value]


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over all processes, in one exchange."""
    if processes() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    together = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(together)
    together /= processes()
    parts = together.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))
