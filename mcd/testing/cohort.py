"""A tiny cohort for tests that need slices; no image library is needed unless its volumes are requested as files."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcd.slices.splits import Split, write_split
from mcd.slices.write_shards import write_subjects

if TYPE_CHECKING:
    from mcd.imaging.preprocess import Preprocessed


@dataclass(frozen=True)
class TinyCohort:
    """Six subjects in two shards: disc-shaped bodies with a blob (codes 1 inside 2), bright in A, dark in B."""

    folder: Path
    subjects: list[str]
    shards: list[Path]
    split: Path
    modalities: tuple[str, str] = ("A", "B")
    size: tuple[int, int] = (32, 32)
    depth: int = 8

    @cached_property
    def folders(self) -> dict[str, Path]:
        """Each subject's folder as preprocessing leaves it, written when first asked for."""
        from mcd.imaging.preprocess import write_preprocessed

        folders = {name: self.folder / "subjects" / name for name in self.subjects}
        for index, folder in enumerate(folders.values()):
            write_preprocessed(tiny_subject(index), folder)
        return folders


@dataclass
class TinyVolumes:
    """What a shard needs of a subject."""

    volumes: dict[str, np.ndarray]
    label: np.ndarray | None
    info: dict[str, Any]


def tiny_volumes(seed: int, size: tuple[int, int] = (32, 32), depth: int = 8) -> TinyVolumes:
    """One subject, (z, y, x); its first and last slices are black in B, and its outer slices have no label."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[:depth, : size[0], : size[1]].astype(float)
    body = ((y - size[0] / 2) ** 2 + (x - size[1] / 2) ** 2 < (0.42 * min(size)) ** 2) & (z >= 0)
    centre = rng.uniform(0.35, 0.65, 2) * size
    distance = np.sqrt((y - centre[0]) ** 2 + (x - centre[1]) ** 2 + 4 * (z - depth / 2) ** 2)
    label = np.where(distance < 3, 1, np.where(distance < 6, 2, 0)).astype(np.uint8) * body
    volumes = {}
    for name, contrast in (("A", 2.0), ("B", -1.5)):
        volume = rng.normal(0, 0.5, body.shape) + contrast * (label > 0) + 0.1 * np.sin(y / 3)
        volumes[name] = np.where(body, volume, 0).astype(np.float32)
    volumes["B"][[0, -1]] = 0
    spacing = [1.0, 1.0, 2.0]
    grid = {
        "size": [size[1], size[0], depth],
        "spacing": spacing,
        "origin": [0.0, 0.0, 0.0],
        "direction": [1, 0, 0, 0, 1, 0, 0, 0, 1],
    }
    statistics = {
        name: {"region": "nonzero", "p_low": float(seed), "p_high": 100.0 + seed, "mean": 50.0, "sd": 20.0}
        for name in volumes
    }
    info = {
        "modalities": ["A", "B"],
        "options": {
            "size": [size[1], size[0]],
            "spacing": spacing,
            "interpolation": "nearest",
            "statistics_region": "nonzero",
            "not_finite": "refuse",
            "percentiles": [1.0, 99.0],
            "centre": "region",
            "body_threshold": -500.0,
            "registration": "off",
        },
        "boxed": False,
        "statistics": statistics,
        "label": {},
        "grid": grid,
        "raw_grids": {"A": grid, "B": grid},
    }
    return TinyVolumes(volumes, label, info)


def tiny_subject(seed: int, size: tuple[int, int] = (32, 32), depth: int = 8) -> "Preprocessed":
    """The same subject, as preprocessing returns it."""
    from mcd.imaging.geometry import Grid
    from mcd.imaging.preprocess import Preprocessed

    made = tiny_volumes(seed, size, depth)
    regions = {name: volume != 0 for name, volume in made.volumes.items()}
    return Preprocessed(made.volumes, made.label, regions, Grid.from_json(made.info["grid"]), made.info)


def make_tiny_cohort(
    folder: Path, subjects: Sequence[str] = ("p0", "p1", "p2", "p3", "p4", "p5"), unlabelled: Sequence[str] = ()
) -> TinyCohort:
    """Write the cohort's shards, in the order of `subjects`, and a split whose last two with a label test."""
    half = len(subjects) // 2
    shards = [folder / "0.h5", folder / "1.h5"]
    numbered = [(name, tiny_volumes(index)) for index, name in enumerate(subjects)]
    for name, made in numbered:
        if name in unlabelled:
            made.label = made.info["label"] = None
    for shard, part in zip(shards, (numbered[:half], numbered[half:]), strict=True):
        write_subjects(shard, part)
    split = folder / "split.json"
    labelled = [name for name in subjects if name not in unlabelled]
    write_split(Split(train=labelled[:-2], test=labelled[-2:], unlabelled=list(unlabelled)), split)
    return TinyCohort(folder, list(subjects), shards, split)
