"""A tiny cohort for every test that needs slices."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mcd.imaging.geometry import Grid
from mcd.imaging.preprocess import Preprocessed, PreprocessOptions, write_preprocessed
from mcd.slices.splits import Split, write_split
from mcd.slices.write_shards import write_shard


@dataclass(frozen=True)
class TinyCohort:
    """Six subjects in two shards: disc-shaped bodies with a blob (codes 1 inside 2), bright in A, dark in B."""

    folders: dict[str, Path]
    shards: list[Path]
    split: Path
    modalities: tuple[str, str] = ("A", "B")
    size: tuple[int, int] = (32, 32)
    depth: int = 8


def tiny_subject(seed: int, size: tuple[int, int] = (32, 32), depth: int = 8) -> Preprocessed:
    """One subject; its first and last slices are black in B, and its outer slices hold no label."""
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
    grid = Grid((size[1], size[0], depth), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    statistics = {
        name: {"region": "nonzero", "p_low": float(seed), "p_high": 100.0 + seed, "mean": 50.0, "sd": 20.0}
        for name in volumes
    }
    info = {
        "modalities": ["A", "B"],
        "options": asdict(PreprocessOptions(size=(size[1], size[0]), spacing=(1.0, 1.0, 2.0))),
        "boxed": False,
        "statistics": statistics,
        "label": {},
        "grid": grid.to_json(),
        "raw_grids": {"A": grid.to_json(), "B": grid.to_json()},
    }
    return Preprocessed(volumes, label, {name: volume != 0 for name, volume in volumes.items()}, grid, info)


def make_tiny_cohort(folder: Path, subjects: Sequence[str] = ("p0", "p1", "p2", "p3", "p4", "p5")) -> TinyCohort:
    folders = {name: folder / "subjects" / name for name in subjects}
    for index, name in enumerate(subjects):
        write_preprocessed(tiny_subject(index), folders[name])
    half = len(subjects) // 2
    shards = [folder / "0.h5", folder / "1.h5"]
    for shard, names in zip(shards, (subjects[:half], subjects[half:]), strict=True):
        write_shard(shard, {name: folders[name] for name in names})
    split = folder / "split.json"
    write_split(Split(train=list(subjects[:-2]), test=list(subjects[-2:])), split)
    return TinyCohort(folders, shards, split)
