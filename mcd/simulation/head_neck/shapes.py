"""Simple bodies of which an anatomy is composed: ellipsoids, tubes, arches, a spine.

Everything is in *canonical* mm: x to the left, y backwards, z upwards; the origin is in the midline of the oropharynx at
the height of the third cervical vertebra.
"""

from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mcd.simulation.fields import Array, Triple

LEVEL_LOW, LEVEL_STEP = -180.0, 0.5
LEVELS = np.arange(LEVEL_LOW, 180 + LEVEL_STEP, LEVEL_STEP)  # heights at which a column's outline is tabulated


Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Points:
    """Canonical coordinates of voxels, each (z, y, x)-shaped, and the index of each one's height in a column's table."""

    z: Array
    y: Array
    x: Array
    level: NDArray[np.int32]

    def __getitem__(self, part: tuple[slice, slice, slice]) -> "Points":
        return Points(self.z[part], self.y[part], self.x[part], self.level[part])


class Shape(Protocol):
    """A body in canonical space."""

    def bounds(self) -> tuple[Triple, Triple]:
        """Lowest and highest (z, y, x) of the body."""
        ...

    def depth(self, at: Points) -> Array:
        """Distance in mm below the surface, negative outside; accurate close to the surface."""
        ...

    def mirrored(self) -> Self:
        """The same body on the other side of the midline."""
        ...


@dataclass(frozen=True)
class Blob:
    """An ellipsoid: (z, y, x) centre and radii."""

    centre: Triple
    radii: Triple

    def bounds(self) -> tuple[Triple, Triple]:
        (z, y, x), (c, b, a) = self.centre, self.radii
        return (z - c, y - b, x - a), (z + c, y + b, x + a)

    def depth(self, at: Points) -> Array:
        centre, radii = np.asarray(self.centre, np.float32), np.asarray(self.radii, np.float32)
        u, v, w = ((axis - c) / r for axis, c, r in zip((at.z, at.y, at.x), centre, radii, strict=True))
        radius = np.sqrt(u * u + v * v + w * w)
        u, v, w = u / radii[0], v / radii[1], w / radii[2]
        return radius * (1 - radius) / np.sqrt(u * u + v * v + w * w + np.float32(1e-9))

    def mirrored(self) -> Self:
        z, y, x = self.centre
        return replace(self, centre=(z, y, -x))


@dataclass(frozen=True)
class Column:
    """A tube of elliptical cross-section along z.

    `rows`: (z, x, y, half width a, half depth b, rotation in degrees) at some heights, linear in between; with `front`,
    a seventh number is the half depth towards the front, and b is that towards the back.
    """

    rows: Rows

    def bounds(self) -> tuple[Triple, Triple]:
        rows = np.array(self.rows)
        z, x, y = rows[:, 0], rows[:, 1], rows[:, 2]
        reach = np.max(np.delete(rows[:, 3:], 2, axis=1), axis=1)
        low, high = (z.min(), (y - reach).min(), (x - reach).min()), (z.max(), (y + reach).max(), (x + reach).max())
        return low, high

    def depth(self, at: Points) -> Array:
        rows = np.array(sorted(self.rows))
        x, y, a, b, turn, *front = (
            np.interp(LEVELS, rows[:, 0], column).astype(np.float32) for column in rows[:, 1:].T
        )
        u, v = at.x - x[at.level], at.y - y[at.level]
        if turn.any():
            cosine, sine = np.cos(np.deg2rad(turn))[at.level], np.sin(np.deg2rad(turn))[at.level]
            u, v = cosine * u + sine * v, cosine * v - sine * u
        inverse_a, inverse_b = (1 / a)[at.level], (1 / b)[at.level]
        if front:
            inverse_b = np.where(v < 0, (1 / front[0])[at.level], inverse_b)
        u, v = u * inverse_a, v * inverse_b
        radius = np.sqrt(u * u + v * v)
        u, v = u * inverse_a, v * inverse_b
        depth = radius * (1 - radius) / np.sqrt(u * u + v * v + np.float32(1e-9))
        low, high = np.float32(rows[0, 0]), np.float32(rows[-1, 0])
        return np.minimum(depth, np.minimum(at.z - low, high - at.z))

    def mirrored(self) -> Self:
        return replace(self, rows=tuple((z, -x, y, a, b, -turn, *more) for z, x, y, a, b, turn, *more in self.rows))


