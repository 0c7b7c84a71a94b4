"""What the strengths of views and of MT's noise are worth downstream: as published, and as z-scores would have them.

    python benchmarks/strengths.py --shards work/brats/shards/*.h5 --split splits/brats/seed0.json --modality T2

prints, for each seed, the mean DSC of the test patients: of SimCLR with the largest brightness at 0.3 and at 0.065 of a
volume's range (0.3 z-scores), and of MT with a noise of 0.1 and 0.022; length and rates are those of the default run, with
10 % of the labels.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mcd.prediction.run import predict_test
from mcd.prediction.score import score_predictions
from mcd.pretraining.options import PretrainingTask
from mcd.pretraining.run import pretrain
from mcd.segmentation.options import FinetuningTask
from mcd.segmentation.run import finetune
from mcd.training.schedule import Schedule

REGIONS = {"WT": [1, 2, 4], "TC": [1, 4], "ET": [4]}
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "Fully Supervised": ({}, None),
    "SimCLR, brightness 0.3": ({}, {"brightness": 0.3}),
    "SimCLR, brightness 0.065": ({}, {"brightness": 0.065}),
    "MT, noise 0.1": ({"algorithm": "mean_teacher", "options": {"noise": 0.1, "noise_bound": 0.2}}, None),
    "MT, noise 0.022": ({"algorithm": "mean_teacher", "options": {"noise": 0.022, "noise_bound": 0.044}}, None),
}


def dsc(arguments: argparse.Namespace, row: str, seed: int) -> float:
    """The mean DSC of the test patients, over their regions."""
    own, views = ROWS[row]
    data: dict[str, Any] = {"shards": arguments.shards, "split": arguments.split}
    schedule = Schedule(
        epochs=10,
        steps_per_epoch=10,
        batch_size=8,
        learning_rate=0.005,
        weight_decay=1e-4,
        warmup_epochs=1,
        decay="cosine",
    )
    common: dict[str, Any] = {"modality": arguments.modality, "regions": REGIONS, "filters": 8, "seed": seed}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if views is not None:
            task = PretrainingTask(
                algorithm="simclr",
                options={"learning_rate": 0.001, **views},
                modalities=(arguments.modality,),
                filters=8,
                epochs=3,
                steps_per_epoch=25,
                batch_size=16,
                seed=seed,
            )
            pretrain(task, **data, output=folder / "checkpoint.pt")
        finetune(
            FinetuningTask(label_ratio=0.1, schedule=schedule, **common, **own),
            **data,
            output=folder / "model.pt",
            pretrained=folder / "checkpoint.pt" if views is not None else None,
        )
        predict_test(**data, model=folder / "model.pt", predictions=folder / "predictions.h5")
        columns = {"cohort": "c", "pair": "p", "modality": "m", "method": row, "label_ratio": 0.1, "seed": seed}
        scored = score_predictions(
            **data, predictions=folder / "predictions.h5", scores=folder / "scores.csv", columns=columns
        )
    return float(np.mean([one["DSC"] for one in scored]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", nargs="+", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--modality", default="T2")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    for row in ROWS:
        found = [dsc(arguments, row, seed) for seed in range(arguments.seeds)]
        print(f"| {row} | {' | '.join(f'{value:.3f}' for value in found)} | {np.mean(found):.3f} |", flush=True)


if __name__ == "__main__":
    main()
