"""A look at what was predicted: test patients' slices with the outlines of truth and prediction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mcd.evaluation.overlap import dsc
from mcd.files import atomic_path
from mcd.segmentation.masks import predicted_subjects, read_predictions
from mcd.slices.shards import Shards

COLOURS = ("#e69f00", "#56b4e9", "#cc79a7", "#009e73")
"""One a region; of Okabe and Ito's palette, which colour-blind readers tell apart."""


@dataclass(frozen=True)
class Predicted:
    """One run's predictions, with what it takes to show them."""

    cohort: str
    modality: str
    regions: Mapping[str, Sequence[int]]
    shards: Sequence[str | Path]
    predictions: str | Path


def draw_segmentations(runs: Sequence[Predicted], title: str, path: str | Path, patients: int = 2) -> None:
    """Draw the first `patients` test patients of each cohort, a row each, a column a modality.

    Each is cut where the label is largest in the slice. Truth is a thin dotted outline, prediction a solid one.

    Args:
        runs: one for each cohort and modality, those of a cohort together.
        title: says which method, how many labels, and whether the patients are simulated.
    """
    cohorts = list(dict.fromkeys(run.cohort for run in runs))
    columns = {cohort: [run for run in runs if run.cohort == cohort] for cohort in cohorts}
    rows = [
        (cohort, subject)
        for cohort in cohorts
        for subject in predicted_subjects(columns[cohort][0].predictions)[:patients]
    ]
    width = max(map(len, columns.values()))
    figure = Figure(figsize=(2.3 * width, 2.45 * len(rows) + 0.9), layout="constrained", facecolor="white")
    panels = figure.subplots(len(rows), width, squeeze=False)
    for line, (cohort, subject) in zip(panels, rows, strict=True):
        for panel in line:
            panel.axis("off")
        for panel, run in zip(line, columns[cohort], strict=False):
            _draw(panel, run, subject)
    names = list(dict.fromkeys(name for run in runs for name in run.regions))
    handles = [Line2D([], [], color=COLOURS[_place(runs, name)], label=name) for name in names]
    handles += [
        Line2D([], [], color="grey", linestyle=":", label="truth"),
        Line2D([], [], color="grey", label="prediction"),
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(len(handles), 2 * width), frameon=False, fontsize=8
    )
    figure.suptitle(title, fontsize=10)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=130)


def _place(runs: Sequence[Predicted], region: str) -> int:
    """A region's place among those of its cohort: which colour it has."""
    return next(list(run.regions).index(region) for run in runs if region in run.regions) % len(COLOURS)


def _draw(panel: Axes, run: Predicted, subject: str) -> None:
    predicted = read_predictions(run.predictions, subject)
    with Shards(run.shards) as shards:
        labels = shards.read(subject, "labels")
        images = shards.read(subject, "images")[:, shards.modality_positions([run.modality])[0]].astype(np.float32)
        _, height, width = shards.subject(subject).spacing
    truth = {name: np.isin(labels, codes) for name, codes in run.regions.items()}
    whole = np.logical_or.reduce(list(truth.values()))
    z = int(whole.sum(axis=(1, 2)).argmax())
    low, high = np.percentile(images[images != 0], [1, 99]) if images.any() else (0, 1)
    grey = np.where(images[z] == 0, low, images[z])
    panel.imshow(grey, cmap="gray", vmin=low, vmax=high, aspect=height / width, interpolation="bilinear")
    for index, name in enumerate(run.regions):
        colour = COLOURS[index % len(COLOURS)]
        for mask, style, thickness in ((truth[name][z], "dotted", 1.3), (predicted[name][z], "solid", 1.1)):
            if mask.any() and not mask.all():
                panel.contour(mask, levels=[0.5], colors=[colour], linestyles=[style], linewidths=[thickness])
    score = np.mean([dsc(truth[name], predicted[name]) for name in run.regions])
    panel.set_title(f"{run.modality}, {subject}: DSC {score:.2f}", fontsize=8)
