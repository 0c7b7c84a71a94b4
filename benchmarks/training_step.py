"""How quick a pre-training step is, and how much memory it takes, on random slices: no data needed.

    python benchmarks/dsgan_step.py --filters 64 --batch 36 --size 160 --steps 100 --device cuda

prints one row of a Markdown table. Times what `mcd.training.loop.train` reports for its second epoch, after one epoch to warm
up. Peak memory is the GPU's as torch counts it, or the whole process's on a CPU.
"""

import argparse
import resource
from typing import Any

import numpy as np
import torch

from mcd.pretraining.registry import REGISTRY, options_class, pretraining_class
from mcd.slices.batches import Batch, SliceSet
from mcd.training.device import prepare
from mcd.training.loop import train
from mcd.training.schedule import Compute


class RandomSlices(SliceSet):
    """Discs of noise on black, the slices of 24 subjects, held on the device as `SliceSet` holds them."""

    def __init__(self, modalities: list[str], size: int, each: int, device: torch.device) -> None:
        self.modalities, self.size, self.device = modalities, (size, size), device
        self.subjects = [f"random-{number}" for number in range(24)]
        self.subject_of = np.repeat(np.arange(24), each)
        self.height_of = np.tile(np.linspace(0, 1, each), 24)
        radius = torch.linspace(-1, 1, size).square()
        disc = (radius[:, None] + radius[None, :] < 0.8).half()
        self._images = torch.randn(24 * each, len(modalities), size, size, dtype=torch.float16).mul(disc).to(device)

    def __len__(self) -> int:
        return len(self.subject_of)

    def batch(self, indices: np.ndarray) -> Batch:
        assert self._images is not None
        at = torch.from_numpy(indices).to(self.device)
        subjects, heights = torch.from_numpy(self.subject_of[indices]), torch.from_numpy(self.height_of[indices])
        return Batch(self._images[at].float(), None, subjects.to(self.device), heights.float().to(self.device))


def run(arguments: argparse.Namespace) -> str:
    compute = Compute(
        device=arguments.device,
        precision=arguments.precision,
        threads=arguments.threads,
        compile=arguments.compile,
    )
    device = prepare(compute)
    torch.manual_seed(0)
    method_class: Any = pretraining_class(arguments.algorithm)
    if arguments.contiguous:  # the loop asks for channels-last
        method_class.to = lambda self, device, **_: torch.nn.Module.to(self, device)
    own = {"discriminator_filters": arguments.filters} if arguments.algorithm == "dsgan" else {}
    options = options_class(arguments.algorithm).model_validate(own)
    modalities = ["X", "Y"] if REGISTRY[arguments.algorithm].multimodal else ["X"]
    slices = RandomSlices(modalities, arguments.size, arguments.slices, device)
    method = method_class(options, arguments.filters, modalities, slices.size)
    schedule = options.schedule(2, arguments.batch, arguments.steps)
    speed = train(method, slices, schedule, compute, seed=0)[-1]["slices_per_second"]
    cuda = device.type == "cuda"
    peak = (
        torch.cuda.max_memory_allocated(device) if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    name = torch.cuda.get_device_name(device) if cuda else f"CPU, {arguments.threads} threads"
    how = f"{arguments.precision}{', compiled' * arguments.compile}{', contiguous' * arguments.contiguous}"
    what = f"{arguments.algorithm} | {arguments.filters} | {arguments.batch} x {arguments.size}^2"
    return f"| {what} | {name} | {how} | {speed:.1f} | {arguments.batch / speed:.3f} | {peak / 1e9:.2f} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithm", default="dsgan", choices=list(REGISTRY))
    for option, default in (("filters", 64), ("batch", 36), ("size", 160), ("steps", 50), ("threads", 1)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--slices", type=int, default=40, help="of each of the 24 subjects")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--contiguous", action="store_true", help="without the channels-last memory format")
    print("| algorithm | f | batch | device | how | pairs/s | s/step | peak GB |\n|---|---|---|---|---|---|---|---|")
    print(run(parser.parse_args()))
