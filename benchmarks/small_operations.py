"""The small operations of a step: the calls that torch's profiler counts, how often the host waits, and the processor time.

    python benchmarks/small_operations.py [--before FOLDER]

Distance maps are those of a DTML or SASS step, at the paper's size and at the default run's; the other rows are whole steps,
forward and backward, at f = 8 and 48 x 48. With --before, the folder of another version, its numbers stand beside these: both
run in turns, each time in a process of its own, and the ratio is that of the medians. Calls are what a GPU waits for where
networks are small, and at each wait it runs dry; on a CPU only the time counts. (G-L's one wait is for the host's memory.)
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.profiler import ProfilerActivity, profile

ROOT = Path(__file__).parents[1]
ROWS = ("distance maps, 18 x 3 of 160 x 160", "distance maps, 4 x 3 of 48 x 48", "cpc", "swav", "gl")
WAITING = {
    getattr(Tensor, name) for name in ("item", "tolist", "__bool__", "__int__", "__float__", "nonzero", "unique", "cpu")
}


class Waits(TorchFunctionMode):
    """Counts what makes the host wait for its result: a number, or a selection of which only the mask says how long it is."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        by_mask = function is torch.Tensor.__getitem__ and _masks(arguments[1])
        self.count += function in WAITING or by_mask
        return function(*arguments, **(keywords or {}))


def _masks(index: Any) -> bool:
    return any(
        isinstance(one, Tensor) and one.dtype == torch.bool for one in (index if isinstance(index, tuple) else [index])
    )


def step_of(row: str) -> Callable[[], Any]:
    """What a row measures."""
    torch.manual_seed(0)
    if row.startswith("distance maps"):
        from mcd.losses.signed_distance import signed_distance_maps

        count, size = (18, 160) if "160" in row else (4, 48)
        blocks = (torch.rand(count, 3, size // 16, size // 16) < 0.2).float()
        targets = blocks.repeat_interleave(16, 2).repeat_interleave(16, 3)
        return lambda: signed_distance_maps(targets)
    from mcd.pretraining.registry import options_class, pretraining_class
    from mcd.slices.batches import Batch

    method = pretraining_class(row)(options_class(row).model_validate({}), 8, ["X"], (48, 48))
    method.before_epoch(0, 10)
    radius = torch.linspace(-1, 1, 48).square()
    images = torch.randn(16, 1, 48, 48) * (radius[:, None] + radius < 0.8)
    batch = Batch(images, None, torch.arange(16), torch.zeros(16), torch.ones(16, 1))
    return lambda: method.losses(batch, "network")["total"].backward()


def measure(rows: list[str], seconds: float) -> dict[str, dict[str, float]]:
    """Calls, waits and processor milliseconds per step, in this process."""
    from mcd.training.allocator import keep_freed_memory

    torch.set_num_threads(1)
    keep_freed_memory()
    found = {}
    for row in rows:
        step = step_of(row)
        step()
        with profile(activities=[ProfilerActivity.CPU]) as calls, Waits() as waits:
            step()
        steps, started = 0, time.process_time()
        while time.process_time() - started < seconds:
            step()
            steps += 1
        milliseconds = 1000 * (time.process_time() - started) / steps
        found[row] = {"calls": sum(one.count for one in calls.key_averages()), "waits": waits.count, "ms": milliseconds}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="folder of another version")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of the processor, of each row in each round")
    parser.add_argument("--one", action="store_true", help="measure once, in this process, and print JSON")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(list(ROWS), arguments.seconds)))
        return
    versions = [ROOT] + ([arguments.before.resolve()] if arguments.before else [])
    found: dict[Path, list[dict[str, dict[str, float]]]] = {version: [] for version in versions}
    for _ in range(arguments.rounds):
        for version in versions:
            command = [sys.executable, __file__, "--one", "--seconds", str(arguments.seconds)]
            environment = {**os.environ, "PYTHONPATH": str(version)}
            printed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
            found[version].append(json.loads(printed))
    columns = ("calls", "waits", "ms")
    names = [*columns, *(f"{column}, before" for column in columns), "ms / before"][: 7 if arguments.before else 3]
    print(f"torch {torch.__version__}, one thread of a CPU, medians of {arguments.rounds} rounds\n")
    print(f"| | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for row in ROWS:
        values = [
            statistics.median(one[row][column] for one in found[version]) for version in versions for column in columns
        ]
        cells = [f"{value:.1f}" if at % 3 == 2 else f"{value:.0f}" for at, value in enumerate(values)]
        ratio = [f"{values[2] / values[5]:.2f}"] if arguments.before else []
        print(f"| {row} | {' | '.join([*cells, *ratio])} |")


if __name__ == "__main__":
    main()
