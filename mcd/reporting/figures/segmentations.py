"""Pictures of predictions: outlines of one method, and Fig. 2 with every method, in greys or in outlines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mcd.evaluation.overlap import dsc
from mcd.files import atomic_path
from mcd.pair import modalities_of
from mcd.prediction.masks import predicted_subjects, read_predictions
from mcd.reporting.figures.style import (
    NORMAL,
    SMALL,
    TWO_COLUMNS,
    figure,
    house_style,
    outline,
    plain_text,
    region_colours,
    save,
)
from mcd.slices.shards import Shards


@dataclass(frozen=True)
class Predicted:
    """One run's predictions, with everything needed to draw them."""

    cohort: str
    modality: str
    regions: Mapping[str, Sequence[int]]
    shards: Sequence[str | Path]
    predictions: str | Path
    method: str = ""  # display name
    pair: str = ""  # the modalities that are shown together in Fig. 2
    cohort_label: str = ""


@dataclass(frozen=True)
class Cut:
    """One slice of a patient, the one with the largest label. Images (H, W), masks by region."""

    image: np.ndarray
    limits: tuple[float, float]  # grey levels of black and white
    truth: dict[str, np.ndarray]
    aspect: float  # of a pixel, height by width
    z: int
    volumes: dict[
        str, np.ndarray
    ]  # truth of the whole patient, region -> (slices, H, W); empty where there is no label
    known: list[str]  # regions that the label holds

    @classmethod
    def of(cls, run: Predicted, subject: str) -> "Cut":
        """The slice of `subject` in the modality of `run`."""
        with Shards(run.shards) as shards:
            labels = shards.read(subject, "labels")
            position = shards.modality_positions([run.modality])
            images = shards.read(subject, "images", channels=position)[:, 0].astype(np.float32)
            _, height, width = shards.subject(subject).spacing
            known = [name for name in run.regions if shards.subject(subject).knows(name)]
        volumes = {name: np.isin(labels, codes if name in known else []) for name, codes in run.regions.items()}
        z = int(np.logical_or.reduce(list(volumes.values())).sum(axis=(1, 2)).argmax())
        low, high = np.percentile(images[images != 0], [1, 99]) if images.any() else (0, 1)
        image = np.where(images[z] == 0, low, images[z])
        truth = {name: volume[z] for name, volume in volumes.items()}
        return cls(image, (float(low), float(high)), truth, height / width, z, volumes, known)

    def of_run(self, run: "Predicted", subject: str) -> dict[str, np.ndarray]:
        """A run's prediction of this slice: region -> mask."""
        predicted = read_predictions(run.predictions, subject)
        return {name: predicted[name][self.z] for name in self.truth}

    def show(self, panel: Axes) -> None:
        low, high = self.limits
        panel.imshow(self.image, cmap="gray", vmin=low, vmax=high, aspect=self.aspect, interpolation="bilinear")


@plain_text()
def draw_segmentations(runs: Sequence[Predicted], title: str, path: str | Path, patients: int = 2) -> None:
    """Draw `patients` typical test patients of each cohort, one row each, one column per modality.

    Each is shown in the slice with the largest label. The ground truth is a thin dotted outline, the prediction a solid one.

    Args:
        runs: one for each cohort and modality, those of a cohort together.
        title: says which method, how many labels, and whether the patients are simulated.
    """
    cohorts = list(dict.fromkeys(run.cohort for run in runs))
    columns = {cohort: [run for run in runs if run.cohort == cohort] for cohort in cohorts}
    rows = [(cohort, subject) for cohort in cohorts for subject in typical_patients(columns[cohort][0], patients)]
    width = max(map(len, columns.values()))
    figure = Figure(figsize=(2.3 * width, 2.45 * len(rows) + 0.9), layout="constrained", facecolor="white")
    panels = figure.subplots(len(rows), width, squeeze=False)
    for line, (cohort, subject) in zip(panels, rows, strict=True):
        for panel in line:
            panel.axis("off")
        for panel, run in zip(line, columns[cohort], strict=False):
            _draw(panel, run, subject, _colours(runs)[cohort])
    handles: list[Line2D] = []
    for cohort, colours in _colours(runs).items():
        label = columns[cohort][0].cohort_label or cohort
        whose = f"{label}: " if len(columns) > 1 else ""
        handles += [Line2D([], [], color=colour, label=f"{whose}{name}") for name, colour in colours.items()]
    handles += [
        Line2D([], [], color="grey", linestyle=":", label="truth"),
        Line2D([], [], color="grey", label="prediction"),
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(len(handles), 2 * width), frameon=False, fontsize=8
    )
    figure.suptitle(title, fontsize=10)
    with atomic_path(path, images=True) as temporary:
        figure.savefig(temporary, dpi=130)


