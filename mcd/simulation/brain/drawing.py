"""Simulated patients with a glioma, as BraTS 2018 would store them. Nothing here is a real person's image."""

from collections.abc import Mapping

import numpy as np
import SimpleITK as sitk

from mcd.errors import McdError
from mcd.simulation.brain.anatomy import BRATS_EXTENT, HIGH, LOW, Anatomy, anatomy
from mcd.simulation.brain.glioma import PLANNING_GRID, Glioma, GliomaPlan, draw_glioma, mass_effect, pick, plan_glioma
from mcd.simulation.brain.mr_signal import protocol, relaxation_times, scan
from mcd.simulation.fields import (
    Array,
    SamplingGrid,
    Triple,
    ellipsoid,
    fractal_field,
    generator,
    lobulated,
    smooth_field,
    soft,
    trilinear,
)

MODALITIES = ("T1", "T1CE", "T2", "FLAIR")
SPACING: dict[str, Triple] = {"MR": (1.0, 1.0, 1.0)}  # scanner -> (x, y, z) mm, as in BraTS
Overlay = tuple[Array, str, float]  # fraction of a voxel, tissue, contrast agent in mmol/l


def simulate_brain(
    subject: str, *, seed: int, noise: float = 1.0, spacing: Mapping[str, Triple] = SPACING
) -> dict[str, sitk.Image]:
    """One patient: T1, T1CE, T2, FLAIR (int16, skull-stripped, background exactly 0) and `label` (uint8: 0, 1, 2, 4).

    `noise`: factor on the scanners' noise; `spacing`: that of the scanner "MR", (x, y, z) mm over the 240 x 240 x 155 mm of a
    BraTS file, which it fills to the nearest voxel. Everything random depends on (seed, subject) only, and is the same in any
    order, process and machine. The same pair at another spacing is the same patient. Raises `McdError` for an impossible
    spacing or noise.
    """
    x, y, z = {**SPACING, **spacing}["MR"]
    step: Triple = (float(z), float(y), float(x))
    if not 0.5 <= min(step) <= max(step) <= 10:
        raise McdError(f"spacing {(x, y, z)}: a simulated patient needs 0.5 to 10 mm in each direction")
    if not noise >= 0:
        raise McdError(f"noise {noise}: a simulated patient needs 0 or more")
    whole = SamplingGrid.over(BRATS_EXTENT, step)
    grid = whole.crop(LOW, HIGH)
    plan = plan_glioma(seed, subject)
    push = mass_effect(grid, plan.centre, plan.radius, plan.mass, trilinear(plan.healthy.depth, PLANNING_GRID, grid))
    person = anatomy(generator(seed, subject, "anatomy"), grid, push)
    glioma = draw_glioma(plan, grid, person)
    layers = (
        _old_lesions(seed, subject, plan, grid, person)
        + _enhancing_structures(seed, subject, plan, grid, person)
        + _tumour(seed, subject, glioma, grid)
    )

    rng = generator(seed, subject, "protocol")
    tissues, sequences = relaxation_times(rng), protocol(rng)
    texture = 1 + 0.02 * fractal_field(generator(seed, subject, "texture"), grid, 5.0)
    images = {}
    for modality in MODALITIES:
        sequence = sequences[modality]
        signal = (
            person.grey * np.float32(sequence.signal(tissues["grey"], 0.03))
            + person.white * np.float32(sequence.signal(tissues["white"], 0.01))
            + person.csf * np.float32(sequence.signal(tissues["csf"]))
        )
        for part, name, agent in layers:
            signal += part * (np.float32(sequence.signal(tissues[name], agent)) - signal)
        signal *= texture * person.mask
        reference = abs(sequence.signal(tissues["white"]))
        noisy = generator(seed, subject, f"scan {modality}")
        isotropic = {"T1": 0.3, "T1CE": 0.6, "T2": 0.15, "FLAIR": 0.2}[modality]
        level = float(np.exp(noisy.uniform(np.log(120), np.log(900))))  # scanners' units are arbitrary
        image = scan(noisy, grid, signal, reference=reference, noise=noise, isotropic=isotropic) * (level / reference)
        volume = np.zeros(whole.shape, np.int16)
        volume[grid.slices_in(whole)] = np.where(person.mask, np.clip(np.rint(image), 1, 32767), 0)
        images[modality] = _as_image(volume, whole)
    label = np.zeros(whole.shape, np.uint8)
    label[grid.slices_in(whole)] = glioma.label
    images["label"] = _as_image(label, whole)
    return images


def _as_image(volume: np.ndarray, grid: SamplingGrid) -> sitk.Image:
    """As in a BraTS file: first voxel of the 1 mm grid at (0, -239, 0) in LPS, axes along the scanner's."""
    image = sitk.GetImageFromArray(volume)
    image.SetSpacing(grid.spacing[::-1])
    z, y, x = (step / 2 - 0.5 for step in grid.spacing)
    image.SetOrigin((x, y - 239.0, z))
    return image


