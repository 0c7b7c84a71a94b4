"""What a small training on the CPU gains by keeping the memory that it frees: seconds and page faults of the same steps.

    python benchmarks/freed_memory.py

Each run is a process of its own, with and without `mcd.training.allocator.keep_freed_memory` in turn; the ratio is that of the
fastest runs. The network and batch are those of the default run.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import torch

from mcd.losses.segmentation import dice_and_cross_entropy
from mcd.models.unet import UNet
from mcd.training.adam import Adam
from mcd.training.allocator import keep_freed_memory

WARM_UP = 5


def measure(keep: bool, steps: int) -> dict[str, float]:
    """Seconds, system seconds and page faults per step, in this process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if keep:
        keep_freed_memory()
    network = UNet(8, out_channels=1).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = Adam(network.parameters(), fused=True)
    images, targets = torch.randn(8, 1, 48, 48), (torch.rand(8, 1, 48, 48) > 0.9).float()
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        optimizer.zero_grad()
        dice_and_cross_entropy(network(images), targets).backward()
        optimizer.step()
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    used = {
        "seconds": seconds,
        "system": after.ru_stime - before.ru_stime,
        "faults": after.ru_minflt - before.ru_minflt,
    }
    return {name: value / steps for name, value in used.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--runs", type=int, default=6, help="of each kind")
    parser.add_argument("--one", choices=["kept", "returned"], help="measure once, in this process, and print JSON")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one == "kept", arguments.steps)))
        return
    best: dict[str, dict[str, float]] = {}
    for _ in range(arguments.runs):
        for kind in ("returned", "kept"):
            command = [sys.executable, __file__, "--one", kind, "--steps", str(arguments.steps)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            best[kind] = min(best.get(kind, found), found, key=lambda run: run["seconds"])
    print("| freed memory | ms per step | of them in the kernel | page faults per step |\n|---|---|---|---|")
    for kind, run in best.items():
        print(f"| {kind} | {1000 * run['seconds']:.1f} | {1000 * run['system']:.1f} | {run['faults']:.0f} |")
    print(f"\nkept / returned: {best['kept']['seconds'] / best['returned']['seconds']:.2f}")


if __name__ == "__main__":
    main()
