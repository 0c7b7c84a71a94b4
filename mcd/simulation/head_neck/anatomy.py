"""The anatomy of a head and neck, composed of simple shapes in canonical mm (see `shapes`).

`draw_anatomy` gives the structures of one patient, to be painted in order, later ones over earlier ones. The sizes are
ordinary adult ones, set by eye (our choice).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from mcd.simulation.fields import Triple
from mcd.simulation.head_neck.patient import Habitus
from mcd.simulation.head_neck.shapes import Arch, Blob, Column, Rows, Shape, Spine, Union
from mcd.simulation.head_neck.tissues import CT_PET_TISSUES


@dataclass(frozen=True)
class Structure:
    """A shape filled with a tissue.

    `grow`: mm added all around; `opacity`: 0 to 1; `scale`: factor on the tissue's uptake, which differs between nodes, for
    example.
    """

    shape: Shape
    tissue: str
    grow: float = 0.0
    opacity: float = 1.0
    scale: float = 1.0
    offset: float = 0.0  # HU added to the tissue's

    @property
    def solid(self) -> bool:
        """Whether a tumour cannot grow through it: air, bone and vessels are painted over it."""
        return self.tissue in {
            "air",
            "cortical bone",
            "marrow",
            "tooth",
            "artery",
            "vein",
            "cartilage",
            "lung",
            "canal",
        }


# Outline of head, neck and shoulders: half width, back and front half depths.
OUTLINE = (
    (150, 0, 6, 76, 92, 0, 92),
    (105, 0, 6, 77, 94, 0, 94),
    (80, 0, 4, 74, 93, 0, 92),
    (60, 0, 2, 70, 88, 0, 90),
    (40, 0, 0, 66, 82, 0, 86),
    (20, 0, 0, 63, 76, 0, 83),
    (4, 0, 2, 60, 72, 0, 78),
    (-8, 0, 6, 58, 68, 0, 66),
    (-20, 0, 10, 57, 65, 0, 60),
    (-40, 0, 14, 57, 63, 0, 60),
    (-60, 0, 16, 61, 66, 0, 60),
    (-75, 0, 18, 76, 70, 0, 62),
    (-88, 0, 20, 112, 75, 0, 64),
    (-100, 0, 22, 158, 80, 0, 68),
    (-120, 0, 24, 195, 88, 0, 76),
    (-150, 0, 24, 210, 95, 0, 84),
)

# Bulk of the muscles behind the spine, into which the single ones are painted: rows of a column in the midline.
NAPE = ((66, 0, 64, 46, 18, 0), (40, 0, 56, 42, 18, 0), (0, 0, 53, 33, 17, 0), (-45, 0, 54, 35, 17, 0),
        (-75, 0, 58, 44, 20, 0), (-95, 0, 66, 72, 22, 0), (-150, 0, 78, 115, 28, 0))  # fmt: skip

# Muscles of the left side, deep to superficial: tissue and rows of a column.
MUSCLES: tuple[tuple[str, Rows], ...] = (
    ("muscle", ((55, 13, 56, 12, 8, 0), (-20, 13, 53, 12, 7, 0), (-70, 14, 60, 13, 8, 0), (-130, 18, 84, 16, 9, 0))),
    ("muscle", ((62, 15, 70, 15, 7, -8), (20, 14, 63, 14, 6, -8), (-20, 14, 61, 13, 5.5, -8), (-80, 15, 69, 13, 6, -8))),
    ("muscle", ((62, 42, 52, 14, 7, -55), (25, 34, 53, 14, 6, -50), (-25, 29, 53, 13, 6, -48), (-75, 28, 62, 13, 6, -35))),
    ("muscle", ((35, 30, 36, 8, 8, 0), (-15, 35, 38, 9, 9, 0), (-50, 40, 42, 10, 10, 20), (-85, 56, 54, 12, 10, 30))),
    ("muscle", ((10, 25, 26, 6, 6, 0), (-30, 28, 26, 8, 7, 0), (-70, 36, 28, 10, 8, 0), (-105, 52, 30, 11, 8, 0))),
    ("muscle", ((20, 24, 18, 4, 4, 0), (-30, 25, 16, 6, 5, 0), (-70, 31, 13, 7, 5, 0), (-105, 42, 8, 8, 5, 0))),
    ("muscle", ((66, 9, 8, 8, 5, 10), (40, 9, 11, 8, 5, 10), (0, 8, 12, 7.5, 5, 10), (-50, 9, 14, 8.5, 5, 10),
                (-110, 10, 35, 7, 5, 10))),
    # Trapezius: a thin sheet below the skin, bulky in the shoulder.
    ("muscle", ((60, 12, 79, 14, 3, -14), (0, 16, 64, 16, 3.2, -26), (-40, 23, 62, 22, 4, -34), (-75, 41, 62, 28, 7, -33),
                (-100, 72, 62, 44, 12, -18), (-130, 92, 70, 66, 18, -8))),
    # Sternocleidomastoid.
    ("muscle", ((62, 60, 40, 6, 10, -10), (30, 52, 27, 6, 13, 12), (0, 48, 16, 6, 16, 18), (-35, 42, 2, 7, 17, 32),
                (-70, 28, -20, 8, 14, 48), (-105, 16, -34, 8, 6, 30))),
    # Masseter, the pterygoids, temporalis.
    ("used muscle", ((72, 56, -20, 7, 17, -8), (45, 54, -20, 9, 19, -8), (15, 51, -20, 9, 18, -8), (2, 47, -18, 6, 14, -5))),
    ("used muscle", ((60, 25, -14, 7, 9, -30), (35, 33, -12, 8, 11, -25), (8, 41, -12, 6, 9, -15))),
    ("used muscle", ((76, 37, -16, 13, 11, 0), (54, 39, -10, 11, 10, 0))),
    ("used muscle", ((105, 69, -10, 5, 28, -3), (76, 59, -16, 8, 22, -5), (58, 54, -22, 5, 12, -5))),
    ("muscle", ((-4, 22, -40, 9, 6, 40), (-11, 32, -24, 8, 4, 50))),  # digastric, in front
    ("muscle", ((-14, 9, -41, 9, 3.5, 10), (-50, 12, -38, 11, 3.5, 20), (-105, 14, -40, 11, 3, 15))),  # strap muscles
    ("muscle", ((66, 36, 20, 5, 5, 0), (20, 40, 8, 4, 6, 0), (0, 34, -6, 4, 6, 0))),  # digastric, behind; styloid group
    ("muscle", ((52, 34, -56, 3, 12, -38), (18, 37, -50, 3, 14, -38))),  # buccinator
)  # fmt: skip

# Other paired structures, for the left side.
PAIRED: tuple[tuple[str, Shape], ...] = (
    ("parotid", Column(((58, 61, 14, 6, 11, -20), (38, 56, 14, 10, 14, -20), (14, 52, 10, 9, 13, -20), (2, 49, 7, 6, 7, -20)))),
    ("gland", Blob((-2, -18, 34), (14, 13, 8))),  # submandibular
    ("gland", Blob((8, -46, 15), (5, 14, 5))),  # sublingual
    ("thyroid", Column(((-46, 17, -20, 4, 7, -15), (-66, 18, -20, 8, 11, -15), (-92, 15, -18, 6, 8, -10)))),
)  # fmt: skip

VESSELS: tuple[tuple[str, Rows], ...] = (
    ("artery", ((66, 26, 12, 2.6, 2.6, 0), (-5, 28, 7, 3, 3, 0), (-14, 26, 4, 4.4, 4.4, 0), (-60, 24, 0, 3.8, 3.8, 0),
                (-130, 20, 4, 4.2, 4.2, 0))),
    ("artery", ((50, 42, -2, 1.6, 1.6, 0), (15, 36, -4, 2, 2, 0), (-12, 27, 1, 2.4, 2.4, 0))),  # external carotid
    ("vein", ((66, 31, 17, 5, 5, 0), (20, 34, 13, 5.5, 5, 0), (-30, 32, 8, 6.5, 5.5, -25), (-80, 29, -4, 7, 6, -25),
              (-130, 24, -8, 7, 7, 0))),
    ("vein", ((25, 46, -1, 2, 2, 0), (-20, 50, 0, 1.8, 1.8, 0), (-70, 48, 12, 2, 2, 0))),  # external jugular
    ("artery", ((45, 17, 25, 1.7, 1.7, 0), (-62, 17, 30, 1.7, 1.7, 0), (-90, 20, 20, 2, 2, 0))),  # vertebral
)  # fmt: skip

# Airway from the choanae to the trachea; its half widths vary between patients.
AIRWAY = (
    (70, 0, -8, 11, 9, 0),
    (56, 0, -4, 12, 9, 0),
    (44, 0, -1, 13, 5, 0),
    (34, 0, 1, 11, 4, 0),
    (20, 0, -1, 12, 6.5, 0),
    (4, 0, -2, 13, 7.5, 0),
    (-8, 0, -6, 14, 8.5, 0),
    (-20, 0, -13, 9, 8, 0),
    (-30, 0, -20, 5, 9, 0),
    (-37, 0, -22, 2.2, 10, 0),
    (-43, 0, -22, 5, 9, 0),
    (-55, 0, -21, 7.5, 9, 0),
    (-90, 0, -12, 8.5, 8.5, 0),
    (-150, 0, 2, 8.5, 8.5, 0),
)


# Lower and upper row of teeth.
TEETH = (Arch((24, -72), 0.031, -24, 7.5, 10.5, pitch=8), Arch((35, -72.5), 0.031, -24, 7.5, 10.5, pitch=8))


def draw_anatomy(rng: np.random.Generator, habitus: Habitus, side: int) -> tuple[list[Structure], list[Structure]]:
    """The patient's structures in painting order; `side` (+1 left, -1 right) is that of the tumour, where most nodes are.

    The first list is what a tumour grows into; the second (vessels, bones, cavities) is painted over the tumour.
    """
    soft = [*_surface(habitus), *_muscles(rng, habitus), *_throat(rng), *_swellings(rng), *_nodes(rng, habitus, side)]
    return soft, [*_vessels(rng), *_bones(rng), *_cavities(rng, habitus)]


def _surface(habitus: Habitus) -> Iterator[Structure]:
    outline = Column(OUTLINE)
    nose, chin = Blob((60, -92, 0), (16, 16, 12)), Blob((6, -70, 0), (14, 11, 18))
    ears = [Blob((62, 22, side * 73), (24, 14, 6)) for side in (1, -1)]
    rest = Arch((0, habitus.table), -0.004, habitus.table - 45, 4, 400)
    yield Structure(rest, "table")
    yield Structure(rest, "foam", grow=-1.2)
    for shape in (nose, chin, *ears):
        yield Structure(shape, "skin")
    for shape in (nose, chin):
        yield Structure(shape, "fat", grow=-2.0)
    yield Structure(outline, "skin", grow=habitus.fat)
    yield Structure(outline, "fat", grow=habitus.fat - 2.0)
    yield Structure(outline, "deep fat", grow=-3.0)


S = TypeVar("S", bound=Shape)


def _pair(shape: S) -> Iterator[S]:
    """The shape on the left and on the right."""
    yield shape
    yield shape.mirrored()


def _muscles(rng: np.random.Generator, habitus: Habitus) -> Iterator[Structure]:
    """The muscles, each in a thin layer of fat, the plane that a tumour effaces."""
    yield Structure(Column(NAPE), "muscle")
    yield Structure(Blob((-10, 62, 0), (90, 16, 0.7)), "deep fat", opacity=0.8)  # nuchal ligament
    yield Structure(Blob((66, -70, 0), (10, 10, 30)), "muscle", opacity=0.5)  # facial muscles
    yield Structure(Arch((28, -86), 0.024, -58, 9, 36), "muscle", opacity=0.8)  # lips
    yield Structure(Arch((7, -58), 0.028, -14, 9, 20, rise=0.1), "muscle")  # floor of the mouth
    yield Structure(Blob((-2, -42, 0), (7, 28, 26)), "muscle")
    for tissue, rows in MUSCLES:
        for shape in _pair(Column(rows)):
            thick = habitus.bulk * rng.normal(1.0, 0.06)
            column = Column(tuple((z, x, y, a * thick, b * thick, turn) for z, x, y, a, b, turn in shape.rows))
            yield Structure(column, "deep fat", grow=1.0, opacity=0.75)
            yield Structure(column, tissue)


def _throat(rng: np.random.Generator) -> Iterator[Structure]:
    for tissue, shape in PAIRED:
        for one in _pair(shape):
            yield Structure(one, tissue, scale=float(rng.lognormal(0, 0.1)))
    yield Structure(Column(tuple((z, x, y + 1, a + 5, b + 4.5, t) for z, x, y, a, b, t in AIRWAY[:-2])), "wall")
    yield Structure(Blob((23, -40, 0), (21, 31, 29)), "tongue")
    yield Structure(Blob((2, -40, 0), (12, 28, 18)), "tongue")
    yield Structure(Blob((26, -44, 0), (16, 24, 1.3)), "deep fat", opacity=0.5)  # lingual septum
    yield Structure(Blob((4, -14, 0), (12, 7, 15)), "tongue base", scale=float(rng.lognormal(0, 0.2)))
    yield Structure(Blob((38, -9, 0), (6, 14, 15)), "wall", scale=1.3)  # soft palate
    for x in (15, -15):
        yield Structure(
            Blob((16, -2, x), (12 * rng.uniform(0.8, 1.2), 8, 5.5 * rng.uniform(0.7, 1.3))),
            "tonsil",
            scale=float(rng.lognormal(0, 0.25)),
        )
    yield Structure(Column(((-14, 0, -15, 19, 17, 0), (-34, 0, -19, 17, 19, 0), (-52, 0, -19, 13, 15, 0))), "larynx")
    yield Structure(Column(((-50, -2, 2, 9, 5, 0), (-90, -5, 13, 8, 6, 0), (-150, -6, 28, 8, 6, 0))), "oesophagus")
    yield Structure(Blob((-68, -30, 0), (9, 4, 14)), "thyroid")


def _swellings(rng: np.random.Generator) -> Iterator[Structure]:
    """What looks like a tumour in CT but has no uptake: a slack wall, scars, displaced glands and muscles."""
    for _ in range(int(rng.integers(1, 5))):
        z, y, x = rng.uniform(-10, 40), rng.uniform(-22, 10), rng.choice([1, -1]) * rng.uniform(8, 30)
        offset, shade = float(rng.normal(4, 5)), float(rng.lognormal(0, 0.2))
        for _ in range(3):
            place = (z + rng.normal(0, 4), y + rng.normal(0, 3), x + rng.normal(0, 3))
            yield Structure(Blob(place, tuple(rng.uniform(4, 10, 3))), "swelling", scale=shade, offset=offset)


def _nodes(rng: np.random.Generator, habitus: Habitus, side: int) -> Iterator[Structure]:
    """Nodes without uptake on both sides, hot ones mostly beside the tumour, brown fat above the clavicles, bad teeth."""
    for _ in range(int(rng.integers(6, 15))):
        z, y, x = _node_place(rng, int(rng.choice([1, -1])))
        short = rng.uniform(2.0, 5.5)
        shape = Blob((z, y, x), (short * rng.uniform(1.0, 2.2), short * rng.uniform(0.9, 1.4), short))
        yield Structure(shape, "node", scale=float(rng.lognormal(0, 0.3)))
    for _ in range(habitus.hot_nodes):
        z, y, x = _node_place(rng, side if rng.random() < 0.8 else -side)
        short = float(np.clip(rng.lognormal(np.log(7.5), 0.3), 4.5, 15.0))
        radii = (short * rng.uniform(1.0, 1.7), short * rng.uniform(0.9, 1.3), short)
        hot = float(np.clip(rng.lognormal(np.log(6.5), 0.4), 3.0, 15.0)) / CT_PET_TISSUES["node"][2]
        yield Structure(Blob((z, y, x), radii), "node", scale=hot, offset=float(rng.uniform(0, 25)))
        if short > 8 and rng.random() < 0.5:  # cystic or necrotic
            core = (0.6 * radii[0], 0.6 * radii[1], 0.6 * radii[2])
            yield Structure(Blob((z, y, x), core), "fluid", scale=2.0, offset=8.0)
    for x in (1, -1) if habitus.brown_fat else ():
        for _ in range(4):
            place = (rng.uniform(-105, -80), rng.uniform(10, 35), x * rng.uniform(42, 75))
            yield Structure(Blob(place, tuple(rng.uniform(4, 9, 3))), "brown fat", scale=float(rng.lognormal(0, 0.3)))
    for _ in range(habitus.inflamed):
        x = rng.choice([1, -1]) * rng.uniform(12, 26)
        yield Structure(Blob((rng.choice([18, 38]), -68 + 0.045 * x * x, x), tuple(rng.uniform(4, 7, 3))), "inflamed")


def _node_place(rng: np.random.Generator, side: int) -> Triple:
    """A position in the submandibular, jugular or posterior chain of this side."""
    chain = rng.choice(["front", "jugular", "back"], p=[0.2, 0.6, 0.2])
    if chain == "front":
        z, y, x = rng.uniform(-12, 2), rng.uniform(-34, -8), rng.uniform(28, 44)
    elif chain == "jugular":
        z = rng.uniform(-80, 15)
        y, x = np.interp(z, [-80, -20, 15], [2, 14, 20]) + rng.normal(0, 3), np.interp(z, [-80, 15], [36, 40])
    else:
        z, y, x = rng.uniform(-70, 5), rng.uniform(26, 44), rng.uniform(42, 50)
    return float(z), float(y), float(side * x)


def _vessels(rng: np.random.Generator) -> Iterator[Structure]:
    for tissue, rows in VESSELS:
        for shape in _pair(Column(rows)):
            wide = rng.uniform(0.7, 1.35) if tissue == "vein" else rng.uniform(0.9, 1.1)
            yield Structure(Column(tuple((z, x, y, a * wide, b * wide, t) for z, x, y, a, b, t in shape.rows)), tissue)


def _bone(shape: Shape, cortex: float = 1.6, dense: float = 0.0) -> Iterator[Structure]:
    """Cortex with marrow inside."""
    yield Structure(shape, "cortical bone", offset=dense)
    yield Structure(shape, "marrow", grow=-cortex, offset=dense)


def _bones(rng: np.random.Generator) -> Iterator[Structure]:
    yield from _spine()
    yield from _skull()
    yield from _jaws_and_shoulders()
    yield from _larynx(rng)
    for jaw in TEETH:
        yield Structure(jaw, "tooth")


def _spine() -> Iterator[Structure]:
    """The vertebrae with their discs and the cord, up to the foramen magnum."""
    spine = Spine("bone")
    yield Structure(Spine("disc"), "disc")
    yield from _bone(spine, 1.2)
    atlas = Column(((46, 0, 30, 25, 22, 0), (34, 0, 30, 25, 22, 0)))
    yield from _bone(atlas, 1.5)
    yield Structure(atlas, "deep fat", grow=-7.0)
    yield from _bone(Blob((36, 20, 0), (13, 5.5, 6)), 1.5)  # dens
    for x in (1, -1):
        yield from _bone(Blob((40, 24, x * 19), (8, 9, 8)), 1.5)
    foramen = Column(((62, 0, 38, 30, 24, 0), (52, 0, 37, 25, 21, 0)))  # the occiput around the foramen magnum
    yield from _bone(foramen, 1.5)
    yield Structure(foramen, "fluid", grow=-8.0)
    yield Structure(Spine("canal"), "fluid")
    yield Structure(Column(((62, 0, 40, 7, 6, 0), (0, 0, 43.5, 6.5, 4.2, 0), (-130, 0, 74, 6, 4, 0))), "cord")


def _skull() -> Iterator[Structure]:
    """One shell around the brain, the dense petrous bones, the orbits."""
    brain = Union(
        (
            Blob((98, 50, 0), (35, 40, 52)),
            Blob((109, 6, 39), (29, 38, 27)),
            Blob((109, 6, -39), (29, 38, 27)),
            Blob((164, 8, 0), (70, 84, 68)),
        )
    )
    yield from _bone(
        Column(((90, 0, 0, 20, 16, 0), (74, 0, 8, 16, 11, 0), (56, 0, 19, 13, 5, 0))), 2.0
    )  # sphenoid, clivus
    for x in (1, -1):
        yield from _bone(Blob((72, 42, x * 55), (16, 12, 9)), 2.0)  # mastoid
        yield from _bone(Blob((78, 26, x * 40), (9, 12, 22)), 5.0)
        yield from _bone(Blob((55, 29, x * 18), (8, 9, 7)), 1.5)  # occipital condyle
        yield Structure(Blob((60, -22, x * 16), (15, 8, 1.4)), "cortical bone", offset=-200)  # pterygoid process
        yield from _bone(Blob((88, -22, x * 36), (6, 16, 18)), 1.5)  # greater wing of the sphenoid
        orbit = Blob((101, -42, x * 31), (16, 28, 17))
        yield Structure(orbit, "cortical bone", grow=2.0, offset=-200)
        yield Structure(orbit, "deep fat")
        yield Structure(Blob((100, -38, x * 26), (2.5, 20, 2.5)), "used muscle", scale=2.0)
        yield Structure(Blob((100, -62, x * 32), (12.5, 12.5, 12.5)), "eye")
        yield Structure(Blob((100, -73, x * 32), (4, 2, 4.5)), "eye", offset=70)  # lens
    yield Structure(brain, "cortical bone", grow=5.5)
    yield Structure(brain, "marrow", grow=3.5, offset=150)
    yield Structure(brain, "cortical bone", grow=2.0)
    yield Structure(brain, "fluid")
    yield Structure(brain, "brain", grow=-2.5)
    yield Structure(Blob((90, 34, 0), (6, 5, 9)), "fluid")  # fourth ventricle
    yield Structure(Column(((88, 0, 26, 12, 9, 0), (62, 0, 38, 7, 6, 0))), "brain", scale=0.8)  # brain stem


def _jaws_and_shoulders() -> Iterator[Structure]:
    yield from _bone(Arch((11, -70), 0.026, 4, 12, 25, rise=0.06), 2.2)  # body of the mandible
    yield from _bone(Arch((41, -70), 0.034, -18, 11, 14), 1.6)  # maxilla
    yield Structure(Blob((47, -44, 0), (2, 26, 17)), "cortical bone", offset=-200)  # hard palate
    for x in (1, -1):
        ramus = Column(
            ((8, x * 45, -8, 4, 12, -12 * x), (40, x * 47, -10, 3.2, 15, -12 * x), (62, x * 49, 0, 3.5, 8, -10 * x),
             (76, x * 50, 6, 6, 5, 0))
        )  # fmt: skip
        yield from _bone(ramus, 1.8)
        yield Structure(Blob((76, -24, x * 62), (4, 28, 2.5)), "cortical bone")  # zygomatic arch
        yield from _bone(Blob((72, -56, x * 44), (10, 8, 9)), 1.5)
        yield from _bone(Column(((-95, x * 18, -40, 8, 7, 0), (-108, x * 70, -30, 30, 6, -15 * x))), 2.0)  # clavicle
        yield from _bone(
            Column(((-96, x * 40, 40, 24, 7, 40 * x), (-112, x * 50, 25, 30, 8, 40 * x))), 1.5
        )  # first rib
        yield Structure(Blob((60, 22, x * 32), (22, 2.2, 2.2)), "cortical bone")  # styloid process


def _larynx(rng: np.random.Generator) -> Iterator[Structure]:
    """Its cartilages, which ossify with age, and the hyoid."""
    yield Structure(Arch((-13, -42), 0.03, -8, 4.5, 7), "cortical bone", offset=-350)  # hyoid
    chalk = float(rng.uniform(-60, 250))
    yield Structure(Arch((-32, -44), 0.055, -8, 3.5, 24, rise=0.1), "cartilage", offset=chalk)
    yield Structure(Column(((-44, 0, -20, 14, 15, 0), (-58, 0, -20, 12.5, 13, 0))), "cartilage", offset=chalk / 2)
    yield Structure(Column(((-43, 0, -20, 11, 12, 0), (-59, 0, -20, 10, 10.5, 0))), "larynx")


def _cavities(rng: np.random.Generator, habitus: Habitus) -> Iterator[Structure]:
    wide = habitus.airway
    yield Structure(Column(tuple((z, x, y, a * wide, b * wide, t) for z, x, y, a, b, t in AIRWAY)), "air")
    for x in (1, -1):
        yield Structure(Blob((-26, -4, x * 13), (10, 4, 4 * wide)), "air")  # piriform sinus
        yield Structure(Blob((-4, -18, x * 7), (5, 3.5 * wide, 5)), "air")  # vallecula
        # Nasal passages with their conchae; the maxillary sinus, sometimes with a swollen lining.
        yield Structure(Blob((64, -48, x * 8), (17, 36, 5.5)), "air")
        yield Structure(Blob((58, -46, x * 9), (7, 24, 3.5)), "mucosa")
        yield Structure(Blob((71, -46, x * 8), (4, 20, 3)), "mucosa")
        yield Structure(Blob((66, -50, x * 30), (17, 17, 13)), "cortical bone", grow=1.2, offset=-450)
        filled = rng.random() < 0.15
        yield Structure(Blob((66, -50, x * 30), (17, 17, 13)), "mucosa" if filled else "air")
        if not filled:
            yield Structure(Blob((52, -48, x * 31), (rng.uniform(2, 8), 14, 10)), "mucosa")
        for _ in range(10):  # mastoid cells
            place = (rng.uniform(64, 84), rng.uniform(34, 50), x * rng.uniform(50, 62))
            yield Structure(Blob(place, tuple(rng.uniform(1.5, 3.2, 3))), "air", opacity=0.85)
        yield Structure(Column(((78, x * 66, 20, 3, 3, 0), (72, x * 66, 20, 3, 3, 0))), "air")  # ear canal
        yield Structure(Blob((-140, 26, x * 42), (38, 40, 34)), "lung")
        for _ in range(6):  # ethmoid cells
            place = (rng.uniform(82, 94), rng.uniform(-66, -22), x * rng.uniform(3, 9))
            yield Structure(Blob(place, (8, 7, 4.5)), "cortical bone", offset=-500)
            yield Structure(Blob(place, (7, 6, 3.8)), "air")
    yield Structure(Blob((88, -6, 0), (9, 11, 11)), "air")  # sphenoid sinus
    # Epiglottis: a thin leaf in the airway.
    yield Structure(Blob((-4, -11, 0), (13, 1.6, 9)), "wall")
    if rng.random() < 0.6:  # mouth not quite closed
        yield Structure(Blob((43, -42, 0), (rng.uniform(1.0, 3.0), 20, 14)), "air")
