"""Simulated glioma patients beside real ones: slices, histograms, and how far each tumour region stands out.

    python benchmarks/compare_simulated_brain.py docs/images/simulated_brain.png --real FOLDER

FOLDER holds patients of BraTS 2013 in the form that DeepMedic's examples have (`*/T1c_*.nii.gz`, `*/Flair_*.nii.gz`,
`*/OTMultiClass.nii.gz`, `*/brainmask.nii.gz`); without it the simulated patients are shown alone.
"""

import argparse
import itertools
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import SimpleITK as sitk

from mcd.files import atomic_path
from mcd.simulation.brain.drawing import MODALITIES, simulate_brain

REGIONS = {"oedema": (2,), "necrosis + non-enhancing": (1, 3), "enhancing": (4,)}
CREDIT = (
    "Left: four real patients of BraTS 2013 (Menze et al., IEEE TMI 34(10), 2015; as distributed by K. Kamnitsas), "
    "CC BY-NC-SA 3.0. Right: simulated."
)


@dataclass
class Patient:
    """Volumes (z, y, x) z-scored over the brain, the label and the brain's mask."""

    volumes: dict[str, np.ndarray]
    label: np.ndarray
    mask: np.ndarray


def z_score(volume: np.ndarray, mask: np.ndarray) -> np.ndarray:
    inside = volume[mask]
    return (volume - inside.mean()) / inside.std()


def read_real(folder: Path) -> Patient:
    def read(pattern: str) -> np.ndarray:
        return sitk.GetArrayFromImage(sitk.ReadImage(str(next(folder.glob(pattern)))))

    mask = read("brainmask*") > 0.5
    volumes = {name: z_score(read(pattern), mask) for name, pattern in (("T1CE", "T1c_*"), ("FLAIR", "Flair_*"))}
    return Patient(volumes, np.rint(read("OTMultiClass*")).astype(np.uint8), mask)


def simulate(number: int, seed: int) -> Patient:
    images = {
        key: sitk.GetArrayFromImage(image) for key, image in simulate_brain(f"sim-{number:03d}", seed=seed).items()
    }
    mask = images["T1"] > 0
    return Patient({m: z_score(images[m], mask) for m in MODALITIES}, images["label"], mask)


def contrast(patient: Patient, modality: str, codes: tuple[int, ...]) -> float:
    """Mean of a region minus mean of the healthy brain, in standard deviations of the healthy brain."""
    volume = patient.volumes[modality]
    region, healthy = np.isin(patient.label, codes) & patient.mask, (patient.label == 0) & patient.mask
    return float((volume[region].mean() - volume[healthy].mean()) / volume[healthy].std()) if region.any() else np.nan


def spread(values: list[float]) -> str:
    """Mean and range over the patients that have the region."""
    known = np.array([value for value in values if np.isfinite(value)])
    return f"{known.mean():+.1f} ({known.min():+.1f} to {known.max():+.1f})" if len(known) else "-"


def print_table(real: list[Patient], simulated: list[Patient]) -> None:
    print(f"| modality | region | real (n = {len(real)}) | simulated (n = {len(simulated)}) |\n|---|---|---|---|")
    for modality, (name, codes) in itertools.product(MODALITIES, REGIONS.items()):
        cells = [
            spread([contrast(p, modality, codes) for p in group if modality in p.volumes])
            for group in (real, simulated)
        ]
        print(f"| {modality} | {name} | {cells[0]} | {cells[1]} |")
    for name, wanted in {"whole tumour": (1, 2, 3, 4), "tumour core": (1, 3, 4), "enhancing": (4,)}.items():
        volumes = [[np.isin(p.label, wanted).sum() / 1000 for p in group] for group in (real, simulated)]
        cells = [f"{np.median(v):.0f} ({min(v):.0f} to {max(v):.0f})" if v else "-" for v in volumes]
        print(f"| volume, ml | {name} (median) | {cells[0]} | {cells[1]} |")


def show(axis: Axes, patient: Patient, modality: str, contours: bool) -> None:
    z = int(np.argmax((patient.label > 0).sum((1, 2))))
    rows, columns = slice(32, 226), slice(40, 200)
    volume, label = patient.volumes[modality], patient.label[z, rows, columns]
    low, high = np.percentile(volume[patient.mask], (0.5, 99.7))
    picture = np.where(patient.mask[z], volume[z], low)[rows, columns]
    axis.imshow(picture, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    if contours:
        for codes, colour in (((1, 2, 3, 4), "tab:green"), ((1, 3, 4), "tab:red"), ((4,), "gold")):
            axis.contour(np.isin(label, codes), levels=[0.5], colors=colour, linewidths=0.6)
    axis.set_axis_off()


def draw(real: list[Patient], simulated: list[Patient], path: Path) -> None:
    columns = [("real", m) for m in ("T1CE", "FLAIR")] + [("simulated", m) for m in ("T1CE", "FLAIR", "T2", "T1")]
    figure = plt.figure(figsize=(9, 9.6), layout="constrained")
    parts = figure.add_gridspec(2, 1, height_ratios=[4, 1.15])
    images, plots = figure.add_subfigure(parts[0]), figure.add_subfigure(parts[1])
    axes = images.subplots(4, len(columns), squeeze=False)
    for column, (kind, modality) in enumerate(columns):
        axes[0, column].set_title(f"{kind} {modality}", fontsize=8)
        group = real if kind == "real" else simulated
        for row in range(4):
            axes[row, column].set_axis_off()
            if row < len(group):
                show(axes[row, column], group[row], modality, contours=modality == "FLAIR")
    for axis, modality in zip(plots.subplots(1, 4, sharey=True), ("T1CE", "FLAIR", "T2", "T1"), strict=True):
        for group, colour, name in ((simulated, "tab:blue", "simulated"), (real, "black", "real")):
            for number, patient in enumerate(p for p in group if modality in p.volumes):
                heights, edges = np.histogram(patient.volumes[modality][patient.mask], 90, (-4, 5), density=True)
                axis.plot((edges[1:] + edges[:-1]) / 2, heights, colour, lw=0.7, label=None if number else name)
        axis.set_title(f"{modality}, z-scored in the brain", fontsize=7)
        axis.tick_params(labelsize=6)
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
    folders = sorted(p.parent for p in options.real.glob("*/OTMultiClass.nii.gz")) if options.real else []
    real = [read_real(folder) for folder in folders]
    simulated = [simulate(number, options.seed) for number in range(options.patients)]
    print_table(real, simulated)
    draw(real, simulated, options.output)


if __name__ == "__main__":
    main()
