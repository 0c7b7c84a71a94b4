"""How long, how fast, and on what a training runs."""

import math
from dataclasses import dataclass

import torch

from mcd.distributed.processes import own_gpu, started_together
from mcd.training.allocator import keep_freed_memory


@dataclass(frozen=True)
class Schedule:
    """Length and step size of a training.

    Attributes:
        epochs: passes over the slices, or blocks of `steps_per_epoch` steps where that is given.
        batch_size: slices (pairs) a step.
        learning_rate, betas, weight_decay: of Adam.
        decay: `constant`, or `cosine` from `learning_rate` to 0 after the warm-up.
        warmup_epochs: epochs over which the rate rises linearly from 0.
        steps_per_epoch: steps an epoch, whatever the number of slices; None for one pass over them. A small budget is
            better given in steps: five per cent of a small cohort would make an epoch of one or two.
    """

    epochs: int
    batch_size: int
    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    decay: str = "constant"
    warmup_epochs: int = 0
    steps_per_epoch: int | None = None

    def rate(self, epoch: float) -> float:
        """The factor on the learning rate at a moment given in epochs since the start."""
        if epoch < self.warmup_epochs:
            return epoch / self.warmup_epochs
        if self.decay == "constant":
            return 1.0
        done = (epoch - self.warmup_epochs) / max(self.epochs - self.warmup_epochs, 1e-9)
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


@dataclass(frozen=True)
class Compute:
    """Where and how a training computes. Changes speed and the last digits, never what is learnt.

    Attributes:
        device: `auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1`. Processes that train together take a GPU each.
        precision: `auto` (bf16 on a GPU that has it, else fp32), `fp32`, `bf16`.
        threads: CPU threads of torch. Sums depend on it in the last digit, so it is fixed by the configuration and not by
            the cores that happen to be free.
        compile: run `torch.compile` on the networks.
        memory_limit_gb: how much of the device's memory the slices may take before they are streamed.
    """

    device: str = "auto"
    precision: str = "auto"
    threads: int = 1
    compile: bool = False
    memory_limit_gb: float = 8.0

    def torch_device(self) -> torch.device:
        if self.device == "cpu" or (self.device == "auto" and not torch.cuda.is_available()):
            return torch.device("cpu")
        if started_together() > 1:
            return torch.device("cuda", own_gpu())
        return torch.device("cuda" if self.device == "auto" else self.device)

    def autocast(self, device: torch.device) -> torch.autocast:
        half = self.precision == "bf16" or (
            self.precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported()
        )
        return torch.autocast(device.type, torch.bfloat16, enabled=half)

    def prepare(self) -> torch.device:
        """Set the switches of torch and of the process once, and say which device is used."""
        keep_freed_memory()
        torch.set_num_threads(self.threads)
        torch.backends.cudnn.benchmark = False  # it may pick another algorithm, and other last digits, each run
        torch.backends.cudnn.deterministic = True
        device = self.torch_device()
        if device.index is not None:
            torch.cuda.set_device(device)
        return device
