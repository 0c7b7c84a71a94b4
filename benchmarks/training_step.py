"""Speed and memory of a training step, on random slices: no data needed.

    python benchmarks/training_step.py dsgan dsgan:compile rotation sass peer --filters 64 --batch 36 --size 160 \
        --steps 100 --device cuda

prints a row of a Markdown table for each name: an algorithm of pre-training or segmentation, `peer` (the same U-Nets and
discriminators in a loop as the published CycleGAN code has it) or `product` (a bf16 matrix product, the ceiling of what the
card computes). Settings follow a name after colons: `fp32` or `bf16`; `compile`; `graphs` (compiled, with CUDA graphs);
`contiguous` (without channels-last); `benchmark` (cuDNN tries its algorithms). The rows are measured in turns, `--rounds`
times, and the table has the median.

A row is what `mcd.training.loop.train` reports for its second epoch, after one epoch to warm up. Floating-point operations
are counted by torch over two steps beforehand, those of convolutions and matrix products. Peak memory is the GPU's as torch
counts it, or the whole process's on a CPU. The digest is of all weights after both epochs: one digest over all rounds where a
training repeats itself to the last bit.
"""

import argparse
import hashlib
import itertools
import resource
import statistics
import time
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from mcd.errors import McdError
from mcd.models.discriminator import PatchDiscriminator
from mcd.models.unet import UNet
from mcd.pretraining import registry as pretraining
from mcd.segmentation import registry as segmentation
from mcd.slices.batches import MixedSlices, SliceSet
from mcd.slices.options import Augmentation
from mcd.training.device import prepare
from mcd.training.loop import train
from mcd.training.method import Method
from mcd.training.schedule import Compute, Schedule


