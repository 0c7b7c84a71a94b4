"""Predicted masks: the file that keeps them (docs/formats.md), and label volumes made of them. No torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from mcd.errors import McdError
from mcd.files import atomic_path

FORMAT = "mcd-predictions/1"


def write_predictions(masks: Mapping[str, np.ndarray], regions: Sequence[str], path: str | Path) -> None:
    """Write (regions, slices, H, W) bool masks, one dataset a subject; region r is bit r of a voxel."""
    if len(regions) > 8:
        raise McdError(f"{path}: {len(regions)} regions, and a prediction holds 8; name fewer in `regions`")
    bits = (1 << np.arange(len(regions), dtype=np.uint8)).reshape(-1, 1, 1, 1)
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(format=FORMAT, regions=list(regions))
        for subject, mask in masks.items():
            packed = (mask * bits).sum(axis=0, dtype=np.uint8)
            file.create_dataset(subject, data=packed, compression="gzip", compression_opts=1, fletcher32=True)


def predicted_subjects(path: str | Path) -> list[str]:
    """The subjects of a predictions file, sorted."""
    with h5py.File(path, "r") as file:
        return sorted(file)


def read_predictions(path: str | Path, subject: str) -> dict[str, np.ndarray]:
    """The masks of one subject: region -> (slices, H, W) bool."""
    with h5py.File(path, "r") as file:
        if file.attrs.get("format") != FORMAT:
            raise McdError(f"{path}: not a {FORMAT} file; delete it to have it made again")
        if subject not in file:
            raise McdError(f"{path}: holds no prediction for {subject}")
        packed = file[subject][:]
        return {str(name): (packed >> bit & 1).astype(bool) for bit, name in enumerate(file.attrs["regions"])}


def region_codes(regions: Mapping[str, Sequence[int]], masks: Mapping[str, np.ndarray]) -> np.ndarray:
    """One label volume (z, y, x) uint8 from overlapping region masks, in the label's own codes where that can be.

    A region is painted with those of its codes that no smaller region inside it has, larger regions first: WT {1, 2, 4},
    TC {1, 4}, ET {4} become 2, 1 and 4, as in a BraTS file. Where a region has no code of its own, its place (1, 2, ...) is.
    """
    order = sorted(regions, key=lambda name: -len(regions[name]))
    out: np.ndarray = np.zeros(next(iter(masks.values())).shape, dtype=np.uint8)
    for name in order:
        smaller = [set(regions[other]) for other in order if set(regions[other]) < set(regions[name])]
        own = sorted(set(regions[name]) - set().union(*smaller))
        out[masks[name]] = own[0] if own else list(regions).index(name) + 1
    return out
