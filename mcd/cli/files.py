"""A look into checkpoints and shards."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path


def add_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare this module's commands by `command(name, function, help)`."""
    sub = command("inspect", _inspect, "Say what a checkpoint or a shard is.")
    sub.add_argument("file", type=Path)


def _inspect(options: argparse.Namespace) -> None:
    if options.file.suffix == ".h5":
        from mcd.slices.shards import Shards

        with Shards([options.file]) as shards:
            print(f"shard: {', '.join(shards.modalities)}; slices of {shards.size[0]} x {shards.size[1]} pixels")
            for subject in shards.subjects.values():
                print(f"  {subject.id}: {len(subject)} slices, spacing (z, y, x) {subject.spacing} mm")
        return
    from mcd.training.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(options.file)
    print(f"{checkpoint.kind} checkpoint")
    for name, state in checkpoint.weights.items():
        numbers = sum(tensor.numel() for tensor in state.values())
        print(f"  {name}: {len(state)} tensors, {numbers / 1e6:.2f} million numbers")
    short = {key: value for key, value in checkpoint.description.items() if key not in ("trained", "transferred")}
    print(json.dumps(short, indent=2))