def _colours(runs: Sequence[Predicted]) -> dict[str, dict[str, str]]:
    """The colours of every cohort's regions."""
    return region_colours({run.cohort: list(run.regions) for run in runs})


def _draw(panel: Axes, run: Predicted, subject: str, colours: Mapping[str, str]) -> None:
    predicted = read_predictions(run.predictions, subject)
    cut = Cut.of(run, subject)
    cut.show(panel)
    _outlines(panel, cut.truth, colours, "dotted", 1.3)
    _outlines(panel, {name: predicted[name][cut.z] for name in run.regions}, colours, "solid", 1.1)
    score = np.mean([dsc(cut.volumes[name], predicted[name]) for name in cut.known])
    panel.set_title(f"{run.modality}, {subject}: DSC {score:.2f}", fontsize=8)


def _outlines(
    panel: Axes, masks: Mapping[str, np.ndarray], colours: Mapping[str, str], style: str, thickness: float
) -> None:
    for region, mask in masks.items():
        outline(panel, mask, colours[region], thickness, style)


@house_style()
def draw_comparison(
    runs: Sequence[Predicted], title: str, path: str | Path, look: Literal["greys", "outlines"] = "greys"
) -> None:
    """Fig. 2: two patients per cohort in both modalities of a pair; columns are image, truth and every method.

    In greys as in the paper (a single region white; WT light, TC white, ET medium), or as outlines on the image. The columns
    are the methods of `runs` in their order; a panel is empty if the method does not apply to the modality. In a cohort of
    several pairs, the patients show them in turn, so that every modality appears.
    """
    methods = list(dict.fromkeys(run.method for run in runs))
    by_place = {(run.cohort, run.modality, run.method): run for run in runs}
    rows = _comparison_rows(runs)
    drawn, panels = _comparison_panels(len(rows), 2 + len(methods))
    for line, (cohort, modality, subject) in zip(panels, rows, strict=True):
        own = [by_place.get((cohort, modality, method)) for method in methods]
        first = next(run for run in own if run is not None)
        cut = Cut.of(first, subject)
        cut.show(line[0])
        line[0].set_ylabel(f"{modality}\n{subject}", rotation=0, ha="right", va="center", fontsize=SMALL)
        masks = [cut.truth, *(cut.of_run(run, subject) if run else None for run in own)]
        for panel, shown in zip(line[1:], masks, strict=True):
            if shown is None:  # a method that does not apply to this modality
                panel.text(0.5, 0.5, "–", ha="center", va="center", transform=panel.transAxes)
            elif look == "greys":
                _paint(panel, first.regions, shown, cut.aspect)
            else:
                cut.show(panel)
                _outlines(panel, shown, _colours(runs)[cohort], "solid", 0.6)
    for panel, name in zip(panels[0], ["Image", "Truth", *methods], strict=True):
        panel.set_title(name, fontsize=SMALL, pad=3, rotation=90)
    _region_legend(drawn, runs, look)
    drawn.suptitle(title, y=1 - 1 / (25.4 * drawn.get_figheight()), va="top", fontsize=NORMAL)
    save(drawn, path, images=True)


