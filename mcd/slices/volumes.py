"""Whole patients one after the other, from shards or from preprocessed folders, for what looks at more than a slice."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mcd.errors import McdError
from mcd.slices.shards import Shards
from mcd.slices.splits import read_split

Volumes = dict[str, np.ndarray]
"""Modality -> (z, y, x) float32 z-scores, 0 outside its region."""


def shard_volumes(
    paths: Sequence[str | Path], split: str | Path | None = None, modalities: Sequence[str] | None = None
) -> Iterator[tuple[str, Volumes]]:
    """The patients of a cohort's shards, all or the training patients of `split`, in some or all modalities."""
    with Shards(paths) as shards:
        names = list(modalities or shards.modalities)
        positions = shards.modality_positions(names)
        for subject in read_split(split).train if split else shards.subjects:
            images = shards.read(subject, "images").astype(np.float32)
            yield subject, {name: images[:, position] for name, position in zip(names, positions, strict=True)}


def preprocessed_volumes(
    folder: str | Path, split: str | Path | None = None, modalities: Sequence[str] | None = None
) -> Iterator[tuple[str, Volumes]]:
    """The same from a folder with a preprocessed folder a patient."""
    from mcd.imaging.preprocess import read_preprocessed

    found = sorted(path.parent.name for path in Path(folder).glob("*/info.json"))
    if not found:
        raise McdError(f"{folder}: no preprocessed patient (<id>/info.json) in it")
    for subject in read_split(split).train if split else found:
        volumes = read_preprocessed(Path(folder) / subject).volumes
        missing = [name for name in modalities or () if name not in volumes]
        if missing:
            raise McdError(f"{Path(folder) / subject}: has {', '.join(volumes)}, not {', '.join(missing)}")
        yield subject, {name: volumes[name] for name in modalities or volumes}