class RandomSlices(SliceSet):
    """Discs on black, the slices of 24 subjects, held on the device as `SliceSet` holds them.

    Patches are the same in all modalities, and contrast and noise each one's own, so that there is something to learn.
    """

    def __init__(self, modalities: list[str], size: int, each: int, device: torch.device, first: int = 0) -> None:
        self.modalities, self.size, self.device = modalities, (size, size), device
        self.subjects = [f"random-{first + number}" for number in range(24)]
        self.subject_of = np.repeat(np.arange(24), each)
        self.height_of = np.tile(np.linspace(0, 1, each), 24)
        self.ranges = np.full((24, len(modalities)), 4.0, np.float32)
        radius = torch.linspace(-1, 1, size).square()
        disc = (radius[:, None] + radius[None, :] < 0.8).half()
        patches = F.interpolate(torch.randn(24 * each, 1, size // 8, size // 8), scale_factor=8, mode="bilinear").half()
        contrasts = torch.linspace(1, -0.5, len(modalities)).half()[:, None, None]
        noise = 0.1 * torch.randn(24 * each, len(modalities), size, size, dtype=torch.float16)
        self._images = ((contrasts * patches + noise) * disc).to(device)
        self._labels = None
        self.regions, self.known = None, None
        self.has_target = np.zeros(len(self.subject_of), bool)
        self.shards = None  # type: ignore[assignment]

    def labelled(self) -> "RandomSlices":
        """The same with three nested regions, where the patches are brighter and brighter."""
        assert self._images is not None
        self.regions = {"outer": [1, 2, 3], "middle": [2, 3], "inner": [3]}
        self.has_target = ~self.has_target
        blurred = F.avg_pool2d(self._images[:, 0].float(), 15, stride=1, padding=7)
        self._labels = torch.stack([blurred > edge for edge in (0.2, 0.4, 0.6)]).sum(0).to(torch.uint8)
        self._table = torch.ones(4, 3, device=self.device).tril(-1).bool()
        return self

    def __len__(self) -> int:
        return len(self.subject_of)


class Measured(NamedTuple):
    """One training's numbers."""

    speed: float
    seconds: float
    peak: float
    operations: float
    digest: str


def build(
    algorithm: str, arguments: argparse.Namespace, device: torch.device, seed: int = 0
) -> tuple[Method, SliceSet, Any]:
    """A method, slices that suit it, and its options."""
    size, each, filters = arguments.size, arguments.slices, arguments.filters
    torch.manual_seed(seed)
    if algorithm in segmentation.REGISTRY:
        found: Any = segmentation.options_class(algorithm).model_validate({})
        unet = UNet(filters, out_channels=3)
        slices: SliceSet = RandomSlices(["X"], size, each, device).labelled()
        if segmentation.REGISTRY[algorithm].unlabelled:
            slices = MixedSlices(slices, RandomSlices(["X"], size, each, device, first=24))
        return segmentation.segmentation_class(algorithm)(unet, Augmentation(), found), slices, found
    own = {"discriminator_filters": filters} if algorithm == "dsgan" else {}
    found = pretraining.options_class(algorithm).model_validate(own)
    modalities = ["X", "Y"] if pretraining.REGISTRY[algorithm].multimodal else ["X"]
    slices = RandomSlices(modalities, size, each, device)
    return pretraining.pretraining_class(algorithm)(found, filters, modalities, slices.size), slices, found


def operations(algorithm: str, arguments: argparse.Namespace, device: torch.device) -> float:
    """Floating-point operations of one step, of convolutions and matrix products, forward and backward."""
    method, slices, options = build(algorithm, arguments, device)
    counter = FlopCounterMode(display=False)
    with counter:
        train(
            method, slices, schedule_of(options, arguments, epochs=2, steps=1), Compute(device=arguments.device), seed=0
        )
    return counter.get_total_flops() / 2


def schedule_of(options: Any, arguments: argparse.Namespace, epochs: int, steps: int) -> Schedule:
    """The schedule that a pre-training's options give; for a segmentation the default one."""
    if hasattr(options, "schedule"):
        found: Schedule = options.schedule(epochs, arguments.batch, steps)
        return found
    return Schedule(epochs=epochs, batch_size=arguments.batch, steps_per_epoch=steps)


def measure(row: str, arguments: argparse.Namespace) -> Measured:
    """Train a row's method for two short epochs."""
    algorithm, *settings = row.split(":")
    precision = next((name for name in ("fp32", "bf16") if name in settings), "auto")
    compute = Compute(
        device=arguments.device,
        precision=precision,
        threads=arguments.threads,
        compile="graphs" if "graphs" in settings else "compile" in settings,
        cudnn_benchmark="benchmark" in settings,
    )
    device = prepare(compute)
    torch.manual_seed(0)
    if algorithm == "peer":
        return peer(arguments, device, amp=precision == "bf16")
    if algorithm == "product":
        return product(device)
    counted = float("nan") if settings else operations(algorithm, arguments, device)
    method, slices, options = build(algorithm, arguments, device)
    if "contiguous" in settings:  # the loop asks for channels-last
        method.to = lambda device, **_: nn.Module.to(method, device)  # type: ignore[assignment]
    schedule = schedule_of(options, arguments, epochs=2, steps=arguments.steps)
    speed = train(method, slices, schedule, compute, seed=0)[-1]["slices_per_second"]
    digest = hashlib.sha256()
    for value in method.state_dict().values():
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return Measured(
        speed,
        arguments.batch / speed,
        peak(device),
        counted,
        digest.hexdigest()[:8],
    )


def peak(device: torch.device) -> float:
    """Peak memory in bytes."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peer(arguments: argparse.Namespace, device: torch.device, amp: bool) -> Measured:
    """CycleGAN's training step, as its published code orders it, on networks of this project's size.

    Two generators without shared layers, two discriminators, losses for each image one after the other, both optimisers
    unfused, contiguous tensors, and the losses read back each step for the log. TF32 convolutions, as torch does by default;
    `bf16` adds autocast.
    """
    to_y, to_x = UNet(arguments.filters).to(device), UNet(arguments.filters).to(device)
    of_x, of_y = (PatchDiscriminator(arguments.filters).to(device) for _ in range(2))
    generators = torch.optim.Adam(itertools.chain(to_y.parameters(), to_x.parameters()), 2e-4, betas=(0.5, 0.999))
    discriminators = torch.optim.Adam(itertools.chain(of_x.parameters(), of_y.parameters()), 2e-4, betas=(0.5, 0.999))
    real, l1 = nn.functional.mse_loss, nn.functional.l1_loss
    slices = RandomSlices(["X", "Y"], arguments.size, arguments.slices, device)
    rng = np.random.default_rng(0)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)

    def toward(logits: Tensor, value: float) -> Tensor:
        return real(logits.float(), torch.full_like(logits, value, dtype=torch.float32))

    def step() -> None:
        images = slices.batch(rng.permutation(len(slices))[: arguments.batch]).images
        x, y = images[:, :1], images[:, 1:]
        with torch.autocast(device.type, torch.bfloat16, enabled=amp):
            fake_y, fake_x = to_y(x), to_x(y)
            again_x, again_y = to_x(fake_y), to_y(fake_x)
            for network in (of_x, of_y):
                network.requires_grad_(False)
            parts = [toward(of_y(fake_y), 1.0), toward(of_x(fake_x), 1.0), 10 * l1(again_x, x), 10 * l1(again_y, y)]
        generators.zero_grad()
        sum(parts).backward()  # type: ignore[union-attr]
        generators.step()
        for network in (of_x, of_y):
            network.requires_grad_(True)
        discriminators.zero_grad()
        for network, true, fake in ((of_x, x, fake_x), (of_y, y, fake_y)):
            with torch.autocast(device.type, torch.bfloat16, enabled=amp):
                loss = 0.5 * (toward(network(true), 1.0) + toward(network(fake.detach()), 0.0))
            loss.backward()
            parts.append(loss)
        discriminators.step()
        [part.item() for part in parts]

    for _ in range(max(arguments.steps // 2, 3)):
        step()
    synchronize(device)
    started = time.monotonic()
    for _ in range(arguments.steps):
        step()
    synchronize(device)
    seconds = (time.monotonic() - started) / arguments.steps
    return Measured(arguments.batch / seconds, seconds, peak(device), float("nan"), "")


def product(device: torch.device, size: int = 8192) -> Measured:
    """A bf16 matrix product of random numbers."""
    size = size if device.type == "cuda" else 512
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(5):
        a @ b
    synchronize(device)
    started, times = time.monotonic(), 30
    for _ in range(times):
        a @ b
    synchronize(device)
    seconds = (time.monotonic() - started) / times
    return Measured(float("nan"), seconds, peak(device), 2.0 * size**3, "")


def table(rows: list[str], measured: dict[str, list[Measured]], arguments: argparse.Namespace) -> str:
    """Markdown, one line per row."""
    lines = [
        "| what | f | batch | pairs/s | ms/step | spread of ms | peak GB | TFLOP/s | digests |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        found = measured[row]
        if not found:
            lines.append(f"| {row} | failed |")
            continue
        speed, seconds, memory, done = (
            statistics.median(values)
            for values in zip(*((one.speed, one.seconds, one.peak, one.operations) for one in found), strict=True)
        )
        times = [1000 * one.seconds for one in found]
        size = f"{arguments.filters} | {arguments.batch} x {arguments.size}^2"
        lines.append(
            f"| {row} | {size} | {speed:.1f} | {1000 * seconds:.2f} | {max(times) - min(times):.2f} "
            f"| {memory / 1e9:.2f} | {done / seconds / 1e12:.1f} "
            f"| {' '.join(sorted({one.digest for one in found}))} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="+", metavar="NAME[:SETTING...]")
    for option, default in (("filters", 64), ("batch", 36), ("size", 160), ("steps", 50), ("threads", 1)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--slices", type=int, default=40, help="of each of the 24 subjects")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    measured: dict[str, list[Measured]] = {row: [] for row in arguments.rows}
    for _ in range(arguments.rounds):
        for row in arguments.rows:
            try:
                measured[row].append(measure(row, arguments))
            except (RuntimeError, TypeError, McdError) as error:
                print(f"{row}: {str(error)[:300]}")
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
    device = prepare(Compute(device=arguments.device))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {arguments.threads} threads"
    print(
        f"{name}, torch {torch.__version__}, CUDA {torch.version.cuda}\n\n{table(arguments.rows, measured, arguments)}"
    )


if __name__ == "__main__":
    main()
