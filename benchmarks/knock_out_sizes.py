"""At which size a segmentation network needs its innermost layers, the ones that Multi-ConDoS shares.

    snakemake --configfile configs/study_cpu.yaml --directory runs/size48 --cores 2 shards
    python benchmarks/knock_out_sizes.py --run runs/size48 --cohort brats --modalities T1CE T2 --ratios 0.1 1 \
        --filters 8 16 --steps 250 1000

trains a U-Net from random weights for each combination and prints its mean DSC on training patients whose labels it did not see
(with all labels: on test patients), as it is and with what the innermost layers hand on replaced by its channel means
(`mcd.diagnosis.knock_out`), and the processor seconds that the training took. Where the difference is next to nothing, nothing
that shared layers learn can show in a DSC.
"""

import argparse
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np

from mcd.diagnosis.knock_out import segmentation_without
from mcd.segmentation.options import FinetuningTask
from mcd.segmentation.run import finetune
from mcd.slices.shards import Shards
from mcd.slices.splits import Split, read_split
from mcd.training.device import prepare
from mcd.training.schedule import Compute, Schedule

REGIONS = {"WT": [1, 2, 4], "TC": [1, 4], "ET": [4]}
COMPUTE = Compute(device="cpu", threads=1)
EPOCHS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder in which the workflow made the shards")
    parser.add_argument("--cohort", default="brats")
    parser.add_argument("--modalities", nargs="+", required=True)
    parser.add_argument("--ratios", nargs="+", type=float, default=[0.1])
    parser.add_argument("--filters", nargs="+", type=int, default=[8])
    parser.add_argument("--steps", nargs="+", type=int, default=[250])
    parser.add_argument("--rate", type=float, default=0.005)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    shards = sorted((arguments.run / "work" / arguments.cohort / "shards").glob("*.h5"))
    split = arguments.run / "splits" / arguments.cohort / f"seed{arguments.seed}.json"
    device = prepare(COMPUTE)
    print("| labels | modality | f | steps | DSC | without | costs | seconds |\n" + "|---" * 8 + "|", flush=True)
    axes = (arguments.ratios, arguments.modalities, arguments.filters, arguments.steps)
    for ratio, modality, filters, steps in product(*axes):
        task = FinetuningTask(
            algorithm="supervised",
            modality=modality,
            regions=REGIONS,
            label_ratio=ratio,
            filters=filters,
            seed=arguments.seed,
            schedule=Schedule(
                epochs=EPOCHS,
                steps_per_epoch=steps // EPOCHS,
                batch_size=16,
                learning_rate=arguments.rate,
                weight_decay=1e-4,
                warmup_epochs=1,
                decay="cosine",
            ),
        )
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "model.pt"
            started = time.process_time()
            finetune(task, shards=shards, split=split, output=model, compute=COMPUTE)
            seconds = time.process_time() - started
            parts = read_split(split)
            tried = Split(train=[*parts.labelled(ratio), *parts.test], test=[]) if ratio == 1 else parts
            with Shards(shards) as opened:
                numbers = segmentation_without(model, 1, "", opened, tried, COMPUTE, device)
        whole, without = (
            np.mean([one.value for one in numbers if one.measure == name]) for name in ("DSC", "DSC_without")
        )
        print(
            f"| {ratio:.0%} | {modality} | {filters} | {steps} | {whole:.3f} | {without:.3f} | {whole - without:.3f} "
            f"| {seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
