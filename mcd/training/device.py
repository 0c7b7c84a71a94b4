"""The device of a training, and how it computes there."""

import logging
from typing import Any, Literal

import torch

from mcd.distributed.processes import own_gpu, started_together
from mcd.distributed.shares import processes
from mcd.errors import McdError
from mcd.training.allocator import keep_freed_memory
from mcd.training.cards import installed_cards, visible_cards
from mcd.training.schedule import LONG, Compute

log = logging.getLogger(__name__)


def torch_device(compute: Compute) -> torch.device:
    """The device that a configuration names; of processes that train together, each one's own GPU.

    Raises:
        McdError: for a GPU that is not there.
    """
    if compute.device == "cpu":
        return torch.device("cpu")
    if compute.device == "auto" and not torch.cuda.is_available():
        if installed_cards() and (cards := visible_cards()):
            log.warning("%s", _unused(len(cards)))
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise McdError(f"device {compute.device}: torch finds no GPU here; set it to auto or cpu")
    if started_together() > 1:
        return torch.device("cuda", own_gpu())
    device = torch.device("cuda" if compute.device == "auto" else compute.device)
    if (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise McdError(f"device {compute.device}: there are {count} GPUs, numbered from 0; name one of them")
    return device


def _unused(cards: int) -> str:
    """What to say where `auto` takes the CPU of a machine that has GPUs."""
    if torch.version.cuda is None:
        why = "was built without CUDA; install a build with it, as https://pytorch.org/get-started/locally shows"
    else:
        why = f"was built for CUDA {torch.version.cuda}, which their driver does not support; update the driver"
    there = "is an NVIDIA GPU" if cards == 1 else f"are {cards} NVIDIA GPUs"
    return (
        f"trains on the CPU, although there {there}: torch {torch.__version__} {why}, or set compute: {{device: cpu}}"
    )


def computes_in_half(compute: Compute, device: torch.device) -> bool:
    """Whether networks run in bf16, by the configuration or, with `auto`, by what the device has."""
    return compute.precision == "bf16" or (
        compute.precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported()
    )


def compiling(compute: Compute, device: torch.device, steps: int) -> Literal["graphs"] | bool:
    """How a training of so many steps compiles its blocks: not at all, as they are, or with CUDA graphs.

    Raises:
        McdError: for graphs without a GPU, or several processes.
    """
    if compute.compile == "auto":
        return device.type == "cuda" and steps >= LONG and processes() == 1
    if compute.compile and processes() > 1:
        raise McdError("training: compute.compile is for one process; leave it out, or train with one")
    if compute.compile == "graphs" and device.type != "cuda":
        raise McdError(f"compute: compile: graphs needs a GPU, and the training is on {device.type}; set it to auto")
    return compute.compile


def numerics(compute: Compute, device: torch.device, compiled: Literal["graphs"] | bool) -> dict[str, Any]:
    """What of a configuration and of a machine decides the digits that come out, in plain types."""
    return {
        "device": device.type,
        "precision": "bf16" if computes_in_half(compute, device) else "fp32",
        "compile": compiled,
        "cudnn_benchmark": compute.cudnn_benchmark and device.type == "cuda",
        "threads": compute.threads if device.type == "cpu" else None,
    }


def autocast(compute: Compute, device: torch.device) -> torch.autocast:
    """The context in which networks run at the configured precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=computes_in_half(compute, device))


def prepare(compute: Compute) -> torch.device:
    """Set the switches of torch and of the process once, and say which device is used."""
    keep_freed_memory()
    torch.set_num_threads(compute.threads)
    # where it is on, cuDNN may pick another algorithm, and other last digits, each run
    torch.backends.cudnn.benchmark = compute.cudnn_benchmark
    torch.backends.cudnn.deterministic = True
    device = torch_device(compute)
    if device.index is not None:
        torch.cuda.set_device(device)
    return device
