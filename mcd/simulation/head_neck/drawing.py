"""A simulated head-and-neck patient's images: a CT in HU, an FDG-PET in SUV, and the primary tumour (GTVt).

A substitute for HECKTOR 2020 (see docs/explanation/simulated_cohorts.md). A patient is a list of shapes (`anatomy`) with a
smooth deformation, and a lobulated tumour of the oropharynx that pushes its surroundings aside. CT and PET paint the same
patient on grids of their own, which differ in spacing, extent and origin like those of a real scanner, and add the artefacts of
each modality: blur, noise, streaks. Everything follows from the seed and the subject's name.

Arrays and triples are (z, y, x) unless they belong to SimpleITK or to a box.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from mcd.simulation.fields import Array, SamplingGrid, Triple, fractal_field, smooth_field, soft
from mcd.simulation.head_neck.anatomy import TEETH, Structure, draw_anatomy
from mcd.simulation.head_neck.canvas import Canvas, Part, cut
from mcd.simulation.head_neck.patient import BOX, HEAD_NECK_EXTENT, Patient, draw_patient
from mcd.simulation.head_neck.tissues import CT_PET_TISSUES

SPACING: dict[str, Triple] = {"CT": (1.0, 1.0, 3.0), "PET": (4.0, 4.0, 3.3)}  # scanner -> (x, y, z) mm
CT_EXTENT: Triple = (200.0, 220.0, 220.0)  # mm


def simulate_head_neck(
    subject: str,
    *,
    seed: int,
    noise: float = 1.0,
    spacing: Mapping[str, Triple] = SPACING,
) -> dict[str, sitk.Image]:
    """The patient's "CT" (int16, HU), "PET" (float32, SUV) and "label" (uint8, GTVt = 1, on the CT's grid).

    `noise`: factor on the noise of both, 0 for none; `spacing`: of the scanners "CT" and "PET", (x, y, z) in mm, SimpleITK's
    order; one that is left out has its own of SPACING.
    """
    patient = draw_patient(subject, seed)
    side = 1 if patient.tumour.centre[2] > 0 else -1
    anatomy = draw_anatomy(patient.rng("anatomy"), patient.habitus, side)
    level = _tumour_level(patient, anatomy)
    steps = {scanner: (z, y, x) for scanner, (x, y, z) in {**SPACING, **spacing}.items()}
    ct_grid = _ct_grid(patient, steps["CT"])
    ct, label = _ct(patient, ct_grid, anatomy, level, noise)
    pet_grid = SamplingGrid.over(HEAD_NECK_EXTENT, steps["PET"])
    pet = _pet(patient, pet_grid, anatomy, level, noise)
    return {
        "CT": _image(patient, ct_grid, ct),
        "PET": _image(patient, pet_grid, pet),
        "label": _image(patient, ct_grid, label),
    }


def _ct_grid(patient: Patient, spacing: Triple) -> SamplingGrid:
    """The CT covers the box with a margin, and its corner is not that of the PET."""
    full = SamplingGrid.over(HEAD_NECK_EXTENT, spacing)
    shift = patient.rng("field of view").uniform(-4, 4, 3)
    middle = patient.box - patient.corner + BOX / 2 + shift
    low, high = middle - np.array(CT_EXTENT) / 2, middle + np.array(CT_EXTENT) / 2
    return full.crop(tuple(low), tuple(high))


def _image(patient: Patient, grid: SamplingGrid, array: NDArray[Any]) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(grid.spacing[::-1])
    first = patient.corner + [float(grid.axis(dimension)[0]) for dimension in range(3)]
    image.SetOrigin(first[::-1].tolist())
    return image


def _tumour_depth(canvas: Canvas) -> tuple[Part, Array]:
    """The part of the grid where the tumour may be, and each voxel's depth in mm below its surface if nothing limited it.

    Lobes merge; a fractal field makes the surface irregular.
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
    rough = fractal_field(canvas.patient.rng("tumour surface"), cut(canvas.grid, part), max(0.9 * tumour.radius, 9.0))
    return part, softness * np.log(total + np.float32(1e-6)) + np.float32(0.17 * tumour.radius) * rough


