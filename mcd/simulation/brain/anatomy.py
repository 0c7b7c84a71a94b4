"""A healthy brain: the ICBM 152 atlas, scaled, deformed and aged into one person (arrays (z, y, x): z up, y back, x left)."""

import importlib.resources
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from mcd.errors import McdError
from mcd.simulation.fields import Array, SamplingGrid, Triple, deformation, fractal_field, random_rotation, smooth_field

BRATS_EXTENT: Triple = (155.0, 240.0, 240.0)  # mm: the field of view of every BraTS file
# Position of brains in BraTS files, which were registered to the SRI24 atlas; measured on four patients of BraTS 2013.
CENTRE: Triple = (77.0, 131.0, 120.0)
# Part of the field of view where brains can be; the rest is background and is not computed.
LOW: Triple = (0.0, 36.0, 38.0)
HIGH: Triple = (155.0, 228.0, 202.0)
_ATLAS_CENTRE: Triple = (77.0, 116.0, 98.0)
_ATLAS_MIDLINE = 98.0
_ATLAS_FILE = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"


@dataclass(frozen=True)
class Atlas:
    """The ICBM 152 non-linear symmetric atlas (2009a, 1 mm), from the packaged files of nilearn.

    `grey`, `white`: fractions of a voxel, 0 to 1, at 1 mm. At 2 mm: `depth`, mm below the surface of the brain; `ventricles`,
    mm from the ventricles (up to 40).
    """

    grey: Array
    white: Array
    depth: Array
    ventricles: Array


@lru_cache(maxsize=1)
def atlas() -> Atlas:
    """Read the atlas, once per process; raises `McdError` if nilearn no longer contains it.

    The files are read directly: `nilearn.datasets` offers the same images but imports scikit-learn first, which takes
    longer than simulating a small patient.
    """

    def read(kind: str) -> Array:
        path = importlib.resources.files("nilearn") / "datasets" / "data" / _ATLAS_FILE.format(kind)
        if not path.is_file():
            raise McdError(f"{path}: the brain atlas is not there; install nilearn 0.13, which carries it")
        image = sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS")
        return sitk.GetArrayFromImage(image).astype(np.float32) / np.float32(255)

    grey, white = read("gm"), read("wm")
    half = (slice(None, None, 2),) * 3
    inside = np.pad(read("t1")[half] > 0, 1)
    depth = 2 * ndimage.distance_transform_edt(inside)[1:-1, 1:-1, 1:-1]
    fluid = (1 - grey - white)[half] > 0.5
    regions, _ = ndimage.label(fluid & (depth > 24))
    sizes = np.bincount(regions.ravel())
    lateral = regions == (1 + np.argmax(sizes[1:]))
    ventricles = np.minimum(2 * ndimage.distance_transform_edt(~lateral), 40)
    return Atlas(grey, white, depth.astype(np.float32), ventricles.astype(np.float32))


@dataclass(frozen=True)
class Anatomy:
    """One person's brain on a grid. Fractions of a voxel: `grey`, `white`, `csf`, which sum to 1 in the `mask` (bool).

    `depth`: mm below the brain's surface; `ventricles`: mm from the ventricles; `place`: (3, z, y, x), the position of each
    voxel in the atlas: z mm up, y mm back, x mm left of the midline (signed).
    """

    grey: Array
    white: Array
    csf: Array
    mask: np.ndarray
    depth: Array
    ventricles: Array
    place: Array


def anatomy(rng: np.random.Generator, grid: SamplingGrid, push: Array | None = None) -> Anatomy:
    """Draw a person. The same `rng` state gives the same person on any grid of the field of view.

    `push`: (3, z, y, x) mm, subtracted from each voxel's position before the tissues are looked up: the mass effect of a
    tumour. It moves the brain, not the skull.
    """
    scale = np.array((0.91, 0.92, 0.93)) * np.exp(0.03 * rng.standard_normal() + 0.02 * rng.standard_normal(3))
    shift = 2.0 * rng.standard_normal(3)
    turn = random_rotation(rng, 3.0) / scale  # columns divided by the scale of the patient's axes
    bend = deformation(rng, grid, 70.0, 3.0) + deformation(rng, grid, 24.0, 1.3) + deformation(rng, grid, 11.0, 0.9)
    ageing = float(
        np.clip(rng.normal(0.3, 0.35), -0.3, 1.0)
    )  # how much wider ventricles and sulci are than the atlas's
    ragged = 1.2 * smooth_field(rng, grid, 7.0) + 0.8 * smooth_field(rng, grid, 25.0)
    folds = fractal_field(rng, grid, 14.0, octaves=2)

    def look_up(offset: Array | None) -> list[Array]:
        place = [axis - np.float32(c + s) for axis, c, s in zip(grid.positions(), CENTRE, shift, strict=True)]
        place = [place[k] + bend[k] - (0 if offset is None else offset[k]) for k in range(3)]
        own = [
            sum(np.float32(turn[k, j]) * place[j] for j in range(3)) + np.float32(_ATLAS_CENTRE[k]) for k in range(3)
        ]
        # Wider ventricles: the atlas is magnified about a centre above the thalamus, fading out over 3 cm.
        spread = [own[k] - np.float32(c) for k, c in enumerate((90.0, 112.0, _ATLAS_MIDLINE))]
        near = np.exp(-(spread[0] ** 2 + spread[1] ** 2 + spread[2] ** 2) / np.float32(2 * 26.0**2))
        return [own[k] - np.float32(0.28 * ageing) * near * spread[k] for k in range(3)]

    def sample(volume: Array, place: list[Array], step: float, where: np.ndarray) -> Array:
        """Look the volume up, 0 outside `where`: most of the box is not brain."""
        result = np.zeros(grid.shape, np.float32)
        index = np.stack([p[where] / np.float32(step) for p in place])
        result[where] = ndimage.map_coordinates(volume, index, order=1, mode="constant", output=np.float32)
        return result

    source = atlas()
    skull = look_up(None)
    place = skull if push is None else look_up(push)
    depth = sample(source.depth, skull, 2.0, np.ones(grid.shape, bool))
    mask = depth > np.maximum(1 + ragged, np.float32(0.3))  # skull stripping never follows the surface exactly
    grey, white = sample(source.grey, place, 1.0, mask), sample(source.white, place, 1.0, mask)
    csf = np.maximum(1 - grey - white, 0)
    # The atlas is a mean of 152 people: raising the fractions to a power restores the edges that averaging blurred.
    power = np.float32(1.7)
    grey, white, csf = (
        grey**power,
        white**power,
        (csf * np.exp(np.float32(0.45 * (0.8 + ageing)) + 0.25 * folds)) ** power,
    )
    total = np.maximum(grey + white + csf, np.float32(1e-6))
    return Anatomy(
        grey=grey / total,
        white=white / total,
        csf=csf / total,
        mask=mask,
        depth=depth,
        ventricles=sample(source.ventricles, place, 2.0, mask),
        place=np.stack([place[0], place[1], place[2] - np.float32(_ATLAS_MIDLINE)]),
    )
