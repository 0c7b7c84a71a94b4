"""Preprocessing and scores against the field's libraries: processor seconds for the same work, in turns, in one process.

    python benchmarks/peers.py FOLDER [--before FOLDER_OF_ANOTHER_VERSION]

Preprocessing: a simulated patient at the official spacing, from raw files to written ones: axes, 1 mm by nearest neighbour, an
in-plane crop, clipping at the 1st and 99th percentile, z-score over the non-zero region. MONAI's and TorchIO's chains are of
their own transforms; they find neither the body nor the patient's box (so that a whole CT is resampled), and do not read back
what they wrote. TorchIO is left out where it is not installed. Scores: the five of a region, against MONAI's Dice, sensitivity,
precision and HD95, and against DeepMind's surface-distance (HD95 and surface Dice). With --before, this project's own work is
done by another version, too, in turns, each time in a process of its own.
"""

import argparse
import importlib
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

ROOT = Path(__file__).parents[1]
COHORTS: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "BraTS": ("brats2018", ["T1", "T1CE", "T2", "FLAIR"], {"size": (160, 160)}),
    "HECKTOR": (
        "hecktor2020",
        ["CT", "PET"],
        {"size": (144, 144), "statistics_region": {"CT": "body", "PET": "nonzero"}},
    ),
}
Work = Callable[[], Any]


def subject_of(cohort: str, folder: Path) -> Any:
    """A simulated patient, written where it is not there yet."""
    from mcd.cohorts.simulated import patient_files, simulated_subjects, write_patient

    layout, modalities, _ = COHORTS[cohort]
    (subject,) = simulated_subjects(layout, folder / cohort, modalities, 1, seed=0)
    if not all(path.exists() for path in subject.images.values()):
        files = patient_files(layout, folder / cohort, subject.id)
        write_patient(layout, files, subject.id, seed=0, noise=1.0, spacing={})
    return subject


def ours(cohort: str, folder: Path) -> Work:
    from mcd.imaging.options import PreprocessOptions
    from mcd.imaging.preprocess import preprocess_subject, write_preprocessed

    subject, options = subject_of(cohort, folder), PreprocessOptions(**COHORTS[cohort][2])
    return lambda: write_preprocessed(preprocess_subject(subject, options), folder / "ours")


def monai(cohort: str, folder: Path) -> Work:
    t: Any = importlib.import_module("monai.transforms")  # its names are not exported for type checkers

    subject, (height, width) = subject_of(cohort, folder), COHORTS[cohort][2]["size"]
    images = list(subject.images)
    keys = [*images, "label"]
    chain = t.Compose(
        [
            t.LoadImaged(keys, image_only=True, ensure_channel_first=True),
            t.Orientationd(keys, axcodes="LPS", labels=None),
            t.Spacingd(keys, pixdim=(1.0, 1.0, 1.0), mode="nearest"),
            t.ResizeWithPadOrCropd(keys, spatial_size=(width, height, -1)),
            t.ClipIntensityPercentilesd(images, lower=1, upper=99),
            t.NormalizeIntensityd(images, nonzero=True),
            t.SaveImaged(keys, output_dir=folder / "monai", separate_folder=False, print_log=False),
        ]
    )
    files = {**{name: str(path) for name, path in subject.images.items()}, "label": str(subject.label)}
    return lambda: chain(files)


def torchio(cohort: str, folder: Path) -> Work:
    tio: Any = importlib.import_module("torchio")

    subject, (height, width) = subject_of(cohort, folder), COHORTS[cohort][2]["size"]
    chain = [
        tio.ToCanonical(),
        tio.Resample(1, image_interpolation="nearest"),
        tio.CropOrPad((width, height, None)),
        tio.RescaleIntensity(percentiles=(1, 99), masking_method=lambda image: image != 0),
        tio.ZNormalization(masking_method=lambda image: image != 0),
    ]
    (folder / "torchio").mkdir(exist_ok=True)

    def work() -> None:
        images = {name: tio.ScalarImage(path) for name, path in subject.images.items()}
        loaded = tio.Subject(**images, label=tio.LabelMap(subject.label))
        for transform in chain:
            loaded = transform(loaded)
        for name, image in loaded.get_images_dict(intensity_only=False).items():
            image.save(folder / "torchio" / f"{name}.nii.gz")

    return work