def _open_to_tumour(canvas: Canvas, part: Part, hu: Array) -> NDArray[np.bool_]:
    """Voxels of this part, noise-free HU given, that are neither air nor bone nor vessel, under the skin and in the box."""
    box = canvas.patient.box - canvas.patient.corner
    inside = [
        (abs(axis - np.float32(low + BOX / 2)) < BOX / 2 - 4)
        for axis, low in zip(cut(canvas.grid, part).positions(), box, strict=True)
    ]
    return (hu > -250) & (hu < 140) & inside[0] & inside[1] & inside[2]


def _tumour_level(patient: Patient, anatomy: tuple[list[Structure], list[Structure]]) -> float:
    """The depth at which to cut the tumour so that it has its volume in the space that bone, air and vessels leave."""
    tumour = patient.tumour
    centre = patient.origin + np.linalg.solve(patient.matrix, tumour.centre)
    half = 2.2 * tumour.radius + 14
    full = SamplingGrid.over(HEAD_NECK_EXTENT, (2.0, 2.0, 2.0))
    canvas = Canvas(patient, full.crop(tuple(centre - half), tuple(centre + half)))
    canvas.values[:] = CT_PET_TISSUES["air"][0]
    hu: dict[str, float | Array] = {tissue: numbers[0] for tissue, numbers in CT_PET_TISSUES.items()}
    canvas.paint([*anatomy[0], *anatomy[1]], hu | {"artery": 300.0, "vein": 300.0}, uptake=False)
    part, depth = _tumour_depth(canvas)
    free = np.sort(depth[_open_to_tumour(canvas, part, canvas.values[part])])
    wanted = min(round(tumour.volume * 1000 / 8), len(free))  # voxels of 8 cubic mm
    return float(free[-wanted])


# CT.


def _ct(
    patient: Patient, grid: SamplingGrid, anatomy: tuple[list[Structure], list[Structure]], level: float, noise: float
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    rng = patient.rng("CT")
    hu: dict[str, float | Array] = {
        t: mean + spread * rng.standard_normal() for t, (mean, spread, _, _) in CT_PET_TISSUES.items()
    }
    hu["air"] = CT_PET_TISSUES["air"][0]
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
    value = value + 4 * fractal_field(patient.rng("tumour texture"), cut(grid, part), 8.0)
    canvas.blend(part, soft(depth, tumour.edge), value)
    canvas.paint(anatomy[1], hu, uptake=False)
    # Like a manual contour, it deviates from the tumour's surface by about a millimetre.
    hand = 0.9 * smooth_field(patient.rng("contour"), cut(grid, part), 12.0)
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


def _texture(patient: Patient, grid: SamplingGrid, values: Array) -> None:
    """Add tissue texture in place: marbled muscle, strands in fat, trabeculae."""
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
    """Noise as of a filtered back projection: grainy in the plane, streaky from side to side between the shoulders."""
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
    """Add fillings and crowns in place: saturated spots, with streaks that fan out from them in their slices."""
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


def _fan(rng: np.random.Generator, grid: SamplingGrid, at: tuple[int, int]) -> Array:
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
    patient: Patient, grid: SamplingGrid, anatomy: tuple[list[Structure], list[Structure]], level: float, noise: float
) -> Array:
    rng = patient.rng("PET")
    # All uptakes of a patient vary together, with time after injection and blood sugar.
    overall = rng.lognormal(0, 0.12)
    suv: dict[str, float | Array] = {
        t: overall * median * rng.lognormal(0, spread) for t, (_, _, median, spread) in CT_PET_TISSUES.items()
    }
    canvas = Canvas(patient, grid, slip=True)
    suv["brain"] = suv["brain"] * (1 + np.float32(0.3) * np.tanh(fractal_field(rng, grid, 22.0)))
    canvas.values[:] = suv["air"]
    canvas.paint(anatomy[0], suv, uptake=True)

    part, depth = _tumour_depth(canvas)
    depth -= np.float32(level)
    tumour = patient.tumour
    core = soft(depth - np.float32(0.4 * tumour.radius), 5.0) * np.float32(1 - tumour.necrosis)
    uneven = np.exp(np.float32(0.22) * fractal_field(patient.rng("tumour uptake"), cut(grid, part), 14.0))
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
        # Counts are Poisson distributed: the noise grows with the square root of the uptake.
        grain *= np.sqrt(values) * np.float32(noise * rng.uniform(0.10, 0.24)) / grain.std()
        values = values + grain
    return np.maximum(values, 0).astype(np.float32)
