"""Simulated head-and-neck patients beside real CT and FDG-PET: slices, histograms, and a table of contrasts and noise.

    python benchmarks/compare_simulated_head_neck.py docs/images/simulated_head_neck.png --real FOLDER

FOLDER holds patients of TCIA's Soft-tissue-Sarcoma as NIfTI (`*/CT/image.nii.gz` in HU, `*/PET/image.nii.gz` in SUV, and the
tumour as `*/CT/mask.nii.gz`); without it the simulated patients are shown alone. They are thighs and shoulders, not necks:
texture and noise of tissues, and the contrast of tumours, are comparable, the anatomy is not.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from mcd.files import atomic_path
from mcd.simulation.head_neck.drawing import simulate_head_neck
from mcd.simulation.head_neck.patient import bounding_box

CREDIT = (
    "First columns: real patients STS_001 and STS_002 of TCIA's Soft-tissue-Sarcoma "
    "(Vallières et al., Phys. Med. Biol. 60, 2015), CC BY 3.0. Others: simulated."
)
Array = np.ndarray


@dataclass
class Patient:
    """CT, PET and tumour (z, y, x) on the CT's grid, its (z, y, x) spacing, and where muscle and fat are to be measured."""

    ct: Array
    pet: Array
    tumour: Array
    spacing: tuple[float, ...]
    muscle: Array
    fat: Array


def prepare(ct: sitk.Image, pet: sitk.Image, label: sitk.Image, part: Array | None = None) -> Patient:
    """A patient whose muscle and fat are what looks like them after smoothing, away from any border and from the tumour."""
    hu = sitk.GetArrayFromImage(ct).astype(np.float32)
    tumour = sitk.GetArrayFromImage(label) > 0
    uptake = sitk.GetArrayFromImage(sitk.Resample(pet, ct))
    smooth = ndimage.gaussian_filter(hu, (0.5, 1.5, 1.5))
    free = ~ndimage.binary_dilation(tumour, iterations=4)
    if part is not None:
        free &= part
    near = np.ones((1, 9, 9), bool)
    muscle, fat = ((low < smooth) & (smooth < high) & free for low, high in ((25, 85), (-140, -75)))
    muscle, fat = (ndimage.binary_erosion(tissue, near) for tissue in (muscle, fat))
    return Patient(hu, uptake, tumour, ct.GetSpacing()[::-1], muscle, fat)


def read_real(folder: Path) -> Patient:
    ct, pet, label = (
        sitk.ReadImage(str(folder / name)) for name in ("CT/image.nii.gz", "PET/image.nii.gz", "CT/mask.nii.gz")
    )
    return prepare(ct, pet, label)


def simulate(number: int, seed: int) -> Patient:
    """A simulated patient; muscle is measured in the nape and fat below the skull, to exclude brain and glands."""
    subject = f"sim-{number:03d}"
    images = simulate_head_neck(subject, seed=seed)
    _, _, front, back, low, high = bounding_box(subject, seed=seed)
    depth, height, _ = images["CT"].GetSize()[::-1]
    _, y0, z0 = images["CT"].GetOrigin()
    _, dy, dz = images["CT"].GetSpacing()
    z, y = z0 + dz * np.arange(depth), y0 + dy * np.arange(height)
    part = (z < (low + high) / 2)[:, None, None] & (y > (front + back) / 2)[None, :, None]
    part = part & (z > low)[:, None, None] & np.ones(images["CT"].GetSize()[::-1], bool)
    return prepare(images["CT"], images["PET"], images["label"], part)


def grain(volume: Array, where: Array) -> float:
    """Noise: the median over a tissue of the standard deviation in 9 x 9 pixels of a slice."""
    size = (1, 9, 9)
    mean = ndimage.uniform_filter(volume.astype(np.float64), size)
    square = ndimage.uniform_filter(volume.astype(np.float64) ** 2, size)
    return float(np.median(np.sqrt(np.maximum(square - mean**2, 0))[where]))


def ring(patient: Patient) -> Array:
    """The 10 mm of body around the tumour."""
    distance = sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(
            _with_spacing(patient.tumour, patient.spacing),
            squaredDistance=False,
            useImageSpacing=True,
            insideIsPositive=False,
        )
    )
    return (distance > 2) & (distance < 12) & (patient.ct > -200) & (patient.ct < 200)


def _with_spacing(mask: Array, spacing: tuple[float, ...]) -> sitk.Image:
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(spacing[::-1])
    return image


def contrast(patient: Patient, volume: Array) -> float:
    """Tumour minus its surroundings, in standard deviations of the surroundings."""
    around = volume[ring(patient)]
    return float((volume[patient.tumour].mean() - around.mean()) / around.std())


