"""Writing a simulated patient's raw files, so that nothing that reads them knows it is simulated."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from mcd.imaging.io import write_volume
from mcd.simulation.brain.drawing import simulate_brain
from mcd.simulation.head_neck.drawing import simulate_head_neck


def write_brain(
    files: Mapping[str, str], subject: str, *, seed: int, noise: float, spacing: Mapping[str, Sequence[float]]
) -> None:
    """Simulate one brain patient and write T1, T1CE, T2, FLAIR and label to `files`; spacing of the scanner `MR`, mm."""
    chosen: dict[str, Any] = {"spacing": tuple(spacing["MR"])} if "MR" in spacing else {}
    _write(simulate_brain(subject, seed=seed, noise=noise, **chosen), files)


def write_head_neck(
    files: Mapping[str, str], subject: str, *, seed: int, noise: float, spacing: Mapping[str, Sequence[float]]
) -> None:
    """Simulate one head-and-neck patient and write CT, PET and label to `files`; spacing of `CT` and of `PET`, mm."""
    chosen: dict[str, Any] = {f"{scanner.lower()}_spacing": tuple(size) for scanner, size in spacing.items()}
    _write(simulate_head_neck(subject, seed=seed, noise=noise, **chosen), files)


def _write(images: Mapping[str, sitk.Image], files: Mapping[str, str]) -> None:
    for name, image in images.items():
        write_volume(image, Path(files[name]))
