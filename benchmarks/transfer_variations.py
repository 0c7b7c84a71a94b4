"""The gain of pre-training by Multi-ConDoS with one thing of the recipe changed: what is transferred, how, and from where.

    snakemake --configfile configs/study_cpu.yaml --directory runs/study_cpu --cores 2 results/table2.csv
    python benchmarks/transfer_variations.py --config configs/study_cpu.yaml --run runs/study_cpu --output runs/variations

continues where it was stopped, and prints a Markdown table: mean DSC over the test patients and seeds for each label ratio
and modality, and the mean difference from the recipe over all of these trainings, with how many of them gained.
The recipe's own numbers are those of the run's table.
"""

import argparse
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from torch import Tensor, nn
from tqdm import tqdm

from mcd import plan
from mcd.config import Config, load_config
from mcd.evaluation.overlap import dsc
from mcd.files import read_json, write_json
from mcd.models.unet import UNet
from mcd.pair import Pair
from mcd.prediction.fusion import THRESHOLD
from mcd.prediction.score import true_masks
from mcd.prediction.slices import BATCH_SIZE, predict_slices
from mcd.pretraining.run import pretrain
from mcd.seeding import derive_seed
from mcd.segmentation.options import SegmentationOptions
from mcd.segmentation.supervised import Supervised
from mcd.segmentation.transfer import transfer
from mcd.slices.batches import Batch, SliceSet
from mcd.slices.options import Augmentation
from mcd.slices.shards import Shards
from mcd.slices.splits import read_split
from mcd.training.checkpoint import load_checkpoint
from mcd.training.device import prepare
from mcd.training.loop import train
from mcd.training.method import Losses


@dataclass(frozen=True)
class Variation:
    """One departure from the recipe.

    Attributes:
        depth: decoder layers to transfer (Table VIII); None to start from random weights.
        rate: learning rate of the transferred layers, as a share of the others'.
        norm: of the transferred layers: `kept`, `fresh` scales, shifts and statistics, or `frozen` statistics of pre-training.
        epochs: length of the pre-training, as a multiple of the run's.
        options: of the pre-training, instead of the run's.
    """

    depth: int | None = 3
    rate: float = 1.0
    norm: str = "kept"
    epochs: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)


RECIPE = "the recipe"
VARIATIONS = {
    RECIPE: Variation(),
    "from random weights": Variation(depth=None),
    "only encoder and shared layers transferred": Variation(depth=0),
    "transferred layers learn at a tenth of the rate": Variation(rate=0.1),
    "transferred layers stand still": Variation(rate=0.0),
    "batch norm starts fresh": Variation(norm="fresh"),
    "batch norm keeps pre-training's statistics": Variation(norm="frozen"),
    "a quarter of the pre-training": Variation(epochs=0.25),
    "no L_C": Variation(options={"contrastive": 0.0}),
    "ten times L_C": Variation(options={"contrastive": 1.0}),
    "no L_GAN": Variation(options={"adversarial": 0.0}),
    "twice the pre-training": Variation(epochs=2.0),
}


class Varied(Supervised):
    """Fine-tuning in which the transferred layers learn more slowly, or keep their batch-norm statistics."""

    def __init__(
        self, unet: UNet, augmentation: Augmentation, transferred: Sequence[str], variation: Variation
    ) -> None:
        super().__init__(unet, augmentation, SegmentationOptions())
        self.rate = variation.rate
        self.slow = [value for name, value in unet.named_parameters() if name in transferred]
        norms = [
            layer
            for name, layer in unet.named_modules()
            if isinstance(layer, nn.BatchNorm2d) and f"{name}.weight" in transferred
        ]
        if variation.norm == "fresh":
            for layer in norms:
                layer.reset_parameters()
        self.frozen = norms if variation.norm == "frozen" else []
        self.before: list[Tensor] = []

    def train(self, mode: bool = True) -> "Varied":
        super().train(mode)
        for layer in self.frozen:
            layer.eval()
        return self

    def losses(self, batch: Batch, player: str) -> Losses:
        if self.rate < 1:
            self.before = [parameter.detach().clone() for parameter in self.slow]
        return super().losses(batch, player)

    @torch.no_grad()
    def after_step(self, step: int, steps: int) -> None:
        """Undo a share of the step: without weight decay, Adam's step is proportional to the rate."""
        if self.rate < 1:
            for parameter, before in zip(self.slow, self.before, strict=True):
                parameter.copy_(before + self.rate * (parameter - before))


