"""Shows that a change of the code changes no number: runs a small training of every algorithm, and prints a digest of each.

    python benchmarks/same_training.py --shards work/brats/shards/*.h5 --split splits/brats/seed0.json > new.json
    python benchmarks/same_training.py ... --package ../before > old.json
    python benchmarks/same_training.py --compare old.json new.json

The shards and the split are those of any cohort with T1CE and T2, such as that of `configs/smoke.yaml`. Trainings are started
through the command line (`mcd pretrain`, `mcd finetune`), which other versions have too: `--package` is the folder of one.
A digest covers every weight and every loss, but not times, memory and warnings.
"""

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
PRETRAINED = (
    "rotation jigsaw m_jigsaw exemplar cpc simclr byol swav gl contig vicreg mae volume_fusion brainmvp_lite "
    "multi_condos con_only p_gan feature_l1 sl3"
)
FINETUNED = "fully_supervised mt dtml sass bcp unimatch"
NOT_TRAINED = (
    "weights_moved",
    "warning",
    "steps",
    "targets_seen",
    "slices_per_second",
    "seconds",
    "images",
    "memory_mib",
    "gpu_memory_mib",
    "device",
    "mcd_version",
    "digest",
)
CONFIGURATION = """
cohorts:
  brats:
    layout: brats2018
    simulate: {subjects: 4}
    modalities: [T1CE, T2]
    pairs: [T1CE-T2]
    regions: {WT: [1, 2, 4], TC: [1, 4], ET: [4]}
    preprocessing: {size: [32, 32]}
    batch_size: {pretraining: 8, finetuning: {0.5: 4}}
label_ratios: [0.5]
full_ratios: []
curve_ratios: [0.5]
sharing_ratios: [0.5]
filters: 4
pretraining: {epochs: 3, steps_per_epoch: 3}
finetuning: {epochs: 3, steps_per_epoch: 4, learning_rate: 0.01, warmup_epochs: 1}
algorithms:
  dsgan: {discriminator_filters: 4}
  swav: {queue: 16, queue_start: 0.3}
compute: {device: cpu}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=Path, nargs="+", help="of a cohort with T1CE and T2")
    parser.add_argument("--split", type=Path)
    parser.add_argument("--package", type=Path, default=ROOT, help="folder of the version to run (default: this one)")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("OLD", "NEW"), help="two printed files")
    arguments = parser.parse_args()
    if arguments.compare:
        sys.exit(compare(*(json.loads(path.read_text()) for path in arguments.compare)))
    data = ["--shards", *map(str, map(Path.resolve, arguments.shards)), "--split", str(arguments.split.resolve())]
    print(json.dumps(digests(data, arguments.package.resolve()), indent=2))


def digests(data: list[str], package: Path) -> dict[str, str]:
    """Method -> digest, from trainings with the version of `mcd` in a folder."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.yaml")
        config.write_text(CONFIGURATION)
        common = ["--config", str(config), "--cohort", "brats", *data]
        for method in PRETRAINED.split():
            found[method] = train(
                package, Path(folder, f"{method}.pt"), ["pretrain", "--pair", "T1CE-T2", *common], method
            )
        segmentation = ["finetune", "--modality", "T2", "--ratio", "0.5", *common]
        for method in FINETUNED.split():
            found[method] = train(package, Path(folder, f"{method}.pt"), segmentation, method)
        start = ["--pretrained", str(Path(folder, "multi_condos.pt"))]
        found["multi_condos, fine-tuned"] = train(package, Path(folder, "t.pt"), segmentation + start, "multi_condos")
    return found


def train(package: Path, output: Path, arguments: list[str], method: str) -> str:
    command = [sys.executable, "-m", "mcd.cli", *arguments, "--method", method, "--output", str(output)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(package)}, cwd=output.parent, check=True, stdout=2)
    digest = hashlib.sha256()
    for part, state in sorted(torch.load(output, weights_only=True)["weights"].items()):
        for name, tensor in sorted(state.items()):
            digest.update(f"{part} {name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.numpy().tobytes())
    with open(output.with_suffix(".csv"), newline="") as file:
        for row in csv.DictReader(file):
            digest.update(json.dumps({key: value for key, value in row.items() if key not in NOT_TRAINED}).encode())
    return digest.hexdigest()


def compare(old: dict[str, str], new: dict[str, str]) -> int:
    """Print a line per method; return 1 if any differs or is missing."""
    methods = {**old, **new}
    for method in methods:
        print(f"{'equal    ' if old.get(method) == new.get(method) else 'DIFFERENT'} {method}")
    return int(old != new)


if __name__ == "__main__":
    main()