@dataclass(frozen=True)
class Arch:
    """A horseshoe open to the back, as jaws, hyoid and laryngeal cartilage are; or to the front, as a head rest is.

    `apex`: (z, y) of its vertex; `curve`: x^2 coefficient in 1/mm, negative where open to the front; `end`: y where it
    stops; `thickness`, `height` in mm; `rise`: how much it climbs for each mm backwards; `pitch`: if not 0, the distance of
    gaps in mm, as between teeth.
    """

    apex: tuple[float, float]
    curve: float
    end: float
    thickness: float
    height: float
    rise: float = 0.0
    pitch: float = 0.0

    def bounds(self) -> tuple[Triple, Triple]:
        (z, y), half = self.apex, self.height / 2
        width = np.sqrt((self.end - y) / self.curve) + self.thickness
        climb = self.rise * (self.end - y)
        low, high = min(0.0, climb) - half, max(0.0, climb) + half
        front, back = min(y, self.end) - self.thickness, max(y, self.end) + self.thickness
        return (z + low, front, -width), (z + high, back, width)

    def depth(self, at: Points) -> Array:
        (z, y), curve = self.apex, np.float32(self.curve)
        along = at.y - np.float32(y)
        off = np.abs(along - curve * at.x * at.x) / np.sqrt(1 + 4 * curve * curve * at.x * at.x)
        above = np.abs(at.z - np.float32(z) - np.float32(self.rise) * along)
        depth = np.minimum(np.float32(self.thickness / 2) - off, np.float32(self.height / 2) - above)
        depth = np.minimum(depth, np.float32(np.sign(self.curve)) * (np.float32(self.end) - at.y))
        if self.pitch:
            pitch = np.float32(self.pitch)
            depth = np.minimum(depth, np.abs(np.mod(np.hypot(at.x, curve * at.x * at.x), pitch) - pitch / 2) - 0.4)
        return depth

    def mirrored(self) -> Self:
        return self


@dataclass(frozen=True)
class Union:
    """Several bodies as one, so that a shell drawn around it has no inner walls."""

    parts: tuple[Blob, ...]

    def bounds(self) -> tuple[Triple, Triple]:
        low, high = zip(*(part.bounds() for part in self.parts), strict=True)
        return tuple(np.min(low, axis=0)), tuple(np.max(high, axis=0))

    def depth(self, at: Points) -> Array:
        return np.maximum.reduce([part.depth(at) for part in self.parts])

    def mirrored(self) -> Self:
        return replace(self, parts=tuple(part.mirrored() for part in self.parts))


@dataclass(frozen=True)
class Spine:
    """The vertebrae below the axis: bodies, pillars, laminae, transverse and spinous processes, repeating along z.

    `part`: "bone", "disc" or "canal"; `period`: height of one vertebra with its disc.
    """

    part: str
    period: float = 17.5
    low: float = -130.0
    high: float = 30.0

    def bounds(self) -> tuple[Triple, Triple]:
        return (self.low, 8.0, -34.0), (self.high + 4, 100.0, 34.0)

    @staticmethod
    def line(levels: NDArray[np.float64]) -> Array:
        """y of the middle of the vertebral bodies: the lordosis of the neck, the kyphosis of the chest."""
        heights = [-150, -120, -100, -70, -40, -10, 20, 60]
        return np.interp(levels, heights, [66, 52, 43, 32, 27.5, 26, 25.5, 24]).astype(np.float32)

    def depth(self, at: Points) -> Array:
        y = at.y - self.line(LEVELS)[at.level]
        x = np.abs(at.x)
        ends = np.minimum(at.z - np.float32(self.low), np.float32(self.high) - at.z)
        canal = _oval(x, y - 18.5, 11.5, 8)
        if self.part == "canal":
            return np.minimum(canal, np.minimum(at.z - np.float32(self.low), np.float32(60) - at.z))
        body = _oval(x, y, 12, 8.7)
        if self.part == "disc":
            return np.minimum(body, ends)

        def band(first: float, last: float, tilt: Array) -> Array:
            """Depth inside a part of every period, from `first` to `last`, whose level shifts by `tilt` mm."""
            phase = np.mod((at.z + tilt) / np.float32(self.period), 1)
            middle, half = (first + last) / 2, (last - first) / 2
            return np.float32(self.period) * (half - np.abs(phase - np.float32(middle)))

        bodies = np.minimum(body, band(0.02, 0.76, 0.25 * y))
        pillars = np.minimum(_oval(x - 19, y - 11, 7, 7), band(0.0, 0.93, 0.6 * (y - 11)))
        pedicles = np.minimum(np.minimum(3 - np.abs(x - 14), 8 - np.abs(y - 7)), band(0.3, 0.7, 0 * y))
        transverse = np.minimum(_oval(x - 19, y - 1, 7, 4), band(0.25, 0.6, 0 * y))
        artery = _oval(x - 16, y - 2, 3, 3)
        laminae = np.minimum(np.minimum(canal + 4.5, y - 15), band(0.05, 0.68, 0.35 * (y - 15)))
        process = np.minimum(np.minimum(y - 24, 42 - y), 3.2 - x)
        process = np.minimum(process, band(0.05, 0.62, 0.5 * (y - 22)))
        bone = np.maximum.reduce([bodies, pillars, pedicles, np.minimum(transverse, -artery), laminae, process])
        return np.minimum(np.minimum(bone, -canal), ends)

    def mirrored(self) -> Self:
        return self


def _oval(u: Array, v: Array, a: float, b: float) -> Array:
    """Depth below an ellipse around the origin."""
    u, v = u / np.float32(a), v / np.float32(b)
    radius = np.sqrt(u * u + v * v)
    u, v = u / np.float32(a), v / np.float32(b)
    return radius * (1 - radius) / np.sqrt(u * u + v * v + np.float32(1e-9))
