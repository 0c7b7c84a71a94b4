"""Simulated head-and-neck patients: a CT in HU, an FDG-PET in SUV, and the primary tumour (GTVt).

The stand-in for HECKTOR 2020 (see docs/simulated_cohorts.md). A patient is a list of shapes (`head_neck_anatomy`) bent by a
smooth deformation, with a lobulated tumour of the oropharynx that pushes its surroundings aside. CT and PET paint the same
patient on grids of their own, which differ in spacing, extent and origin like those of a real scanner, and add what each
modality adds: blur, noise, streaks. Everything follows from the seed and the subject's name.

Arrays and triples are (z, y, x) unless they belong to SimpleITK or to a box.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from mcd.simulation.fields import Array, Grid, Triple, fractal_field, generator, smooth_field, soft
from mcd.simulation.head_neck.shapes import (
    LEVEL_LOW,
    LEVEL_STEP,
    LEVELS,
    TEETH,
    TISSUES,
    Habitus,
    Points,
    Structure,
    draw_anatomy,
    draw_habitus,
)

Part = tuple[slice, slice, slice]

BOX = 144.0  # mm a side, as in HECKTOR 2020
EXTENT: Triple = (244.0, 320.0, 320.0)  # mm: the space a patient lives in, and the field of view of the PET
CT_EXTENT: Triple = (200.0, 220.0, 220.0)  # mm
BOX_CENTRE: Triple = (-7.0, -4.0, 0.0)  # canonical: the oropharynx

# Sites of the primary: frequency (our choice, tonsil and base of tongue being the commonest) and canonical place on the left.
SITES: dict[str, tuple[float, Triple]] = {
    "tonsil": (0.42, (16.0, -1.0, 19.0)),
    "base of tongue": (0.33, (3.0, -17.0, 9.0)),
    "soft palate": (0.10, (33.0, -8.0, 8.0)),
    "wall": (0.15, (4.0, 4.0, 17.0)),
}


@dataclass(frozen=True)
class Tumour:
    """A primary tumour before it is cut to the space that bone and air leave."""

    site: str
    centre: Triple  # canonical
    lobes: tuple[tuple[Triple, float], ...]  # canonical centre and radius
    radius: float  # mm, of the ball of the same volume
    volume: float  # ml
    contrast: float  # HU above muscle
    push: float  # how far it displaces its surroundings, as a part of their distance from its centre
    edge: float  # mm over which it fades into its surroundings in CT
    uptake: float  # SUV
    necrosis: float  # uptake of its core as a part of the rest's


@dataclass(frozen=True)
class Patient:
    """All that is drawn before any image: cheap, and the same for the images and the box."""

    seed: int
    subject: str
    habitus: Habitus
    origin: NDArray[np.float64]  # mm in the field of view, of canonical zero
    matrix: NDArray[np.float64]  # from there to canonical mm
    corner: NDArray[np.float64]  # world (z, y, x) of the field of view's corner
    box: NDArray[np.float64]  # world (z, y, x) of the box's low corner
    slip: NDArray[np.float64]  # mm that the patient moved between CT and PET
    tumour: Tumour

    def rng(self, purpose: str) -> np.random.Generator:
        return generator(self.seed, self.subject, purpose)


def bounding_box(subject: str, *, seed: int) -> tuple[float, float, float, float, float, float]:
    """The patient's box over the oropharynx, (x1, x2, y1, y2, z1, z2) in mm, LPS world coordinates; 144 mm a side."""
    z, y, x = _draw(subject, seed).box.tolist()
    return x, x + BOX, y, y + BOX, z, z + BOX


