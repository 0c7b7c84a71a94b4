"""A glioblastoma: its site, mass effect, necrosis, enhancing rim and oedema (arrays (z, y, x), mm).

A `GliomaPlan` is computed on a coarse grid, the same for every resolution, and drawn on any grid of the field of view.
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from mcd.simulation.brain.anatomy import BRATS_EXTENT, HIGH, LOW, Anatomy, anatomy
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

NECROSIS, OEDEMA, ENHANCING = 1, 2, 4  # BraTS label codes; 1 is necrosis and non-enhancing core together
PLANNING_GRID = SamplingGrid.over(BRATS_EXTENT, (3.0, 3.0, 3.0)).crop(LOW, HIGH)


@dataclass(frozen=True)
class GliomaPlan:
    """A patient's tumour before it is drawn. Lengths in mm, positions (z, y, x) in the field of view.

    `mass`: share of the core's volume that pushed tissue aside rather than replacing it; `satellites`: centres and radii;
    `healthy`, `csf`, `arrival`: on the planning grid, the brain before the tumour, the fluid beside it, and the path length
    of water from the core; `shift`, `reach`: the levels of core depth and of oedema cost that give the volumes drawn;
    `rim`: mean thickness; `unenhanced`: share of the core's rim that takes up no contrast agent.
    """

    seed: int
    subject: str
    centre: Triple
    radius: float
    roughness: float
    mass: float
    satellites: list[tuple[Triple, float]]
    healthy: Anatomy
    csf: Array
    arrival: Array
    shift: float
    reach: float
    rim: float
    unenhanced: float

    def stream(self, purpose: str) -> np.random.Generator:
        return generator(self.seed, self.subject, f"glioma {purpose}")


@dataclass(frozen=True)
class Glioma:
    """The tumour on a grid. `label`: uint8; the others are fractions of a voxel: `oedema`, `core`, and within the core
    `necrosis` and `enhancement` (the share of rim that takes up contrast agent)."""

    label: np.ndarray
    oedema: Array
    core: Array
    necrosis: Array
    enhancement: Array


def pick(rng: np.random.Generator, weight: Array, grid: SamplingGrid) -> Triple:
    """A random position with probability proportional to `weight`, anywhere in the voxel."""
    total = np.cumsum(weight.ravel(), dtype=np.float64)
    index = np.unravel_index(np.searchsorted(total, rng.random() * total[-1], side="right"), grid.shape)
    z, y, x = (float(grid.axis(k)[index[k]] + (rng.random() - 0.5) * grid.spacing[k]) for k in range(3))
    return z, y, x


def mass_effect(grid: SamplingGrid, centre: Triple, radius: float, mass: float, skull: Array) -> Array:
    """Displacement (3, z, y, x) of tissue by a growing sphere: incompressible close to it, none at the skull or far away.

    `skull`: mm below the brain's surface, over `grid`.
    """
    offset = [
        np.broadcast_to(axis - np.float32(c), grid.shape) for axis, c in zip(grid.positions(), centre, strict=True)
    ]
    distance = np.maximum(np.sqrt(offset[0] ** 2 + offset[1] ** 2 + offset[2] ** 2), np.float32(0.1))
    origin = np.cbrt(np.maximum(distance**3 - np.float32(mass * radius**3), 0))
    fade = np.exp(-((np.maximum(distance - radius, 0) / np.float32(45)) ** 2)) * np.clip(skull / 16, 0, 1)
    return np.stack([o * (1 - origin / distance) * fade for o in offset])


def plan_glioma(seed: int, subject: str) -> GliomaPlan:
    """Draw site, size and appearance. Volumes are those of high-grade gliomas in BraTS: whole tumour 20 to 200 ml."""
    rng = generator(seed, subject, "glioma plan")
    grid = PLANNING_GRID
    voxel_ml = float(np.prod(grid.spacing)) / 1000
    healthy = anatomy(generator(seed, subject, "anatomy"), grid)
    # In the white matter of the cerebrum: above the tentorium, or in front of it.
    cerebrum = (healthy.place[0] > 64) | (healthy.place[1] < 108)
    centre = pick(rng, healthy.white**2 * (healthy.mask & cerebrum & (healthy.depth > 9)), grid)

    core_ml = float(np.clip(np.exp(rng.normal(np.log(34), 0.6)), 5, 95))
    whole_ml = float(np.clip(core_ml * (1 + np.exp(rng.normal(np.log(1.7), 0.55))), 22, 190))
    core_ml = min(core_ml, 0.85 * whole_ml)
    radius = float(np.cbrt(core_ml * 1000 * 3 / (4 * np.pi)))
    roughness = float(rng.uniform(0.12, 0.32))
    mass = float(rng.uniform(0.15, 0.7))
    satellites = []
    for _ in range(int(rng.choice(4, p=(0.7, 0.15, 0.1, 0.05)))):
        direction = rng.standard_normal(3)
        direction *= radius * rng.uniform(1.2, 1.7) / np.linalg.norm(direction)
        z, y, x = (float(c + d) for c, d in zip(centre, direction, strict=True))
        satellites.append(((z, y, x), float(radius * rng.uniform(0.15, 0.35))))
    # From a thin rim around one cavity to a solid mass.
    rim = float(np.clip(np.exp(rng.normal(np.log(5.0), 0.45)), 2.0, 0.8 * radius))
    unenhanced = float(np.clip(rng.beta(1.2, 3.6), 0.02, 0.7))

    push = mass_effect(grid, centre, radius, mass, healthy.depth)
    person = anatomy(generator(seed, subject, "anatomy"), grid, push)
    draft = GliomaPlan(
        seed, subject, centre, radius, roughness, mass, satellites, healthy, person.csf,
        np.zeros(grid.shape, np.float32), 0.0, 0.0, rim, unenhanced,
    )  # fmt: skip
    depth = np.where(person.mask, _core_depth(draft, grid), -np.inf)
    shift = float(np.partition(depth.ravel(), -round(core_ml / voxel_ml))[-round(core_ml / voxel_ml)])
    arrival = _arrival(draft.stream("spread"), grid, person, depth > shift)
    draft = GliomaPlan(**{**vars(draft), "shift": shift, "arrival": arrival})
    cost = np.where(person.mask & (depth <= shift), _oedema_cost(draft, grid, person), np.inf)
    count = round((whole_ml - core_ml) / voxel_ml)
    return GliomaPlan(**{**vars(draft), "reach": float(np.partition(cost.ravel(), count)[count])})


def _core_depth(plan: GliomaPlan, grid: SamplingGrid) -> Array:
    """mm below the surface of core and satellites; fluid-filled spaces are compressed rather than invaded."""
    depth = lobulated(plan.stream("core"), grid, plan.centre, plan.radius, roughness=plan.roughness, stretch=0.2)
    for centre, radius in plan.satellites:
        depth = np.maximum(depth, ellipsoid(grid, centre, (radius, radius, radius)))
    return depth - 6 * trilinear(plan.csf, PLANNING_GRID, grid) - np.float32(plan.shift)


def _arrival(rng: np.random.Generator, grid: SamplingGrid, person: Anatomy, core: np.ndarray) -> Array:
    """Length of the easiest path from the core: water follows white matter, hardly enters grey, and does not cross fluid."""
    speed = person.white + 0.16 * person.grey + 0.02 * person.csf
    speed *= np.exp(0.45 * fractal_field(rng, grid, 24.0, octaves=2))
    # The falx separates the hemispheres; the path across is the corpus callosum.
    speed[~person.mask | ((np.abs(person.place[2]) < 3.5) & (person.white < 0.6))] = 1e-3
    march = sitk.FastMarchingImageFilter()
    march.SetTrialPoints([[int(x), int(y), int(z)] for z, y, x in np.argwhere(core)])
    march.SetStoppingValue(400.0)
    image = sitk.GetImageFromArray(speed.astype(np.float32))
    image.SetSpacing(grid.spacing[::-1])
    return np.minimum(sitk.GetArrayFromImage(march.Execute(image)), 400).astype(np.float32)


def _oedema_cost(plan: GliomaPlan, grid: SamplingGrid, person: Anatomy) -> Array:
    """Oedema is where this is below `plan.reach`: the path length, longer for grey matter, varied to give fingers."""
    fingers = 3.5 * fractal_field(plan.stream("fingers"), grid, 16.0)
    return trilinear(plan.arrival, PLANNING_GRID, grid) + fingers + 9 * person.grey + 14 * person.csf


def draw_glioma(plan: GliomaPlan, grid: SamplingGrid, person: Anatomy) -> Glioma:
    """The tumour on a grid. The label follows the visible surfaces as an expert's would, to about 1 mm."""
    depth = _core_depth(plan, grid)
    rng = plan.stream("habit")
    size = max(0.7 * plan.radius, 5.0)
    wall = np.float32(plan.rim) * np.exp(0.45 * fractal_field(rng, grid, size))
    cavity = depth - wall + np.float32(0.12 * plan.radius) * fractal_field(rng, grid, 0.6 * size)
    # A normal field is below this level in the wanted share of the rim (logistic approximation of its quantile).
    level = float(np.log(plan.unenhanced / (1 - plan.unenhanced)) / 1.702)
    takes_up = 8 * (fractal_field(rng, grid, 1.3 * size, octaves=2) - np.float32(level))
    cost = _oedema_cost(plan, grid, person) - np.float32(plan.reach)

    hand = plan.stream("observer")
    traced_core = depth + 0.7 * smooth_field(hand, grid, 8.0) > 0
    traced_cavity = cavity + 0.7 * smooth_field(hand, grid, 6.0) > 0
    traced_oedema = cost + 1.5 * smooth_field(hand, grid, 9.0) < 0
    label = np.zeros(grid.shape, np.uint8)
    label[traced_oedema] = OEDEMA
    label[traced_core] = ENHANCING
    label[traced_core & (traced_cavity | (takes_up < 0))] = NECROSIS
    label[~person.mask] = 0

    core = soft(depth, 2.5)
    necrosis = soft(cavity, 2.5)
    patchy = np.clip(0.75 + 0.3 * fractal_field(rng, grid, 6.0, octaves=2), 0.2, 1.2)
    return Glioma(
        label=label,
        oedema=soft(-cost, 7.0),
        core=core,
        necrosis=necrosis,
        enhancement=soft(takes_up, 3.0) * (1 - necrosis) * patchy,
    )