ROWS: list[tuple[str, Callable[[Patient], float]]] = [
    ("muscle, HU", lambda p: float(p.ct[p.muscle].mean())),
    ("fat, HU", lambda p: float(p.ct[p.fat].mean())),
    ("noise in muscle, HU", lambda p: grain(p.ct, p.muscle)),
    ("tumour, HU", lambda p: float(p.ct[p.tumour].mean())),
    ("tumour against its surroundings in CT, SD", lambda p: contrast(p, p.ct)),
    ("muscle, SUV", lambda p: float(p.pet[p.muscle].mean())),
    ("fat, SUV", lambda p: float(p.pet[p.fat].mean())),
    ("SD within muscle, part of its SUV", lambda p: float(p.pet[p.muscle].std() / p.pet[p.muscle].mean())),
    ("tumour mean / muscle, SUV", lambda p: float(p.pet[p.tumour].mean() / p.pet[p.muscle].mean())),
    ("tumour maximum, SUV", lambda p: float(p.pet[p.tumour].max())),
    ("tumour against its surroundings in PET, SD", lambda p: contrast(p, p.pet)),
    ("tumour volume, ml", lambda p: float(p.tumour.sum() * np.prod(p.spacing) / 1000)),
]


def print_table(real: list[Patient], simulated: list[Patient]) -> None:
    print(f"| | real sarcoma (n = {len(real)}) | simulated (n = {len(simulated)}): median (range) |\n|---|---|---|")
    for name, measure in ROWS:
        values = np.array([measure(patient) for patient in simulated])
        mine = f"{np.median(values):.3g} ({values.min():.3g} to {values.max():.3g})"
        print(f"| {name} | {', '.join(f'{measure(patient):.3g}' for patient in real) or '-'} | {mine} |")


def centre(patient: Patient) -> tuple[int, int, int]:
    z = int(patient.tumour.sum((1, 2)).argmax())
    y, x = (round(np.mean(index)) for index in np.nonzero(patient.tumour[z]))
    return z, y, x


def show(column: Array, patient: Patient) -> None:
    """CT without and with the tumour's outline and PET, axial; CT and PET, coronal: 160 mm across."""
    z, y, x = centre(patient)
    dz, dy, dx = patient.spacing
    height, width = patient.ct.shape[1:]
    top, left = (int(np.clip(c - 80 / d, 0, max(n - 160 / d, 0))) for c, d, n in ((y, dy, height), (x, dx, width)))
    rows, columns = slice(top, top + round(160 / dy)), slice(left, left + round(160 / dx))
    ct: dict[str, Any] = {"cmap": "gray", "vmin": -160, "vmax": 240}
    pet: dict[str, Any] = {"cmap": "gray_r", "vmin": 0, "vmax": 10}
    pictures = [
        (patient.ct[z, rows, columns], ct, 1.0),
        (patient.pet[z, rows, columns], pet, 1.0),
        (patient.ct[::-1, y, columns], ct, dz / dx),
        (patient.pet[::-1, y, columns], pet, dz / dx),
    ]
    outline = [patient.tumour[z, rows, columns], patient.tumour[::-1, y, columns]]
    for number, (axis, (picture, options, aspect)) in enumerate(zip(column, pictures, strict=True)):
        axis.imshow(picture, aspect=aspect, interpolation="nearest", **options)
        if number % 2:
            axis.contour(outline[number // 2], levels=[0.5], colors="tab:red", linewidths=0.7)


def draw(real: list[Patient], simulated: list[Patient], path: Path) -> None:
    shown = [("real", p) for p in real] + [("simulated", p) for p in simulated[: 6 - len(real)]]
    figure = plt.figure(figsize=(10, 9.4), layout="constrained")
    images, plots = figure.subfigures(2, 1, squeeze=False, height_ratios=[4, 1.1])[:, 0]
    axes = images.subplots(4, len(shown), squeeze=False, height_ratios=[1, 1, 1.1, 1.1])
    for axis in axes.flat:
        axis.set_axis_off()
    for column, (kind, patient) in enumerate(shown):
        axes[0, column].set_title(kind, fontsize=8)
        show(axes[:, column], patient)
    panels: list[tuple[str, Callable[[Patient], Array], tuple[float, float]]] = [
        ("CT in the body, HU", lambda p: p.ct[p.ct > -300], (-220, 320)),
        ("muscle, HU", lambda p: p.ct[p.muscle], (-40, 160)),
        ("muscle, SUV", lambda p: p.pet[p.muscle], (0, 2)),
        ("tumour, SUV / mean of muscle", lambda p: p.pet[p.tumour] / p.pet[p.muscle].mean(), (0, 30)),
    ]
    for axis, (title, values, limits) in zip(plots.subplots(1, len(panels)), panels, strict=True):
        for group, colour, name in ((simulated, "tab:blue", "simulated"), (real, "black", "real")):
            for number, patient in enumerate(group):
                heights, edges = np.histogram(values(patient), 50, limits, density=True)
                axis.plot((edges[1:] + edges[:-1]) / 2, heights, colour, lw=0.7, label=None if number else name)
        axis.set_title(title, fontsize=7)
        axis.tick_params(labelsize=6)
        axis.set_yticks([])
        axis.legend(fontsize=6, frameon=False)
    if real:
        figure.supxlabel(CREDIT, fontsize=6)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="the picture (PNG)")
    parser.add_argument("--real", type=Path, help="folder of real patients")
    parser.add_argument("--patients", type=int, default=12, help="simulated patients in table and histograms")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folders = sorted(p.parent.parent for p in options.real.glob("*/CT/image.nii.gz")) if options.real else []
    real = [read_real(folder) for folder in folders]
    simulated = [simulate(number, options.seed) for number in range(options.patients)]
    print_table(real, simulated)
    draw(real, simulated, options.output)


if __name__ == "__main__":
    main()