def masks() -> tuple[np.ndarray, np.ndarray]:
    """A tumour of a BraTS volume, and a prediction of it that is shifted and has specks everywhere."""
    z, y, x = np.mgrid[:155, :160, :160]
    truth = ((z - 70) / 25) ** 2 + ((y - 80) / 35) ** 2 + ((x - 70) / 30) ** 2 < 1
    specks = ndimage.binary_dilation(np.random.default_rng(0).random(truth.shape) < 5e-5, iterations=2)
    return truth, np.roll(truth, 2, 1) | specks


def our_scores() -> Work:
    from mcd.evaluation.metrics import score_subject

    truth, found = masks()
    return lambda: score_subject({"WT": truth}, {"WT": found}, (1.0, 1.0, 1.0))


def monai_scores() -> Work:
    import torch

    m: Any = importlib.import_module("monai.metrics")

    truth, found = (torch.from_numpy(mask)[None, None].float() for mask in masks())
    metrics = [
        m.DiceMetric(),
        m.ConfusionMatrixMetric(metric_name=["sensitivity", "precision"]),
        m.HausdorffDistanceMetric(percentile=95),
    ]
    return lambda: [metric(found, truth) for metric in metrics]


def surface_distance_scores() -> Work:
    surface_distance: Any = importlib.import_module("surface_distance")

    truth, found = masks()

    def work() -> None:
        distances = surface_distance.compute_surface_distances(truth, found, (1.0, 1.0, 1.0))
        surface_distance.compute_robust_hausdorff(distances, 95)
        surface_distance.compute_surface_dice_at_tolerance(distances, 1)

    return work


def seconds(work: Work) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def own_work(folder: Path) -> dict[str, Work]:
    return {**{name: ours(name, folder) for name in COHORTS}, "scores": our_scores()}


def peers(folder: Path) -> dict[str, dict[str, Work]]:
    found: dict[str, dict[str, Work]] = {}
    for cohort in COHORTS:
        found[cohort] = {"MONAI": monai(cohort, folder)}
        if importlib.util.find_spec("torchio"):
            found[cohort]["TorchIO"] = torchio(cohort, folder)
    found["scores"] = {"MONAI": monai_scores(), "surface-distance": surface_distance_scores()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--before", type=Path, help="folder of another version")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", action="store_true", help="measure this version once, and print JSON")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    folder = arguments.folder
    if arguments.one:
        found = {}
        for name, work in own_work(folder).items():
            seconds(work)
            found[name] = seconds(work)
        print(json.dumps(found))
        return
    print("| work | ours s | against | theirs s | ours / theirs |\n|---|---|---|---|---|")
    mine = own_work(folder)
    for name, others in peers(folder).items():
        for other, work in others.items():
            for warm in (mine[name], work):
                warm()
            rounds = [(seconds(mine[name]), seconds(work)) for _ in range(arguments.rounds)]
            _row(name, other, rounds)
    if arguments.before:
        versions = [_version(version, folder, arguments.rounds) for version in (ROOT, arguments.before.resolve())]
        pairs = [next(version) for _ in range(arguments.rounds) for version in versions]
        for name in mine:
            _row(name, "before", [(new[name], old[name]) for new, old in zip(pairs[::2], pairs[1::2], strict=True)])
    for made in ("ours", "monai", "torchio"):
        shutil.rmtree(folder / made, ignore_errors=True)


def _version(version: Path, folder: Path, rounds: int) -> Any:
    """This project's own work by a version, once for each round."""
    inherited = os.environ.get("PYTHONPATH", "")
    for _ in range(rounds):
        environment = {**os.environ, "PYTHONPATH": f"{version}{os.pathsep}{inherited}"}
        command = [sys.executable, __file__, str(folder), "--one"]
        printed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
        yield json.loads(printed)


def _row(name: str, other: str, rounds: list[tuple[float, float]]) -> None:
    one, two = (statistics.median(values) for values in zip(*rounds, strict=True))
    print(f"| {name} | {one:.2f} | {other} | {two:.2f} | {one / two:.2f} |", flush=True)


if __name__ == "__main__":
    main()
