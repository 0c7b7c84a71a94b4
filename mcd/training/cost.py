"""What a training costs, as it measures itself: Snakemake's benchmark of a job that was resumed covers its last try alone."""

import re
from pathlib import Path

import torch


def peak_memory() -> float | None:
    """The most memory in MiB that this process has held so far; None where the system is not Linux.

    `getrusage` would count what the program that started this one held, too.
    """
    status = Path("/proc/self/status")
    peak = re.search(r"^VmHWM:\s*(\d+) kB$", status.read_text(), re.MULTILINE) if status.exists() else None
    return round(int(peak[1]) / 1024, 1) if peak else None


def peak_gpu_memory(device: torch.device) -> float | None:
    """The most memory in MiB that tensors have held on a GPU since its count was last reset; None on a CPU."""
    return round(torch.cuda.max_memory_allocated(device) / 2**20, 1) if device.type == "cuda" else None


def name_of(device: torch.device) -> str:
    """A device as a reader knows it: the GPU's model, or the CPU with the threads that torch uses there."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'' if threads == 1 else 's'}"