def simulate_head_neck(
    subject: str,
    *,
    seed: int,
    ct_spacing: tuple[float, float, float] = (1.0, 1.0, 3.0),
    pet_spacing: tuple[float, float, float] = (4.0, 4.0, 3.3),
    noise: float = 1.0,
) -> dict[str, sitk.Image]:
    """The patient's "CT" (int16, HU), "PET" (float32, SUV) and "label" (uint8, GTVt = 1, on the CT's grid).

    `ct_spacing`, `pet_spacing`: (x, y, z) in mm, SimpleITK's order; `noise`: factor on the noise of both, 0 for none.
    """
    patient = _draw(subject, seed)
    side = 1 if patient.tumour.centre[2] > 0 else -1
    anatomy = draw_anatomy(patient.rng("anatomy"), patient.habitus, side)
    level = _tumour_level(patient, anatomy)
    ct_grid = _ct_grid(patient, (ct_spacing[2], ct_spacing[1], ct_spacing[0]))
    ct, label = _ct(patient, ct_grid, anatomy, level, noise)
    pet_grid = Grid.over(EXTENT, (pet_spacing[2], pet_spacing[1], pet_spacing[0]))
    pet = _pet(patient, pet_grid, anatomy, level, noise)
    return {
        "CT": _image(patient, ct_grid, ct),
        "PET": _image(patient, pet_grid, pet),
        "label": _image(patient, ct_grid, label),
    }


# The patient.