def _tumour(seed: int, subject: str, glioma: Glioma, grid: SamplingGrid) -> list[Overlay]:
    """Oedema, solid tumour, its enhancement, necrosis from tissue to fluid, and sometimes old blood."""
    rng = generator(seed, subject, "glioma tissue")
    wetness = float(rng.uniform(0.7, 1.0))
    fluid = np.clip(rng.normal(0.25, 0.35) + 0.15 * fractal_field(rng, grid, 10.0), 0, 1)
    agent = float(np.clip(np.exp(rng.normal(np.log(0.25), 0.5)), 0.08, 0.8))
    solid = np.clip(0.85 + 0.12 * fractal_field(rng, grid, 7.0), 0, 1)
    oedema = glioma.oedema * np.clip(wetness * (1 + 0.2 * fractal_field(rng, grid, 14.0)), 0, 1)
    layers = [
        (oedema, "oedema", 0.0),
        (glioma.core * solid, "solid", 0.02),
        (glioma.core * glioma.necrosis, "necrosis", 0.02),
        (glioma.core * glioma.necrosis * fluid, "cyst", 0.01),
        (glioma.core * np.clip(glioma.enhancement, 0, 1), "solid", agent),
    ]
    bleeds, clot = rng.random() < 0.3, fractal_field(rng, grid, 12.0, octaves=2)
    if bleeds:
        density = np.float32(rng.uniform(0.3, 0.75))
        layers.append((glioma.core * soft(clot - np.float32(rng.uniform(0.8, 1.6)), 0.9) * density, "blood", 0.0))
    return layers


def _far_from(plan: GliomaPlan, grid: SamplingGrid, distance: float) -> np.ndarray:
    return ellipsoid(grid, plan.centre, (plan.radius, plan.radius, plan.radius)) < -distance


def _old_lesions(seed: int, subject: str, plan: GliomaPlan, grid: SamplingGrid, person: Anatomy) -> list[Overlay]:
    """Look-alikes in T2 and FLAIR, which T1CE tells apart: periventricular caps, white-matter lesions, old infarcts."""
    rng = generator(seed, subject, "old lesions")
    burden = float(np.clip(rng.normal(0.25, 0.3), 0, 1))
    caps = soft(8 * burden - person.ventricles + 2.5 * fractal_field(rng, grid, 12.0), 3.0) * (person.ventricles > 0)
    spots = soft(fractal_field(rng, grid, 8.0, octaves=2) - np.float32(3.0 - 1.2 * burden), 0.5) * (person.depth > 6)
    gliosis = person.white * np.maximum(caps * 0.8, spots)
    layers: list[Overlay] = [(gliosis, "gliosis", 0.0)]
    site = PLANNING_GRID
    healthy = plan.healthy
    weight = (healthy.white + 0.5 * healthy.grey) * (healthy.mask & (healthy.depth > 5) & _far_from(plan, site, 20))
    for _ in range(int(rng.poisson(0.7))):
        scar = lump(rng, grid, pick(rng, weight, site), float(np.exp(rng.uniform(np.log(3), np.log(11)))))
        layers.append((soft(scar, 3.0) * 0.85, "gliosis", 0.0))
        layers.append((soft(scar - np.float32(rng.uniform(1.5, 6.0)), 2.0), "csf", 0.0))
    return layers


def _enhancing_structures(
    seed: int, subject: str, plan: GliomaPlan, grid: SamplingGrid, person: Anatomy
) -> list[Overlay]:
    """Look-alikes in T1CE, which FLAIR tells apart: vessels, sinus, meninges, choroid plexus; sometimes a meningioma."""
    rng = generator(seed, subject, "enhancing structures")
    up, back, left = person.place
    # Two random surfaces intersect in curves: vessels, in the fluid between the gyri.
    tangle = np.hypot(smooth_field(rng, grid, 11.0), smooth_field(rng, grid, 11.0))
    calibre = np.float32(rng.uniform(0.12, 0.24))
    vessels = (
        np.clip((calibre - tangle) / np.float32(0.12) + 0.5, 0, 1)
        * np.clip(5 * person.csf - 0.3, 0, 1)
        * (person.ventricles > 4)
    )
    sinus = soft(np.float32(rng.uniform(1.5, 3.5)) - np.hypot(left, person.depth - 2), 1.5) * (up > 70) * (back > 60)
    galen = soft(2.0 - np.hypot(left, 0.35 * np.hypot(up - 84, back - 138)), 1.5)
    falx = soft(0.5 - np.abs(left), 1.0) * np.clip(2 * person.csf, 0, 1) * (person.depth < 30) * (up > 85)
    patches = soft(fractal_field(rng, grid, 18.0) - np.float32(rng.uniform(0.2, 1.5)), 0.8)
    dura = soft(np.float32(rng.uniform(1.5, 3.0)) - person.depth, 1.0) * patches
    plexus = np.exp(-(((up - 86) / 5) ** 2) - ((np.abs(left) - 22) / 4) ** 2 - ((back - 134) / 6) ** 2)
    plexus = np.clip(plexus * (1 + 0.6 * smooth_field(rng, grid, 4.0)), 0, 1) * person.csf * (person.ventricles < 4)
    strength = float(rng.uniform(0.5, 1.2))
    layers: list[Overlay] = [
        (np.maximum(vessels, np.maximum(sinus, galen)) * 0.9, "vessel", strength),
        (np.maximum(falx * 0.6, dura), "meninges", 0.6 * strength),
        (plexus, "choroid", 0.35 * strength),
    ]
    if rng.random() < 1 / 6:  # more than in reality, so that a small cohort has some
        site = PLANNING_GRID
        healthy = plan.healthy
        surface = healthy.mask & (np.abs(healthy.depth - 7) < 2.5) & _far_from(plan, site, 25)
        growth = lump(rng, grid, pick(rng, surface.astype(np.float32), site), float(rng.uniform(6, 14)))
        layers.append((soft(growth, 1.5), "meningioma", 0.35))
    return layers


def lump(rng: np.random.Generator, grid: SamplingGrid, centre: Triple, radius: float) -> Array:
    """Depth in mm below the surface of a small irregular lesion, computed only around it."""
    reach = 2 * radius + 6
    low, high = tuple(c - reach for c in centre), tuple(c + reach for c in centre)
    part = grid.crop((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    depth = np.full(grid.shape, -reach, np.float32)
    depth[part.slices_in(grid)] = lobulated(rng, part, centre, radius)
    return depth
