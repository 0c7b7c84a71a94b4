"""A simulated head-and-neck patient before any image: build, position in the scanner, tumour, and the box over the oropharynx.

Drawing it takes a millisecond and only numpy, and images and box use the same one. Arrays and triples are (z, y, x) unless
they belong to a box; *canonical* mm are those of `shapes`.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mcd.simulation.fields import Triple, generator

BOX = 144.0  # mm, length of a side, as in HECKTOR 2020
HEAD_NECK_EXTENT: Triple = (244.0, 320.0, 320.0)  # mm: the patient's space, and the field of view of the PET
BOX_CENTRE: Triple = (-7.0, -4.0, 0.0)  # canonical: the oropharynx

# Sites of the primary: frequency (our choice, tonsil and base of tongue being the most common) and canonical left position.
SITES: dict[str, tuple[float, Triple]] = {
    "tonsil": (0.42, (16.0, -1.0, 19.0)),
    "base of tongue": (0.33, (3.0, -17.0, 9.0)),
    "soft palate": (0.10, (33.0, -8.0, 8.0)),
    "wall": (0.15, (4.0, 4.0, 17.0)),
}


@dataclass(frozen=True)
class Habitus:
    """How patients differ, apart from smooth deformation."""

    fat: float  # mm of fat under the skin above that of a lean neck
    airway: float  # factor on the airway's width
    bulk: float  # factor on the muscles' thickness
    metal: int  # metal fillings or crowns
    hot_nodes: int
    brown_fat: bool
    inflamed: int  # inflamed tooth sockets
    table: float  # y of the head rest


def draw_habitus(rng: np.random.Generator) -> Habitus:
    """One patient's build. The frequencies are our choice, typical of clinics for oropharyngeal cancer."""
    return Habitus(
        fat=float(np.clip(rng.normal(2.0, 2.5), -1.0, 8.0)),
        airway=float(rng.uniform(0.75, 1.3)),
        bulk=float(rng.uniform(0.9, 1.22)),
        metal=int(rng.integers(1, 5)) if rng.random() < 0.5 else 0,
        hot_nodes=int(rng.choice([0, 1, 2, 3, 4], p=[0.35, 0.33, 0.2, 0.08, 0.04])),
        brown_fat=bool(rng.random() < 0.12),
        inflamed=int(rng.choice([0, 1, 2], p=[0.6, 0.3, 0.1])),
        table=float(rng.uniform(98, 112)),
    )


@dataclass(frozen=True)
class Tumour:
    """A primary tumour before it is limited to the space that bone, air and vessels leave."""

    site: str
    centre: Triple  # canonical
    lobes: tuple[tuple[Triple, float], ...]  # canonical centre and radius
    radius: float  # mm, of a ball of the same volume
    volume: float  # ml
    contrast: float  # HU above muscle
    push: float  # how far it displaces its surroundings, as a share of their distance from its centre
    edge: float  # mm over which it fades into its surroundings in CT
    uptake: float  # SUV
    necrosis: float  # uptake of its core as a share of the rest's


@dataclass(frozen=True)
class Patient:
    """Everything that is drawn before any image: cheap, and the same for the images and the box."""

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
    """The patient's box over the oropharynx, (x1, x2, y1, y2, z1, z2) in mm, LPS world coordinates, with sides of 144 mm."""
    z, y, x = draw_patient(subject, seed).box.tolist()
    return x, x + BOX, y, y + BOX, z, z + BOX


@lru_cache(maxsize=4)
def draw_patient(subject: str, seed: int) -> Patient:
    """Draw the patient of this name; the same for the same name and seed."""
    rng = generator(seed, subject, "patient")
    # An adult's build: 6 % SD in size, heads tilted by a few degrees, chins more or less raised.
    size = float(np.clip(rng.normal(1.0, 0.06), 0.86, 1.14)) * np.exp(rng.normal(0, 0.025, 3))
    tilt = np.deg2rad(rng.normal(0, [5.0, 3.0, 2.5]))
    matrix = _rotation(tilt) / size[:, None]
    origin = np.array(HEAD_NECK_EXTENT) / 2 + rng.normal(0, [4.0, 3.0, 4.0])
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
