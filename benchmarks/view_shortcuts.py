"""How often a few numbers of a view's histogram find its partner: what view-based methods could learn without anatomy.

    python benchmarks/view_shortcuts.py --shards work/brats/shards/*.h5 --split splits/brats/seed0.json

prints, for each modality of the shards, how often the nearest of a batch's other views, by mean, standard deviation and five
quantiles of the tissue alone, is that of the same slice. Chance is one in the batch. `--brightness` and `--noise` set other
strengths than the default ones.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mcd.pretraining.options import SimCLROptions
from mcd.pretraining.views import random_view
from mcd.slices.batches import SliceSet, spread_batches
from mcd.slices.shards import Shards
from mcd.slices.splits import read_split

QUANTILES = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])


def histogram(view: Tensor) -> Tensor:
    """Mean, standard deviation and quantiles of the tissue of one view (1, H, W): (7,)."""
    tissue = view[view != 0]
    return torch.cat([tissue.mean()[None], tissue.std()[None], tissue.quantile(QUANTILES)])


def retrieved(slices: SliceSet, options: SimCLROptions, batch_size: int, passes: int) -> float:
    """The share of views whose partner has the nearest histogram, each number in units of its spread in the batch."""
    found = []
    for number in range(passes):
        torch.manual_seed(number)
        rng = np.random.default_rng(number)
        for indices in spread_batches(slices.subject_of, slices.height_of, batch_size, rng):
            batch = slices.batch(indices)
            views = random_view(batch.images.repeat(2, 1, 1, 1), batch.ranges.repeat(2, 1), options)
            numbers = torch.stack([histogram(view) for view in views])
            numbers = (numbers - numbers.mean(0)) / numbers.std(0)
            first, second = numbers.chunk(2)
            found.append((torch.cdist(first, second).argmin(1) == torch.arange(len(first))).float().mean().item())
    return float(np.mean(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", nargs="+", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--brightness", type=float, help="share of the range")
    parser.add_argument("--noise", type=float, help="share of the range")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--passes", type=int, default=5)
    arguments = parser.parse_args()
    given = {name: getattr(arguments, name) for name in ("brightness", "noise") if getattr(arguments, name) is not None}
    options = SimCLROptions(**given)
    print(f"brightness {options.brightness:g}, noise {options.noise:g}; chance {1 / arguments.batch_size:.3f}")
    with Shards(arguments.shards) as shards:
        for modality in shards.modalities:
            slices = SliceSet(shards, read_split(arguments.split).train, [modality])
            print(modality, f"{retrieved(slices, options, arguments.batch_size, arguments.passes):.3f}", flush=True)


if __name__ == "__main__":
    main()
