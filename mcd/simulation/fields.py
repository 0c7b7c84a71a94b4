"""Building blocks of simulated patients: seeded generators, sampling grids, smooth random fields, deformations, shapes.

All arrays are (z, y, x) float32 and all lengths are mm. Random fields are defined on knots at fixed positions in the field of
view, so that a patient drawn at 1 mm and at 2 mm is the same patient, sampled differently; only voxel noise depends
on the grid.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Triple = tuple[float, float, float]

# Root mean square of a cubic B-spline series with unit white-noise coefficients: along one axis, the integral of the squared
# basis is 151/315.
_SPLINE_RMS = (151 / 315) ** 1.5


def generator(seed: int, subject: str, purpose: str = "") -> np.random.Generator:
    """A random generator that depends on these three values only, the same on every machine and in any order of calls.

    Different purposes ("anatomy", "noise", ...) draw from independent streams: drawing from one does not affect another.
    """
    digest = hashlib.sha256(f"{seed}\x1f{subject}\x1f{purpose}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


@dataclass(frozen=True)
class SamplingGrid:
    """Voxel centres over (part of) a field of view.

    `extent`: (z, y, x) size of the whole field of view; `spacing`: (z, y, x); `start`, `shape`: first voxel and number
    of voxels per axis of the part that is sampled. Positions are measured from the corner of the field of view.
    """

    extent: Triple
    spacing: Triple
    start: tuple[int, int, int]
    shape: tuple[int, int, int]

    @classmethod
    def over(cls, extent: Triple, spacing: Triple) -> "SamplingGrid":
        """The grid that covers the whole field of view, to the nearest voxel."""
        size = [max(1, round(length / step)) for length, step in zip(extent, spacing, strict=True)]
        return cls(extent, spacing, (0, 0, 0), (size[0], size[1], size[2]))

    def crop(self, low: Triple, high: Triple) -> "SamplingGrid":
        """The part of this grid between two (z, y, x) positions, clipped to the grid; at least one voxel per axis."""
        start, shape = [], []
        for first, count, step, a, b in zip(self.start, self.shape, self.spacing, low, high, strict=True):
            begin = min(max(int(np.floor(a / step)), first), first + count - 1)
            end = max(min(int(np.ceil(b / step)), first + count), begin + 1)
            start.append(begin)
            shape.append(end - begin)
        return SamplingGrid(self.extent, self.spacing, (start[0], start[1], start[2]), (shape[0], shape[1], shape[2]))

    def slices_in(self, other: "SamplingGrid") -> tuple[slice, slice, slice]:
        """The position of this crop in an array over `other`."""
        z, y, x = (slice(a - b, a - b + n) for a, b, n in zip(self.start, other.start, self.shape, strict=True))
        return z, y, x

    def axis(self, dimension: int) -> Array:
        """Positions of the voxel centres along one axis."""
        index = np.arange(self.start[dimension], self.start[dimension] + self.shape[dimension])
        return ((index + 0.5) * self.spacing[dimension]).astype(np.float32)

    def positions(self) -> tuple[Array, Array, Array]:
        """The three axes, shaped to broadcast: (z, 1, 1), (1, y, 1), (1, 1, x)."""
        return self.axis(0)[:, None, None], self.axis(1)[None, :, None], self.axis(2)[None, None, :]


def _basis(positions: Array, knots: int, scale: float) -> Array:
    """Cubic B-spline weights of `knots` coefficients, `scale` apart, at positions: (positions, knots)."""
    t = positions.astype(np.float64) / scale
    first = np.floor(t).astype(int)
    u = t - first
    weights = ((1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3)
    matrix = np.zeros((len(t), knots), np.float32)
    for offset, weight in enumerate(weights):
        matrix[np.arange(len(t)), first + offset] = weight / 6
    return matrix


def smooth_field(rng: np.random.Generator, grid: SamplingGrid, scale: float | Triple) -> Array:
    """A Gaussian random field of zero mean and unit standard deviation, twice differentiable.

    `scale`: distance of the spline knots (z, y, x), about the size of its bumps. Cheap even on large
    grids: three matrix products.
    """
    scales = (scale, scale, scale) if isinstance(scale, int | float) else scale
    # One voxel of slack: a grid rounded up to whole voxels may extend beyond the field of view.
    knots = [int(extent / s + 1) + 5 for extent, s in zip(grid.extent, scales, strict=True)]
    field = rng.standard_normal(knots, dtype=np.float32) / np.float32(_SPLINE_RMS)
    for dimension in range(3):
        matrix = _basis(grid.axis(dimension), knots[dimension], scales[dimension])
        field = np.moveaxis(np.tensordot(matrix, field, axes=(1, dimension)), 0, dimension)
    return np.ascontiguousarray(field)


def fractal_field(
    rng: np.random.Generator, grid: SamplingGrid, scale: float, octaves: int = 3, gain: float = 0.6
) -> Array:
    """Smooth fields of scale, scale / 2, scale / 4, ... weighted 1, gain, gain^2, ...; unit standard deviation."""
    total = np.zeros(grid.shape, np.float32)
    for octave in range(octaves):
        total += np.float32(gain**octave) * smooth_field(rng, grid, scale / 2**octave)
    return total / np.float32(np.sqrt(sum(gain ** (2 * octave) for octave in range(octaves))))


def deformation(rng: np.random.Generator, grid: SamplingGrid, scale: float, amplitude: float) -> Array:
    """A smooth random displacement, (3, z, y, x) in mm, components in (z, y, x) order, standard deviation `amplitude`.

    It stays free of folds while `amplitude` is below about a quarter of `scale`.
    """
    return np.stack([np.float32(amplitude) * smooth_field(rng, grid, scale) for _ in range(3)])


def random_rotation(rng: np.random.Generator, degrees: float | None = None) -> NDArray[np.float64]:
    """A 3 x 3 rotation: by normal angles of this standard deviation about the three axes, or a uniform one if None."""
    if degrees is None:
        q, r = np.linalg.qr(rng.standard_normal((3, 3)))
        q = q * np.sign(np.diag(r))
        return q * np.linalg.det(q)
    a, b, c = np.deg2rad(degrees) * rng.standard_normal(3)
    about_z = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]])
    about_x = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def ellipsoid(grid: SamplingGrid, centre: Triple, radii: Triple, rotation: NDArray[np.float64] | None = None) -> Array:
    """Depth below the surface of an ellipsoid, in mm: positive inside, 0 on the surface, about exact close to it.

    `centre`, `radii`: (z, y, x) mm; `rotation`: turns the ellipsoid's own axes into the grid's.
    """
    offsets = [axis - np.float32(c) for axis, c in zip(grid.positions(), centre, strict=True)]
    turn = np.eye(3) if rotation is None else rotation
    squared = np.zeros(grid.shape, np.float32)
    for own, radius in enumerate(radii):
        squared += sum(np.float32(turn[k, own] / radius) * offsets[k] for k in range(3)) ** 2
    return np.float32(np.cbrt(np.prod(radii))) * (1 - np.sqrt(squared))


def lobulated(
    rng: np.random.Generator,
    grid: SamplingGrid,
    centre: Triple,
    radius: float,
    *,
    roughness: float = 0.25,
    stretch: float = 0.25,
) -> Array:
    """Depth in mm below the surface of a random lump: a stretched ellipsoid with an undulating surface.

    `roughness`: standard deviation of the undulation as a share of the radius; `stretch`: that of the log of the three radii.
    """
    factors = np.exp(stretch * rng.standard_normal(3))
    factors /= np.cbrt(np.prod(factors))
    z, y, x = (float(radius * factor) for factor in factors)
    depth = ellipsoid(grid, centre, (z, y, x), random_rotation(rng))
    return depth + np.float32(roughness * radius) * fractal_field(rng, grid, max(radius * 0.8, 2.0))


def soft(depth: Array, width: float) -> Array:
    """Fraction of a voxel inside a surface: 0 to 1 over `width` mm of depth around 0 (partial volume)."""
    return np.clip(depth / np.float32(width) + np.float32(0.5), 0, 1)


def rician(rng: np.random.Generator, signal: Array, sigma: float) -> Array:
    """The magnitude of a complex MR signal with normal noise of standard deviation `sigma` in both channels."""
    real = signal + np.float32(sigma) * rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary = np.float32(sigma) * rng.standard_normal(signal.shape, dtype=np.float32)
    return np.hypot(real, imaginary)


def trilinear(values: Array, source: SamplingGrid, target: SamplingGrid) -> Array:
    """Trilinear interpolation of an array over `source` at the voxels of `target`; constant beyond the outermost voxels."""
    for dimension in range(3):
        t = (target.axis(dimension) / source.spacing[dimension]) - 0.5 - source.start[dimension]
        t = np.clip(t, 0, source.shape[dimension] - 1)
        below = np.minimum(t.astype(int), max(source.shape[dimension] - 2, 0))
        rows = np.arange(len(t))
        matrix = np.zeros((len(t), source.shape[dimension]), np.float32)
        matrix[rows, below] = 1 - (t - below)
        matrix[rows, np.minimum(below + 1, source.shape[dimension] - 1)] += t - below
        values = np.moveaxis(np.tensordot(matrix, values, axes=(1, dimension)), 0, dimension)
    return np.ascontiguousarray(values)
