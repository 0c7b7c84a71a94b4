"""Pictures to check the pre-processing by: what the network will see, and what registration did."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from mcd.files import atomic_path
from mcd.imaging.geometry import array_of, resample
from mcd.imaging.io import read_volume
from mcd.imaging.preprocess import INTERPOLATIONS, Preprocessed, read_preprocessed
from mcd.imaging.registration import transform_of

# Apart from one another and from grey: a glioma has up to four codes, side by side.
COLOURS = ("#FF9F1C", "#56B4E9", "#FF6EC7", "#2EE6A6", "#F7F06D", "#D55E00", "#A48BFF", "#FFFFFF")
_GROUND, _TEXT, _FAINT, _WARNING = "#101214", "#E8E8E8", "#8FA3AD", "#FFB454"
_TINT, _SQUARES = "#B9A5FF", 8  # of checkerboards: the registered modality's colour, squares along the longer side
_HALO = withStroke(linewidth=1.5, foreground=_GROUND)
_ROW, _LEFT, _GAP, _HEADER, _LEGEND_COLUMN = 3.1, 0.95, 0.1, 0.95, 1.75  # inches

# Title, axis of the array (z, y, x) that is cut, and what lies left, right, top and bottom. Slices are shown as in
# radiology: the patient's right on the left, the head on top, the face on the left of a sagittal slice.
_PLANES = (("axial", 0, "RLAP"), ("coronal", 1, "RLSI"), ("sagittal", 2, "APSI"))


def draw_qc(
    patient: Preprocessed | str | Path,
    path: str | Path,
    regions: Mapping[str, Sequence[int]] | None = None,
    first: int = 0,
) -> None:
    """Draw a patient (or the folder of one) to `path`: one row per modality; axial, coronal and sagittal slices in mm.

    The legend names codes of the label, and where `regions` (name -> codes) says so, the regions that they are part of.
    Code 1 has the colour at place `first` of `COLOURS`, so that cohorts that are seen together need not share any.

    The slices are those with the largest label area, or those through the middle of the content where there is no
    label. Black is outside the region of the intensity statistics, which has a faint outline of its own.
    """
    pre = patient if isinstance(patient, Preprocessed) else read_preprocessed(patient)
    colours = _colours(pre, first)
    entries = _legend(pre, colours, regions or {})
    figure, layout, columns = _sheet(pre, len(pre.volumes), entries)
    cuts = _cuts(pre)
    for row, modality in enumerate(pre.volumes):
        for column, plane in enumerate(_PLANES):
            axis = figure.add_subplot(layout[row, column], anchor="N")
            _draw_plane(axis, pre, modality, plane, cuts[plane[1]], colours)
            if row == 0:
                axis.set_title(_title(plane, cuts), color=_TEXT, fontsize=9, pad=4)
            if column == 0:
                numbers = pre.info["statistics"][modality]
                text = f"{modality}\n{numbers['region']}: {numbers['mean']:.4g} ± {numbers['sd']:.4g}"
                axis.set_ylabel(text, color=_TEXT, fontsize=9)
    _save(figure, entries, columns, path)


def draw_registration(folder: str | Path, images: Mapping[str, str | Path], path: str | Path) -> None:
    """Draw the checkerboards of a preprocessed folder to `path`: the reference in grey, a registered modality in violet.

    Two rows per modality, by the coordinates of the files (`images`: modality -> raw file) and as registered, on the slices
    of `draw_qc`. Edges that run on from square to square fit. The label's outline lies on the reference.
    """
    pre = read_preprocessed(folder)
    colours = _colours(pre)
    reference, found = pre.info["modalities"][0], pre.info["registration"]
    entries = [
        Line2D([], [], color=_TEXT, label=reference),
        *(Line2D([], [], color=_TINT, label=modality) for modality in found),
        *(Line2D([], [], color=colour, label=f"label {code}") for code, colour in colours.items()),
    ]
    figure, layout, columns = _sheet(pre, 2 * len(found), entries)
    cuts = _cuts(pre)
    ground = _grey(pre, reference, images[reference])
    for place, (modality, numbers) in enumerate(found.items()):
        for row, registered in ((2 * place, False), (2 * place + 1, True)):
            volume = _grey(pre, modality, images[modality], registered)
            for column, plane in enumerate(_PLANES):
                axis = figure.add_subplot(layout[row, column], anchor="N")
                _draw_checkerboard(axis, pre, (ground, volume), plane, cuts[plane[1]], colours)
                if row == 0:
                    axis.set_title(_title(plane, cuts), color=_TEXT, fontsize=9, pad=4)
                if column == 0:
                    text = f"{modality} before\nsimilarity {numbers['similarity_before']:.3f}"
                    if registered:
                        text = f"{modality} {numbers['kind']}\n"
                        text += (
                            f"similarity {numbers['similarity_after']:.3f}, moved {numbers['displacement_mm']:.1f} mm"
                            if numbers["displacement_mm"]
                            else "not taken: left as it was"
                        )
                    axis.set_ylabel(text, color=_WARNING if registered and numbers["problem"] else _TEXT, fontsize=8)
    _save(figure, entries, columns, path)


def _sheet(pre: Preprocessed, rows: int, entries: list[Line2D]) -> tuple[Figure, GridSpec, int]:
    """A figure with a header, `rows` by three planes of the patient, and room for a legend; and the legend's columns."""
    extent = np.asarray(pre.grid.shape) * np.asarray(pre.grid.spacing[::-1])  # mm, (z, y, x)
    widths = np.asarray([extent[2], extent[2], extent[1]]) / max(extent[0], extent[1]) * _ROW
    width = _LEFT + widths.sum() + 2 * _GAP + _GAP
    columns = max(1, int(width // _LEGEND_COLUMN))
    footer = 0.2 + 0.22 * -(-len(entries) // columns)
    height = _HEADER + rows * _ROW + footer
    figure = Figure(figsize=(width, height), facecolor=_GROUND)
    layout = figure.add_gridspec(
        rows,
        3,
        width_ratios=widths.tolist(),
        left=_LEFT / width,
        right=1 - _GAP / width,
        top=1 - _HEADER / height,
        bottom=footer / height,
        wspace=0.04,
        hspace=0.04,
    )
    _write_header(figure, pre, width, height)
    return figure, layout, columns


def _title(plane: tuple[str, int, str], cuts: list[int]) -> str:
    return f"{plane[0]}, {'zyx'[plane[1]]} = {cuts[plane[1]]}"


def _save(figure: Figure, entries: list[Line2D], columns: int, path: str | Path) -> None:
    figure.legend(handles=entries, loc="lower center", ncols=columns, frameon=False, labelcolor=_TEXT, fontsize=8)
    with atomic_path(path, images=True) as temporary:
        figure.savefig(temporary, dpi=110, facecolor=_GROUND)


def _grey(pre: Preprocessed, modality: str, file: str | Path, registered: bool = False) -> np.ndarray:
    """A raw image on the common grid, from 0 to 1 between the percentiles that pre-processing clips to; 0 beyond it."""
    transform = transform_of(pre.info, modality) if registered else None
    image = read_volume(file, note=lambda _: None, not_finite="outside")  # preprocessing has said what there is to say
    values = array_of(resample(image, pre.grid, transform, INTERPOLATIONS["linear"], outside=np.nan))
    numbers = pre.info["statistics"][modality]
    low, high = numbers["p_low"], numbers["p_high"]
    return np.clip((np.nan_to_num(values, nan=low) - low) / (high - low), 0, 1)


def _draw_checkerboard(
    axis: Axes,
    pre: Preprocessed,
    volumes: tuple[np.ndarray, np.ndarray],
    plane: tuple[str, int, str],
    cut: int,
    colours: Mapping[int, str],
) -> None:
    _, across, letters = plane
    ground, other = (volume.take(cut, axis=across) for volume in volumes)
    vertical, horizontal = (side for place, side in enumerate(pre.grid.spacing[::-1]) if place != across)
    square = max(ground.shape[0] * vertical, ground.shape[1] * horizontal) / _SQUARES  # mm
    rows, columns = np.indices(ground.shape)
    chosen = (rows * vertical // square + columns * horizontal // square) % 2 == 1
    axis.imshow(
        np.where(chosen[..., None], other[..., None] * to_rgb(_TINT), ground[..., None]),
        origin="upper" if across == 0 else "lower",
        aspect=vertical / horizontal,
        interpolation="nearest",
    )
    _finish(axis, pre, across, cut, colours, letters)


def contrasts(patient: Preprocessed | str | Path) -> dict[str, float]:
    """Modality -> the mean z-score of the label's voxels less that of all others of its region; {} without either."""
    pre = patient if isinstance(patient, Preprocessed) else read_preprocessed(patient)
    found = {}
    for modality, volume in pre.volumes.items():
        inside = np.zeros_like(pre.regions[modality]) if pre.label is None else pre.label > 0
        rest = pre.regions[modality] & ~inside
        if inside.any() and rest.any():
            found[modality] = float(volume[inside].mean() - volume[rest].mean())
    return found


def _legend(pre: Preprocessed, colours: Mapping[int, str], regions: Mapping[str, Sequence[int]]) -> list[Line2D]:
    ml = pre.info["label"]["ml"] if colours else {}
    labels = []
    for code, colour in colours.items():
        names = ", ".join(name for name, held in regions.items() if code in held)
        words = f"{names} (label {code})" if names else f"label {code}"
        labels.append(Line2D([], [], color=colour, label=f"{words}: {ml[str(code)]:.1f} ml"))
    return [*labels, Line2D([], [], color=_FAINT, linewidth=0.8, label="region of the statistics")]


def _cuts(pre: Preprocessed) -> list[int]:
    """The slice (z, y, x) with the most labelled voxels, along each axis; the middle of the content without a label."""
    if pre.label is not None and pre.label.any():
        marked = pre.label > 0
        return [int(marked.sum(axis=tuple({0, 1, 2} - {axis})).argmax()) for axis in range(3)]
    region = pre.region
    spans = [np.flatnonzero(region.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    return [int(span[len(span) // 2]) for span in spans]


def _draw_plane(
    axis: Axes,
    pre: Preprocessed,
    modality: str,
    plane: tuple[str, int, str],
    cut: int,
    colours: Mapping[int, str],
) -> None:
    _, across, letters = plane
    volume = pre.volumes[modality]
    spacing = [
        side for place, side in enumerate(pre.grid.spacing[::-1]) if place != across
    ]  # mm, (vertical, horizontal)
    region = pre.regions[modality]
    low, high = float(volume[region].min()), float(volume[region].max())
    inside = region.take(cut, axis=across)
    shown = np.where(inside, volume.take(cut, axis=across), low)
    axis.imshow(
        shown,
        cmap="gray",
        vmin=low,
        vmax=high,
        origin="upper" if across == 0 else "lower",
        aspect=spacing[0] / spacing[1],
        interpolation="nearest",
    )
    _outline(axis, inside, _FAINT, 0.6)
    _finish(axis, pre, across, cut, colours, letters)


def _finish(axis: Axes, pre: Preprocessed, across: int, cut: int, colours: Mapping[int, str], letters: str) -> None:
    """The label's outlines, no ticks, and the letters of the directions."""
    if pre.label is not None:
        marked = pre.label.take(cut, axis=across)
        masks = {code: marked == code for code in colours}
        for code in sorted(masks, key=lambda code: _extent(masks[code]), reverse=True):
            _outline(axis, masks[code], colours[code], 1.1)  # what is inside another over it: they share an edge
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_facecolor(_GROUND)
    for spine in axis.spines.values():
        spine.set_visible(False)
    places = ((0.015, 0.5, "left", "center"), (0.985, 0.5, "right", "center"), (0.5, 0.985, "center", "top"))
    for letter, (x, y, horizontal, vertical) in zip(letters, (*places, (0.5, 0.015, "center", "bottom")), strict=True):
        axis.text(
            x,
            y,
            letter,
            transform=axis.transAxes,
            ha=horizontal,
            va=vertical,
            color=_TEXT,
            fontsize=8,
            path_effects=[_HALO],
        )


def _extent(mask: np.ndarray) -> int:
    """The area of the rectangle around a mask."""
    if not mask.any():
        return 0
    height, width = np.ptp(np.argwhere(mask), axis=0) + 1
    return int(height * width)


def _outline(axis: Axes, mask: np.ndarray, colour: str, width: float) -> None:
    if mask.any() and not mask.all():
        axis.contour(mask, levels=[0.5], colors=[colour], linewidths=width)


def _colours(pre: Preprocessed, first: int = 0) -> dict[int, str]:
    """Code of the label -> its colour."""
    codes = [] if pre.label is None else [int(code) for code in np.unique(pre.label) if code]
    return {code: COLOURS[(first + code - 1) % len(COLOURS)] for code in codes}


def _write_header(figure: Figure, pre: Preprocessed, width: float, total: float) -> None:
    spacing = " × ".join(f"{side:g}" for side in pre.grid.spacing)
    size = " × ".join(str(voxels) for voxels in pre.grid.size)
    label = pre.info["label"]
    volume = "no label" if label is None else f"label {sum(label['ml'].values()):.1f} ml"
    left = _LEFT / width
    figure.text(left, 1 - 0.14 / total, pre.info["subject"], color=_TEXT, fontsize=13, weight="bold", va="top")
    figure.text(left, 1 - 0.40 / total, f"{size} voxels of {spacing} mm, {volume}", color=_TEXT, fontsize=9, va="top")
    if pre.info["warnings"]:
        figure.text(left, 1 - 0.58 / total, "; ".join(pre.info["warnings"]), color=_WARNING, fontsize=8, va="top")
