"""Trees of small volumes in the official forms of public data sets, as their publishers describe them."""

import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mcd.imaging.geometry import Grid
from mcd.imaging.write_volume import write_volume

GRID = Grid((16, 16, 6), (1.0, 1.0, 2.0), (3.0, -4.0, 5.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))


def image(path: Path, low: float = 0.0) -> None:
    """Write a scan with `low` around it; no two are alike."""
    rng = np.random.default_rng(zlib.crc32(str(path).encode()))
    values = np.full(GRID.shape, low, np.float32)
    values[:, 2:14, 2:14] = rng.uniform(10, 100, (6, 12, 12))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(GRID.image(values), path)


def label(path: Path, codes: Iterable[int] = (1,)) -> None:
    """Write a label map that has every code."""
    values = np.zeros(GRID.shape, np.uint8)
    for number, code in enumerate(codes):
        values[1:4, 4:10, 4 + number] = code
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(GRID.image(values), path)


def brats(root: Path, ids: Iterable[str], endings: Iterable[str], seg: str, codes: Iterable[int]) -> None:
    """`<id>/<id><ending>.nii.gz`; an id may have folders before it."""
    for patient in ids:
        name = patient.rpartition("/")[2]
        for ending in endings:
            image(root / patient / f"{name}{ending}.nii.gz")
        label(root / patient / f"{name}{seg}.nii.gz", codes)


def dataset_json(folder: Path, content: Mapping[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(content))


def msd(folder: Path, patients: Iterable[str], channels: Mapping[str, str], labels: Mapping[str, str]) -> None:
    """Four-dimensional images, and the files that macOS left in the archives."""
    names = list(patients)
    for patient in names:
        rng = np.random.default_rng(len(patient) + names.index(patient))
        volumes = []
        for number in range(len(channels)):
            values = np.zeros(GRID.shape, np.float32)
            values[:, 2:14, 2:14] = rng.uniform(10, 100, (6, 12, 12)) + 100 * number
            volumes.append(GRID.image(values))
        path = folder / "imagesTr" / f"{patient}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(sitk.JoinSeries(volumes) if len(volumes) > 1 else volumes[0], str(path))
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
        label(folder / "labelsTr" / path.name, [int(code) for code in labels if int(code)])
    entries = [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in names]
    dataset_json(
        folder,
        {
            "name": "X",
            "tensorImageSize": "4D",
            "modality": channels,
            "labels": labels,
            "numTraining": len(names),
            "training": entries,
            "test": ["./imagesTs/X_900.nii.gz"],
        },
    )


def nnunet(folder: Path, patients: Iterable[str], channels: int, part: str = "Tr", labelled: bool = True) -> None:
    for patient in patients:
        for number in range(channels):
            image(folder / f"images{part}" / f"{patient}_{number:04d}.nii.gz")
        if labelled:
            label(folder / f"labels{part}" / f"{patient}.nii.gz", (1, 2, 3))
