"""One training by several processes, each with a GPU (or on CPUs, to test it), as `torchrun` starts them.

All processes do the same on the same batches, and share the networks' work (`mcd.distributed.shares`): a step is the same
whatever their number, up to rounding. Here is what lies around it: joining the others, the mean of the gradients, and one
state to resume from. `DistributedDataParallel` is not used: it wraps a single forward pass in which every parameter takes
part, while a step here has players in turn and passes through shared layers twice.
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
    """How many processes `torchrun` started, this one among them; 1 under any other start."""
    return int(os.environ.get("WORLD_SIZE", 1))


def own_gpu() -> int:
    """Which GPU of its machine belongs to this process."""
    return int(os.environ.get("LOCAL_RANK", 0))


def launch(processes: int, function: Callable[..., Value], **arguments: Any) -> Value:
    """Call `function` in so many processes of this machine that train together; what the first of them returns.

    Each begins as a new Python that imports the main module, which must do nothing by that (`if __name__ == "__main__":`), and
    is sent the function and the arguments by pickle. For one process, or inside of `torchrun`, it is called as it is.

    Raises:
        McdError: the first one's, where `function` raises it.
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
        start_method="spawn",  # a fork takes along locks that other threads hold, and may wait for them for ever
    )
    value, message = elastic_launch(config, _attempt)(function, arguments)[0]
    if message is not None:
        raise McdError(message)
    return value


def _attempt(function: Callable[..., Value], arguments: dict[str, Any]) -> tuple[Value | None, str | None]:
    """In a started process: what `function` returns, or the user's mistake, which all find, since they do the same."""
    logging.basicConfig(
        level=logging.INFO if int(os.environ["RANK"]) == 0 else logging.WARNING, format="%(asctime)s %(message)s"
    )
    try:
        return function(**arguments), None
    except McdError as error:
        return None, str(error)


@contextmanager
def together(device: torch.device) -> Iterator[None]:
    """Train with the processes that `torchrun` started, over NCCL on GPUs, over gloo on CPUs; alone under any other start."""
    if started_together() == 1 or processes() > 1:
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        if device.type != "cuda":
            # A process that ends while another still connects makes that one fail first, and its message the one shown.
            dist.barrier()
        yield
    finally:
        dist.destroy_process_group()


def is_first() -> bool:
    """Whether this is the process that logs and writes."""
    return process() == 0


def of_first(function: Callable[[], Value]) -> Value:
    """What `function` returns in the first process, in all of them; the others do not call it."""
    if processes() == 1:
        return function()
    box = [function() if is_first() else None]
    dist.broadcast_object_list(box, src=0)
    return box[0]  # type: ignore[return-value]


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Put the mean over all processes in the place of every gradient, in one exchange."""
    if processes() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    together = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(together)
    together /= processes()
    parts = together.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))
