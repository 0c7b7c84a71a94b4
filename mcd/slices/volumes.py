"""Whole patients of shards, one after the other, for what looks at more than a slice.

Those of preprocessed folders are in `mcd.slices.preprocessed`, which needs an image library.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

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
        for subject in read_split(split).seen if split else shards.subjects:
            images = shards.read(subject, "images", channels=positions).astype(np.float32)
            yield subject, {name: images[:, at] for at, name in enumerate(names)}
