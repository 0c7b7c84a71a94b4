"""What the discriminators of a pre-training by Multi-ConDoS go by, epoch by epoch: why they win.

    snakemake --configfile configs/study_choice.yaml --directory runs/study_choice --cores 2 shards
    python benchmarks/discriminators.py --config configs/study_choice.yaml --run runs/study_choice --epochs 16

prints a Markdown table: the share of patches that both discriminators, on average, call real (their mean probability) of

    seen, unseen       real slices of training patients, and of test patients, whom no network has seen
    translated         translations of the training patients' slices
    fine of real       the same with the fine detail (what a Gaussian of 1 pixel removes) of the real slice in place of theirs
    smoothed           real slices without their fine detail

and L_GAN as in losses.csv. Discriminators that learn patients by heart tell `seen` from `unseen`; those that find what the
generators cannot make, however long they are trained, tell `translated` from both.
"""

import argparse
import copy
import math
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor
from transfer_variations import Place

from mcd import plan
from mcd.config import load_config
from mcd.pair import Pair
from mcd.pretraining.dsgan import DSGAN
from mcd.pretraining.options import DSGANOptions
from mcd.seeding import derive_seed
from mcd.slices.batches import SliceSet
from mcd.slices.blur import gaussian_blur
from mcd.slices.shards import Shards
from mcd.slices.splits import read_split
from mcd.training.device import prepare
from mcd.training.loop import train

SHOWN = 256
"""Slices of either kind that are judged, in batches as in training, since batch norm goes by the batch."""


class Judged(DSGAN):
    """Multi-ConDoS whose discriminators are asked before each epoch what they think of a few sets of slices."""

    sets: dict[str, Tensor]
    batch_size: int
    found: list[dict[str, float]]

    def before_epoch(self, epoch: int, epochs: int) -> None:
        super().before_epoch(epoch, epochs)
        self.found.append(self.judge())

    @torch.no_grad()
    def judge(self) -> dict[str, float]:
        """Name -> mean probability of `real`, over both discriminators."""
        asked = copy.deepcopy(self).train()  # a copy: batch norm keeps statistics of whatever passes through it
        sums: dict[str, list[float]] = {}
        for name, images in self.sets.items():
            for batch in images.split(self.batch_size):
                for into in (0, 1):
                    real = batch[:, into : into + 1]
                    shown = {name: real}
                    if name == "seen":
                        made = asked.translate(batch[:, 1 - into : 2 - into], 1 - into, into)[0]
                        shown |= {
                            "translated": made,
                            "fine of real": smooth(made) + real - smooth(real),
                            "smoothed": smooth(real),
                        }
                    for kind, slices in shown.items():
                        says = torch.sigmoid(asked.discriminators[into](slices.contiguous())).mean()
                        sums.setdefault(kind, []).append(float(says))
        return {kind: float(np.mean(values)) for kind, values in sums.items()}


def smooth(images: Tensor) -> Tensor:
    """Slices (N, 1, H, W) under a Gaussian of 1 pixel."""
    return gaussian_blur(images, torch.ones_like(images), images.new_ones(len(images), 1, 1, 1), 1.0)


def some(slices: SliceSet, rng: np.random.Generator) -> Tensor:
    """Images (N, 2, H, W) of at most `SHOWN` slices, drawn without repetition."""
    chosen = rng.permutation(len(slices))[:SHOWN]
    return next(iter(slices.batches([chosen])))[1].images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="folder in which the workflow made shards and splits")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--options", default="{}", help="of DSGAN, instead of the configuration's, as YAML")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = load_config(yaml.safe_load(arguments.config.read_text(encoding="utf-8")))
    place = Place(config, arguments.run, arguments.run)
    modalities = Pair(place.pair).modalities
    task = plan.pretraining_task(config, place.cohort, place.pair, "multi_condos", arguments.seed)
    options = DSGANOptions.read({**task.options, **yaml.safe_load(arguments.options)}, "--options")
    compute = config.compute
    device = prepare(compute)
    split = read_split(place.split(arguments.seed, 0))
    seed = derive_seed(arguments.seed, *modalities)
    torch.manual_seed(derive_seed(seed, "weights"))
    rng = np.random.default_rng(arguments.seed)
    with Shards(place.shards) as shards:
        seen, unseen = (
            SliceSet(shards, subjects, modalities, select="content", device=device)
            for subjects in (split.seen, split.test)
        )
        method = Judged(options, task.filters, modalities, seen.size)
        method.sets = {"seen": some(seen, rng), "unseen": some(unseen, rng)}
        method.batch_size, method.found = task.batch_size, []
        schedule = options.schedule(arguments.epochs, task.batch_size, task.steps_per_epoch)
        history = train(method, seen, schedule, compute, seed=seed)
    found = [*method.found[1:], method.judge()]
    names = list(found[-1])
    print(f"| epoch | {' | '.join(names)} | L_GAN |\n|---{'|---' * len(names)}|---|")
    for row, says in zip(history, found, strict=True):
        if row["epoch"] % max(1, math.ceil(arguments.epochs / 8)) == 0:
            cells = " | ".join(f"{says[name]:.2f}" for name in names)
            print(f"| {row['epoch']} | {cells} | {row['adversarial']:.2f} |")


if __name__ == "__main__":
    main()