@dataclass(frozen=True)
class Study:
    """A finished run of the workflow with one cohort and one pair."""

    config: Config
    folder: Path
    output: Path

    @property
    def cohort(self) -> str:
        return next(iter(self.config.cohorts))

    @property
    def pair(self) -> str:
        return self.config.cohorts[self.cohort].pairs[0]

    @property
    def shards(self) -> list[Path]:
        return sorted((self.folder / "work" / self.cohort / "shards").glob("*.h5"))

    def split(self, seed: int) -> Path:
        return self.folder / "splits" / self.cohort / f"seed{seed}.json"

    def output_file(self, name: str, seed: int, ending: str) -> Path:
        return self.output / f"{name.replace(' ', '_')}_seed{seed}{ending}"

    def checkpoint(self, name: str, seed: int) -> Path:
        """The run's own checkpoint, or that of a varied pre-training, which is trained if it does not exist."""
        variation = VARIATIONS[name]
        if not variation.options and variation.epochs == 1:
            return self.folder / "work" / self.cohort / self.pair / f"pretraining/multi_condos/seed{seed}/checkpoint.pt"
        path = self.output_file(name, seed, ".pt")
        if not path.exists():
            task = plan.pretraining_task(self.config, self.cohort, self.pair, "multi_condos", seed)
            changes = {
                "options": {**task.options, **variation.options},
                "epochs": round(task.epochs * variation.epochs),
            }
            pretrain(
                task.model_copy(update=changes),
                shards=self.shards,
                split=self.split(seed),
                output=path,
                compute=self.config.compute,
                resume=f"{path}.resume",
            )
        return path


def score(study: Study, name: str, seed: int, modality: str, ratio: float) -> float:
    """Mean DSC over regions, then test patients, of one fine-tuning: what `mcd.segmentation.run` does, varied."""
    variation = VARIATIONS[name]
    method = "fully_supervised" if variation.depth is None else "multi_condos"
    task = plan.finetuning_task(study.config, study.cohort, method, modality, ratio, seed)
    compute = study.config.compute
    device = prepare(compute)
    own_seed = derive_seed(seed, modality, ratio)
    torch.manual_seed(derive_seed(own_seed, "weights"))
    unet = UNet(task.filters, out_channels=len(task.regions))
    transferred = []
    if variation.depth is not None:
        checkpoint = load_checkpoint(study.checkpoint(name, seed), "pretraining")
        transferred = transfer(checkpoint, unet, modality, variation.depth)
    parts = read_split(study.split(seed))
    tuned = Varied(unet, task.augmentation, transferred, variation)
    with Shards(study.shards) as shards:
        slices_of = partial(SliceSet, shards, modalities=[modality], regions=task.regions, device=device)
        labelled = slices_of(subjects=parts.labelled(ratio), select="target")
        train(tuned, labelled, task.schedule, compute, seed=own_seed)
        found = []
        for subject in parts.test:
            slices = slices_of(subjects=[subject], select="all")
            predicted = predict_slices(unet.eval(), slices, BATCH_SIZE, compute) >= THRESHOLD
            truth = true_masks(shards, subject, task.regions)
            found.append(np.mean([dsc(there, mask) for there, mask in zip(truth.values(), predicted, strict=True)]))
    return float(np.mean(found))


def scores(study: Study, name: str, seed: int) -> pd.DataFrame:
    """One variation with one seed: one row per label ratio and modality. Kept as JSON."""
    kept = study.output_file(name, seed, ".json")
    if not kept.exists():
        keys = product([ratio for ratio in study.config.label_ratios if ratio < 1], Pair(study.pair).modalities)
        rows = [
            {"ratio": ratio, "modality": modality, "DSC": score(study, name, seed, modality, ratio)}
            for ratio, modality in keys
        ]
        write_json(kept, rows)
    return pd.DataFrame(read_json(kept)).assign(variation=name, seed=seed)


def show(table: pd.DataFrame) -> None:
    """Print the means over seeds, and each variation against the recipe."""
    cells = table.pivot_table(index="variation", columns=["ratio", "modality"], values="DSC", sort=False)
    runs = table.pivot_table(index=["ratio", "modality", "seed"], columns="variation", values="DSC")
    heads = [f"{plan.percent(ratio)} %, {modality}" for ratio, modality in cells.columns]
    print(f"| | {' | '.join(heads)} | mean | against the recipe | gained |")
    print("|" + "---|" * (len(heads) + 4))
    for name, values in cells.iterrows():
        gains = (runs[name] - runs[RECIPE]).dropna()
        means = " | ".join(f"{value:.3f}" for value in [*values, values.mean()])
        print(f"| {name} | {means} | {gains.mean():+.3f} | {(gains > 0).sum()} of {len(gains)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="folder in which the workflow ran that configuration")
    parser.add_argument(
        "--output", type=Path, required=True, help="folder for the pre-trainings that differ, and the scores"
    )
    parser.add_argument("--only", nargs="+", choices=VARIATIONS, default=list(VARIATIONS), metavar="VARIATION")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    config = load_config(yaml.safe_load(arguments.config.read_text(encoding="utf-8")))
    study = Study(config, arguments.run, arguments.output)
    names = list(dict.fromkeys([RECIPE, *arguments.only]))
    with ProcessPoolExecutor(arguments.processes, multiprocessing.get_context("spawn")) as pool:
        tables = [pool.submit(scores, study, name, seed) for name in names for seed in config.seeds]
        show(pd.concat([table.result() for table in tqdm(tables, unit="training")]))


if __name__ == "__main__":
    main()
