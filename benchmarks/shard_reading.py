"""How many slices per second the shards deliver, in memory and streamed, compared with what a DSGAN training needs.

    python benchmarks/shard_reading.py --shards work/brats/shards/*.h5 --split splits/brats/seed0.json --pair T1CE-T2

prints a Markdown table. Training is the whole step of `mcd.training.loop.train`, reading included; reading alone should be
many times faster, so that training never waits for its slices.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from mcd.pretraining.dsgan import DSGAN
from mcd.pretraining.options import DSGANOptions
from mcd.slices.batches import SliceSet, shuffled_batches
from mcd.slices.shards import Shards
from mcd.slices.splits import read_split
from mcd.training.device import prepare
from mcd.training.loop import train
from mcd.training.schedule import Compute


def reading_speed(slices: SliceSet, batch_size: int, seconds: float) -> float:
    """Slices per second in random batches, over whole passes until `seconds` have passed."""
    rng = np.random.default_rng(0)
    seen, started = 0, time.monotonic()
    while time.monotonic() - started < seconds:
        for indices in shuffled_batches(len(slices), batch_size, rng):
            seen += len(slices.batch(indices).images)
            if time.monotonic() - started >= seconds:
                break
    if slices.device.type == "cuda":
        torch.cuda.synchronize(slices.device)
    return seen / (time.monotonic() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=Path, nargs="+", required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--pair", required=True, help="such as T1CE-T2")
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--batch", type=int, default=36)
    parser.add_argument("--steps", type=int, default=20, help="of training, after as many to warm up")
    parser.add_argument("--seconds", type=float, default=5.0, help="of reading, each way")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    compute = Compute(device=arguments.device)
    device = prepare(compute)
    pair = arguments.pair.split("-")
    with Shards(arguments.shards) as shards:
        subjects = read_split(arguments.split).train
        held = SliceSet(shards, subjects, pair, device=device, memory_limit=float("inf"))
        streamed = SliceSet(shards, subjects, pair, device=device, memory_limit=0)
        assert held.in_memory
        assert not streamed.in_memory
        options = DSGANOptions(discriminator_filters=arguments.filters)
        torch.manual_seed(0)
        method = DSGAN(options, arguments.filters, pair, held.size)
        schedule = options.schedule(2, arguments.batch, arguments.steps)
        training = train(method, held, schedule, compute, seed=0)[-1]["slices_per_second"]
        print(f"{len(held)} pairs of {held.size[0]} x {held.size[1]} pixels, batch {arguments.batch}, on {device}\n")
        print("| | slices/s | times the training's |\n|---|---|---|")
        print(f"| DSGAN training, f = {arguments.filters} | {training:.1f} | 1 |")
        for name, slices in (("held in memory", held), ("streamed from the shards", streamed)):
            speed = reading_speed(slices, arguments.batch, arguments.seconds)
            print(f"| {name} | {speed:.0f} | {speed / training:.0f} |")


if __name__ == "__main__":
    main()
