"""Painting a patient's structures on a sampling grid, with partial volume and the tumour's mass effect."""

from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np

from mcd.simulation.fields import Array, SamplingGrid, Triple, smooth_field, soft
from mcd.simulation.head_neck.anatomy import Structure
from mcd.simulation.head_neck.patient import Patient
from mcd.simulation.head_neck.shapes import LEVEL_LOW, LEVEL_STEP, LEVELS, Points

Part = tuple[slice, slice, slice]

SKETCH = (slice(None, None, 2), slice(None, None, 4), slice(None, None, 4))  # where to look for a shape's voxels


class Canvas:
    """Values on a grid, and the canonical position of each of its voxels.

    `free` are the positions without the tumour's push, `points` those with it.
    """

    def __init__(self, patient: Patient, grid: SamplingGrid, *, slip: bool = False) -> None:
        self.patient, self.grid = patient, grid
        self.origin = patient.origin + (patient.slip if slip else 0)
        self.width = 1.2 * grid.spacing[2]  # mm: partial volume
        self.free = self._canonical()
        self.sketch = [place[SKETCH] for place in self.free]
        self.points = self._pushed()
        # From here on a shape is searched at its pushed position; the tumour, which is not pushed, is well inside that part.
        self.sketch = [np.ascontiguousarray(place[SKETCH]) for place in (self.points.z, self.points.y, self.points.x)]
        self.values = np.zeros(grid.shape, np.float32)

    def _canonical(self) -> list[Array]:
        """Affine position plus two smooth displacements: build (60 mm) and unevenness of every surface (16 mm)."""
        rng = self.patient.rng("deformation")
        offsets = [axis - np.float32(o) for axis, o in zip(self.grid.positions(), self.origin, strict=True)]
        places = []
        for row in self.patient.matrix.astype(np.float32):
            bend = 3.2 * smooth_field(rng, self.grid, 60.0) + 0.9 * smooth_field(rng, self.grid, 16.0)
            places.append(bend + row[0] * offsets[0] + row[1] * offsets[1] + row[2] * offsets[2])
        return places

    def _pushed(self) -> Points:
        """Canonical positions with the anatomy around a tumour pushed away from its centre."""
        tumour = self.patient.tumour
        places = [place.copy() for place in self.free]
        part = self.box_of(tumour.centre, tumour.centre, 2.5 * tumour.radius)
        away = [place[part] - np.float32(c) for place, c in zip(places, tumour.centre, strict=True)]
        squared = away[0] ** 2 + away[1] ** 2 + away[2] ** 2
        push = np.float32(tumour.push) * np.exp(-squared / np.float32((1.2 * tumour.radius) ** 2))
        for place, offset in zip(places, away, strict=True):
            place[part] -= push * offset
        level = np.rint((places[0] - np.float32(LEVEL_LOW)) / np.float32(LEVEL_STEP)).astype(np.int32)
        np.clip(level, 0, len(LEVELS) - 1, out=level)
        return Points(places[0], places[1], places[2], level)

    def box_of(self, low: Triple, high: Triple, margin: float) -> Part:
        """The part of the grid that contains a canonical box and a margin in mm, found on a coarser grid."""
        held = np.ones(self.sketch[0].shape, bool)
        for place, first, last, step, spacing in zip(self.sketch, low, high, SKETCH, self.grid.spacing, strict=True):
            slack = margin + 0.75 * step.step * spacing + 1
            held &= (place > np.float32(first - slack)) & (place < np.float32(last + slack))
        parts = []
        for dimension, (step, size) in enumerate(zip(SKETCH, self.grid.shape, strict=True)):
            hits = np.flatnonzero(held.any(axis=tuple(d for d in range(3) if d != dimension)))
            first, last = (hits[0], hits[-1]) if len(hits) else (0, -1)
            parts.append(slice(max((first - 1) * step.step, 0), min((last + 1) * step.step, size)))
        return parts[0], parts[1], parts[2]

    def paint(self, structures: Iterable[Structure], values: dict[str, float | Array], *, uptake: bool) -> None:
        """Paint structures in order, with the value of their tissue (a number, or an array over the whole grid)."""
        for _, same in groupby(structures, key=lambda structure: id(structure.shape)):
            layers = list(same)
            shape, margin = layers[0].shape, max(0.0, *(layer.grow for layer in layers)) + self.width
            for part in _runs(self.box_of(*shape.bounds(), margin)):
                depth = shape.depth(self.points[part])
                for layer in layers:
                    own = values[layer.tissue]
                    own = own[part] if isinstance(own, np.ndarray) else np.full((1, 1, 1), own, np.float32)
                    own = own * np.float32(layer.scale) if uptake else own + np.float32(layer.offset)
                    cover = soft(depth + np.float32(layer.grow), self.width) * np.float32(layer.opacity)
                    self.blend(part, cover, own)

    def blend(self, part: Part, cover: Array, value: Array) -> None:
        """Blend values into a part of the grid; `cover` is their opacity, 0 to 1."""
        view = self.values[part]
        view += cover * (value - view)


def _runs(part: Part) -> Iterator[Part]:
    """The part in runs of slices small enough for the processor's cache, which is twice as fast."""
    z, y, x = part
    run = max(1, 40_000 // max(1, (y.stop - y.start) * (x.stop - x.start)))
    for start in range(z.start, z.stop, run):
        yield slice(start, min(start + run, z.stop)), y, x


def cut(grid: SamplingGrid, part: Part) -> SamplingGrid:
    """The part of a grid that corresponds to a part of an array over it."""
    z, y, x = part
    start = tuple(a + s.start for a, s in zip(grid.start, part, strict=True))
    return SamplingGrid(grid.extent, grid.spacing, start, (z.stop - z.start, y.stop - y.start, x.stop - x.start))