@lru_cache(maxsize=4)
def _draw(subject: str, seed: int) -> Patient:
    rng = generator(seed, subject, "patient")
    # An adult's build: 6 % SD in size, heads tilted by a few degrees, chins more or less raised.
    size = float(np.clip(rng.normal(1.0, 0.06), 0.86, 1.14)) * np.exp(rng.normal(0, 0.025, 3))
    tilt = np.deg2rad(rng.normal(0, [5.0, 3.0, 2.5]))
    matrix = _rotation(tilt) / size[:, None]
    origin = np.array(EXTENT) / 2 + rng.normal(0, [4.0, 3.0, 4.0])
    corner = np.round(-origin + rng.uniform([-900, -220, -25], [300, -120, 25]), 1)
    middle = origin + np.linalg.solve(matrix, BOX_CENTRE) + rng.uniform(-4, 4, 3)
    box = np.round(corner + middle - BOX / 2)
    return Patient(
        seed=seed,
        subject=subject,
        habitus=draw_habitus(generator(seed, subject, "habitus")),
        origin=origin,
        matrix=matrix,
        corner=corner,
        box=box,
        slip=rng.normal(0, 0.8, 3),
        tumour=_draw_tumour(generator(seed, subject, "tumour")),
    )


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation of (z, y, x) vectors: nodding (about x), tilting (about y), turning (about z), in radians."""
    (cn, ct, cu), (sn, st, su) = np.cos(angles), np.sin(angles)
    nod = np.array([[cn, -sn, 0], [sn, cn, 0], [0, 0, 1]])
    lean = np.array([[ct, 0, -st], [0, 1, 0], [st, 0, ct]])
    turn = np.array([[1, 0, 0], [0, cu, -su], [0, su, cu]])
    return nod @ lean @ turn


def _draw_tumour(rng: np.random.Generator) -> Tumour:
    """Sizes as wide as clinical T1 to T4: median 12 ml, from 3 to 60 ml (our choice)."""
    site = str(rng.choice(list(SITES), p=[frequency for frequency, _ in SITES.values()]))
    side = int(rng.choice([-1, 1]))
    volume = float(np.clip(rng.lognormal(np.log(12.0), 0.75), 3.0, 25.0 if site == "soft palate" else 60.0))
    radius = float(np.cbrt(volume * 1000 * 3 / (4 * np.pi)))
    z, y, x = np.array(SITES[site][1]) + rng.normal(0, 2.5, 3)
    x += 0.25 * max(radius - 12, 0)  # large ones reach into the parapharyngeal space
    centre = (float(z), float(y), float(side * x))
    lobes = []
    for _ in range(int(rng.integers(2, 7))):
        offset = rng.normal(0, 0.42, 3) * radius * np.array([1.2, 1.0, 0.8])
        lobes.append(
            ((centre[0] + offset[0], centre[1] + offset[1], centre[2] + offset[2]), rng.uniform(0.5, 0.95) * radius)
        )
    necrotic = volume > 8 and rng.random() < 0.4
    return Tumour(
        site=site,
        centre=centre,
        lobes=tuple(lobes),
        radius=radius,
        volume=volume,
        contrast=float(rng.normal(2, 5)),
        push=float(rng.uniform(0.05, 0.4)),
        edge=float(rng.uniform(2.0, 6.0)),
        uptake=float(np.clip(rng.lognormal(np.log(11.5), 0.36), 7.0, 24.0)),
        necrosis=float(rng.uniform(0.1, 0.5)) if necrotic else 1.0,
    )


def _ct_grid(patient: Patient, spacing: Triple) -> Grid:
    """The CT covers the box with room to spare, and its corner is not that of the PET."""
    full = Grid.over(EXTENT, spacing)
    shift = patient.rng("field of view").uniform(-4, 4, 3)
    middle = patient.box - patient.corner + BOX / 2 + shift
    low, high = middle - np.array(CT_EXTENT) / 2, middle + np.array(CT_EXTENT) / 2
    return full.crop(tuple(low), tuple(high))


def _image(patient: Patient, grid: Grid, array: NDArray[Any]) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(grid.spacing[::-1])
    first = patient.corner + [float(grid.axis(dimension)[0]) for dimension in range(3)]
    image.SetOrigin(first[::-1].tolist())
    return image


# Painting.

SKETCH = (slice(None, None, 2), slice(None, None, 4), slice(None, None, 4))  # where to look for a shape's voxels


class Canvas:
    """Values over a grid, and the canonical place of each of its voxels.

    `free` are the places without the tumour's push, `points` those with it.
    """

    def __init__(self, patient: Patient, grid: Grid, *, slip: bool = False) -> None:
        self.patient, self.grid = patient, grid
        self.origin = patient.origin + (patient.slip if slip else 0)
        self.width = 1.2 * grid.spacing[2]  # mm: partial volume
        self.free = self._canonical()
        self.sketch = [place[SKETCH] for place in self.free]
        self.points = self._pushed()
        # From here on a shape is looked for where the push has left it; the tumour, not pushed, is well inside of that.
        self.sketch = [np.ascontiguousarray(place[SKETCH]) for place in (self.points.z, self.points.y, self.points.x)]
        self.values = np.zeros(grid.shape, np.float32)

    def _canonical(self) -> list[Array]:
        """Affine place plus two smooth displacements: build (60 mm) and unevenness of every surface (16 mm)."""
        rng = self.patient.rng("deformation")
        offsets = [axis - np.float32(o) for axis, o in zip(self.grid.positions(), self.origin, strict=True)]
        places = []
        for row in self.patient.matrix.astype(np.float32):
            bend = 3.2 * smooth_field(rng, self.grid, 60.0) + 0.9 * smooth_field(rng, self.grid, 16.0)
            places.append(bend + row[0] * offsets[0] + row[1] * offsets[1] + row[2] * offsets[2])
        return places

    def _pushed(self) -> Points:
        """The anatomy around a tumour is stretched away from its centre."""
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
        """The part of the grid that holds a canonical box and a margin in mm, looked up on a sketch of the grid."""
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
        """Lay values over a part of the grid; `cover` is 0 where nothing changes, 1 where nothing shines through."""
        view = self.values[part]
        view += cover * (value - view)


def _runs(part: Part) -> Iterator[Part]:
    """The part in runs of slices small enough for the processor's cache, which is twice as fast."""
    z, y, x = part
    run = max(1, 40_000 // max(1, (y.stop - y.start) * (x.stop - x.start)))
    for start in range(z.start, z.stop, run):
        yield slice(start, min(start + run, z.stop)), y, x


def _tumour_depth(canvas: Canvas) -> tuple[Part, Array]:
    """Where the tumour may be, and how deep, in mm, each voxel lies below its surface were it not cut by anything.

    Lobes run into each other; a fractal field makes the surface irregular.
    """
    tumour = canvas.patient.tumour
    low = tuple(np.min([np.array(c) - r for c, r in tumour.lobes], axis=0))
    high = tuple(np.max([np.array(c) + r for c, r in tumour.lobes], axis=0))
    part = canvas.box_of(low, high, 14)
    places = [place[part] for place in canvas.free]
    total = np.zeros(places[0].shape, np.float32)
    softness = np.float32(0.25 * tumour.radius)
    for centre, radius in tumour.lobes:
        distance = np.sqrt(sum((place - np.float32(c)) ** 2 for place, c in zip(places, centre, strict=True)))
        total += np.exp((np.float32(radius) - distance) / softness)
    cut = _cut(canvas.grid, part)
    rough = fractal_field(canvas.patient.rng("tumour surface"), cut, max(0.9 * tumour.radius, 9.0))
    return part, softness * np.log(total + np.float32(1e-6)) + np.float32(0.17 * tumour.radius) * rough


def _cut(grid: Grid, part: Part) -> Grid:
    z, y, x = part
    start = tuple(a + s.start for a, s in zip(grid.start, part, strict=True))
    return Grid(grid.extent, grid.spacing, start, (z.stop - z.start, y.stop - y.start, x.stop - x.start))


def _open_to_tumour(canvas: Canvas, part: Part, hu: Array) -> NDArray[np.bool_]:
    """Voxels of this part, noise-free HU given, that are neither air nor bone nor vessel, under the skin and in the box."""
    box = canvas.patient.box - canvas.patient.corner
    inside = [
        (abs(axis - np.float32(low + BOX / 2)) < BOX / 2 - 4)
        for axis, low in zip(_cut(canvas.grid, part).positions(), box, strict=True)
    ]
    return (hu > -250) & (hu < 140) & inside[0] & inside[1] & inside[2]


def _tumour_level(patient: Patient, anatomy: tuple[list[Structure], list[Structure]]) -> float:
    """The depth at which to cut the tumour so that it has its volume in the space that bone and air leave it."""
    tumour = patient.tumour
    centre = patient.origin + np.linalg.solve(patient.matrix, tumour.centre)
    half = 2.2 * tumour.radius + 14
    full = Grid.over(EXTENT, (2.0, 2.0, 2.0))
    canvas = Canvas(patient, full.crop(tuple(centre - half), tuple(centre + half)))
    canvas.values[:] = TISSUES["air"][0]
    hu: dict[str, float | Array] = {tissue: numbers[0] for tissue, numbers in TISSUES.items()}
    canvas.paint([*anatomy[0], *anatomy[1]], hu | {"artery": 300.0, "vein": 300.0}, uptake=False)
    part, depth = _tumour_depth(canvas)
    free = np.sort(depth[_open_to_tumour(canvas, part, canvas.values[part])])
    wanted = min(round(tumour.volume * 1000 / 8), len(free))  # voxels of 8 cubic mm
    return float(free[-wanted])


# CT.


def _ct(
    patient: Patient, grid: Grid, anatomy: tuple[list[Structure], list[Structure]], level: float, noise: float
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    rng = patient.rng("CT")
    hu: dict[str, float | Array] = {
        t: mean + spread * rng.standard_normal() for t, (mean, spread, _, _) in TISSUES.items()
    }
    hu["air"] = TISSUES["air"][0]
    contrast = rng.random() < 0.6  # contrast medium; its phase decides on arteries and veins
    opacified = rng.uniform(0.35, 1.0) if contrast else 0.0
    for tissue, gain in {"artery": 170, "vein": 140, "thyroid": 70, "gland": 30, "wall": 14, "mucosa": 30}.items():
        hu[tissue] = hu[tissue] + gain * opacified * rng.uniform(0.8, 1.2)
    canvas = Canvas(patient, grid)
    canvas.values[:] = hu["air"]
    canvas.paint(anatomy[0], hu, uptake=False)

    part, depth = _tumour_depth(canvas)
    depth -= np.float32(level)
    tumour = patient.tumour
    core = soft(depth - np.float32(0.45 * tumour.radius), 5.0) * np.float32(1 - tumour.necrosis)
    value = hu["muscle"] + tumour.contrast + 11 * opacified - 22 * core
    value = value + 4 * fractal_field(patient.rng("tumour texture"), _cut(grid, part), 8.0)
    canvas.blend(part, soft(depth, tumour.edge), value)
    canvas.paint(anatomy[1], hu, uptake=False)
    # The contour is a hand's: it wanders about the tumour's surface by a millimetre.
    hand = 0.9 * smooth_field(patient.rng("contour"), _cut(grid, part), 12.0)
    label = np.zeros(grid.shape, np.uint8)
    free = _open_to_tumour(canvas, part, np.where(depth > -3, canvas.values[part], 1000))
    label[part] = (depth + hand > 0) & free

    values = canvas.values
    _texture(patient, grid, values)
    _metal(patient, canvas)
    if noise > 0:
        values += np.float32(noise) * _ct_noise(patient, canvas)
    np.clip(values, -1024, 3071, out=values)
    return np.rint(values).astype(np.int16), label


def _texture(patient: Patient, grid: Grid, values: Array) -> None:
    """Tissue is not even: marbled muscle, strands in fat, trabeculae. In place."""
    rng = patient.rng("texture")
    unevenness = 0.8 * smooth_field(rng, grid, 5.0) + 0.6 * smooth_field(rng, grid, 14.0)
    numbers = np.arange(-1024, 3072)
    amount = np.interp(numbers, [-950, -300, -130, -60, 40, 90, 250, 700, 2000], [0, 20, 7, 9, 4, 4, 45, 80, 100])
    index = np.clip(values, -1024, 3071).astype(np.int16) + 1024
    values += amount.astype(np.float32)[index] * unevenness
    # Septa and small vessels in fat: thin sheets where a random field changes its sign.
    sheets = smooth_field(rng, grid, 13.0)
    fat = (values > -140) & (values < -65)
    values[fat] += 55 * np.exp(-((sheets[fat] / np.float32(0.1)) ** 2))


def _ct_noise(patient: Patient, canvas: Canvas) -> Array:
    """Noise as a filtered back projection leaves it: grainy in the plane, streaky from side to side between the shoulders."""
    rng = patient.rng("CT noise")
    grid = canvas.grid
    level = rng.uniform(7, 20)  # HU
    grain = rng.standard_normal(grid.shape, dtype=np.float32)
    smooth = rng.uniform(0.45, 0.8) / grid.spacing[2]  # mm: the reconstruction kernel
    for axis in (1, 2):
        grain = ndimage.gaussian_filter1d(grain, smooth, axis=axis, mode="wrap", truncate=3.0)
    grain *= np.float32(level) / grain.std()
    streaks = rng.standard_normal(grid.shape, dtype=np.float32)
    streaks = ndimage.uniform_filter1d(streaks, max(3, round(22 / grid.spacing[2])), axis=2, mode="wrap")
    streaks *= 1 / streaks.std()
    # Canonical height of each slice's middle: below -65 mm the shoulders absorb most of the rays that cross them.
    height = canvas.free[0][:, grid.shape[1] // 2, grid.shape[2] // 2]
    shoulders = 1 / (1 + np.exp((height + 72) / 6))
    amount = level * (0.35 + 1.3 * shoulders)
    grain *= (1 + 0.5 * shoulders)[:, None, None].astype(np.float32)
    grain += streaks * amount[:, None, None].astype(np.float32)
    return grain


def _metal(patient: Patient, canvas: Canvas) -> None:
    """Fillings and crowns: saturated spots, with streaks that fan out from them in the slices they are in. In place."""
    rng = patient.rng("metal")
    for _ in range(patient.habitus.metal):
        row = TEETH[int(rng.integers(2))]
        x = float(rng.choice([-1, 1]) * rng.uniform(14, 36))
        place = (row.apex[0] + rng.uniform(-2, 2), row.apex[1] + row.curve * x * x, x)
        part = canvas.box_of(place, place, 15)
        points = canvas.points[part]
        away = [p - np.float32(c) for p, c in zip((points.z, points.y, points.x), place, strict=True)]
        squared = away[0] ** 2 + away[1] ** 2 + away[2] ** 2
        nearest = np.unravel_index(int(np.argmin(squared)), squared.shape)
        at = [int(index) + run.start for index, run in zip(nearest, part, strict=True)]
        reach = max(1, round(rng.uniform(3, 5) / canvas.grid.spacing[0]))
        fan = _fan(rng, canvas.grid, (at[1], at[2]))
        for z in range(max(at[0] - reach, 0), min(at[0] + reach + 1, canvas.grid.shape[0])):
            canvas.values[z] += fan * np.float32(np.exp(-(((z - at[0]) / reach) ** 2)))
        canvas.values[part][squared < rng.uniform(2.0, 3.6) ** 2] = 3071


def _fan(rng: np.random.Generator, grid: Grid, at: tuple[int, int]) -> Array:
    """Bright and dark rays around a point of a slice, (y, x), in HU."""
    rays = ndimage.gaussian_filter1d(rng.standard_normal(1024), 7, mode="wrap")
    rays += 1.2 * ndimage.gaussian_filter1d(rng.standard_normal(1024), 25, mode="wrap")
    rays *= rng.lognormal(np.log(130), 0.5) / rays.std()
    dy = (np.arange(grid.shape[1]) - at[0])[:, None] * grid.spacing[1]
    dx = (np.arange(grid.shape[2]) - at[1])[None, :] * grid.spacing[2]
    angle = np.arctan2(dy, dx) / (2 * np.pi) % 1
    fade = np.exp(-np.hypot(dy, dx) / rng.uniform(25, 50))
    return (rays[(angle * 1024).astype(int) % 1024] * fade).astype(np.float32)


# PET.


def _pet(
    patient: Patient, grid: Grid, anatomy: tuple[list[Structure], list[Structure]], level: float, noise: float
) -> Array:
    rng = patient.rng("PET")
    # Everything a patient takes up goes up and down together, with time after injection and blood sugar.
    overall = rng.lognormal(0, 0.12)
    suv: dict[str, float | Array] = {
        t: overall * median * rng.lognormal(0, spread) for t, (_, _, median, spread) in TISSUES.items()
    }
    canvas = Canvas(patient, grid, slip=True)
    suv["brain"] = suv["brain"] * (1 + np.float32(0.3) * np.tanh(fractal_field(rng, grid, 22.0)))
    canvas.values[:] = suv["air"]
    canvas.paint(anatomy[0], suv, uptake=True)

    part, depth = _tumour_depth(canvas)
    depth -= np.float32(level)
    tumour = patient.tumour
    core = soft(depth - np.float32(0.4 * tumour.radius), 5.0) * np.float32(1 - tumour.necrosis)
    uneven = np.exp(np.float32(0.22) * fractal_field(patient.rng("tumour uptake"), _cut(grid, part), 14.0))
    uneven /= uneven[depth > 0].mean() if (depth > 0).any() else 1
    canvas.blend(part, soft(depth, canvas.width), np.float32(tumour.uptake) * uneven * (1 - core))
    canvas.paint(anatomy[1], suv, uptake=True)

    values = canvas.values
    values *= np.exp(np.float32(0.14) * fractal_field(rng, grid, 24.0))
    blur = rng.uniform(5.0, 6.5) / 2.355  # mm: 5 to 6.5 mm full width at half maximum
    values = ndimage.gaussian_filter(values, [blur / spacing for spacing in grid.spacing], truncate=3.0)
    if noise > 0:
        grain = rng.standard_normal(grid.shape, dtype=np.float32)
        grain = ndimage.gaussian_filter(grain, [3.0 / spacing for spacing in grid.spacing], mode="wrap", truncate=3.0)
        # Counts are Poisson's: the noise grows with the root of the uptake.
        grain *= np.sqrt(values) * np.float32(noise * rng.uniform(0.10, 0.24)) / grain.std()
        values = values + grain
    return np.maximum(values, 0).astype(np.float32)