def _comparison_rows(runs: Sequence[Predicted]) -> list[tuple[str, str, str]]:
    """(cohort, modality, patient) of each row of Fig. 2."""
    rows: list[tuple[str, str, str]] = []
    for cohort in dict.fromkeys(run.cohort for run in runs):
        own = [run for run in runs if run.cohort == cohort]
        groups = [modalities_of(name) for name in dict.fromkeys(run.pair for run in own)]
        for place, subject in enumerate(typical_patients(own[0], max(2, len(groups)))):
            rows += [(cohort, modality, subject) for modality in groups[place % len(groups)]]
    return rows


def _comparison_panels(rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    """The empty figure and its panels, laid out by hand in mm: a layout engine would give long headings wider columns."""
    names, head, foot = 17, 24, 10
    side = min(24, (TWO_COLUMNS - names - 1) / columns)
    width, height = names + side * columns + 1, head + side * rows + foot
    drawn = figure(height, width)
    drawn.set_layout_engine("none")
    gap = 0.06  # of a panel's side
    edges = {"left": names / width, "right": 1 - 1 / width, "top": 1 - head / height, "bottom": foot / height}
    panels = drawn.subplots(rows, columns, squeeze=False, gridspec_kw={**edges, "wspace": gap, "hspace": gap})
    for panel in panels.ravel():
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    return drawn, panels


def _paint(panel: Axes, regions: Mapping[str, Sequence[int]], masks: Mapping[str, np.ndarray], aspect: float) -> None:
    panel.imshow(painted(regions, masks), cmap="gray", vmin=0, vmax=1, aspect=aspect, interpolation="nearest")


def typical_patients(run: Predicted, count: int) -> list[str]:
    """The test patients whose target is nearest to the median in volume, in order of id.

    Chosen by the ground truth alone: the largest would flatter, and the smallest show nothing. Patients without a
    target, and those whose label lacks a region, are used only if there are no others.
    """
    subjects = predicted_subjects(run.predictions)
    with Shards(run.shards) as shards:
        sizes = {
            subject: int(np.isin(shards.read(subject, "labels"), [*set().union(*run.regions.values())]).sum())
            for subject in subjects
        }
        whole = [subject for subject in subjects if all(map(shards.subject(subject).knows, run.regions))]
    sizes = {subject: sizes[subject] for subject in whole} or sizes
    seen = {subject: size for subject, size in sizes.items() if size} or sizes
    middle = np.median(list(seen.values()))
    return sorted(sorted(seen, key=lambda subject: (abs(seen[subject] - middle), subject))[:count])


def greys(regions: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Region -> grey level: the largest region light, the smallest medium, those between white; a single one white."""
    order = sorted(regions, key=lambda name: -len(regions[name]))
    between = np.linspace(1, 0.85, max(len(order) - 2, 1))
    levels = [1.0] if len(order) == 1 else [0.75, 1.0] if len(order) == 2 else [0.75, *map(float, between), 0.45]
    return dict(zip(order, levels, strict=True))


def painted(regions: Mapping[str, Sequence[int]], masks: Mapping[str, np.ndarray]) -> np.ndarray:
    """(H, W) grey levels of overlapping regions on black, larger regions below smaller ones."""
    out: np.ndarray = np.zeros(next(iter(masks.values())).shape)
    for name, level in greys(regions).items():
        out[masks[name]] = level
    return out


def _region_legend(drawn: Figure, runs: Sequence[Predicted], look: str) -> None:
    handles: dict[str, Line2D | Patch] = {}
    for run in runs:
        for name, level in greys(run.regions).items():
            label = f"{run.cohort_label or run.cohort}: {name}"
            if look == "greys":
                handles[label] = Patch(facecolor=str(level), edgecolor="black", linewidth=0.5, label=label)
            else:
                handles[label] = Line2D([], [], color=_colours(runs)[run.cohort][name], label=label)
    drawn.legend(handles=list(handles.values()), loc="lower center", ncols=max(1, int(drawn.get_figwidth() / 1.2)))
