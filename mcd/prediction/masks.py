"""Predictions of test patients: their file (docs/reference/formats.md), and label volumes from them. No torch."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from mcd.errors import McdError
from mcd.hdf5 import new_file, open_file, reading, set_attributes, texts
from mcd.prediction.fusion import THRESHOLD
from mcd.version import UNKNOWN

FORMAT = "mcd-predictions/3"
STEPS = 2**24
"""A stored probability is a multiple of 1/STEPS, rounded half up.

That is the precision of float32 below 1. The mean of two stored probabilities is always on the same side of 0.5 as the mean of
the two that were predicted; with 1/65535 some voxels of the miniature change sides.
"""

_STORED = {"compression": "gzip", "compression_opts": 1, "shuffle": True, "fletcher32": True}


def write_predictions(
    predicted: Iterable[tuple[str, np.ndarray]],
    regions: Mapping[str, Sequence[int]],
    path: str | Path,
    *,
    keep_probabilities: bool = False,
    version: str = UNKNOWN,
    length: Mapping[str, int] | None = None,
) -> None:
    """Write the masks of subjects, and on request their probabilities, one subject at a time.

    Args:
        predicted: each subject with its probabilities (regions, slices, H, W) in 0..1, or boolean masks.
        regions: name -> label codes, in the order of the probabilities. Region r is bit r of a mask's voxel.
        keep_probabilities: for a fusion by their mean.
        version: of the code that predicted, after those of what it predicted with (`mcd.version.lineage`).
        length: of the network's training (`mcd.training.history.LENGTH`), as far as it is known.

    Raises:
        McdError: for more than eight regions.
    """
    if len(regions) > 8:
        raise McdError(f"{path}: {len(regions)} regions, and a prediction holds at most 8; name fewer in `regions`")
    bits = (1 << np.arange(len(regions), dtype=np.uint8)).reshape(-1, 1, 1, 1)
    codes = {name: [int(code) for code in members] for name, members in regions.items()}
    with new_file(path, FORMAT) as file:
        set_attributes(file, regions=json.dumps(codes), mcd_version=version, length=json.dumps(length or {}))
        masks = file.create_group("masks")
        probabilities = file.create_group("probabilities") if keep_probabilities else None
        for subject, found in predicted:
            packed = ((found >= THRESHOLD) * bits).sum(axis=0, dtype=np.uint8)
            masks.create_dataset(subject, data=packed, **_STORED)
            if probabilities is not None:
                probabilities.create_dataset(subject, data=_steps(found), **_STORED)


def predicted_subjects(path: str | Path) -> list[str]:
    """The subjects of a predictions file, sorted."""
    with _opened(path) as file:
        return sorted(file["masks"])


def predicted_regions(path: str | Path) -> dict[str, list[int]]:
    """Region -> label codes, of the network that predicted."""
    with _opened(path) as file:
        return json.loads(texts(file, "regions")[0])


def predicted_version(path: str | Path) -> str:
    """The versions of the code that predictions went through."""
    with _opened(path) as file:
        return texts(file, "mcd_version")[0] if "mcd_version" in file.attrs else UNKNOWN


def predicted_length(path: str | Path) -> dict[str, int]:
    """How long the network that predicted was trained; empty where predictions do not know it."""
    with _opened(path) as file:
        return json.loads(texts(file, "length")[0]) if "length" in file.attrs else {}


def read_predictions(path: str | Path, subject: str) -> dict[str, np.ndarray]:
    """The masks of one subject: region -> (slices, H, W) bool."""
    with _opened(path) as file:
        packed = _dataset(file, path, "masks", subject)
        return {
            name: (packed >> bit & 1).astype(bool) for bit, name in enumerate(json.loads(texts(file, "regions")[0]))
        }


def read_probabilities(path: str | Path, subject: str) -> np.ndarray:
    """The probabilities of one subject, (regions, slices, H, W) float32, to within 2^-25 of what was predicted."""
    with _opened(path) as file:
        if "probabilities" not in file:
            raise McdError(f"{path}: was written without probabilities; delete it to regenerate it")
        return _dataset(file, path, "probabilities", subject).astype(np.float32) / np.float32(STEPS)


def _steps(probabilities: np.ndarray) -> np.ndarray:
    return np.floor(probabilities.astype(np.float64) * STEPS + 0.5).astype(np.uint32)


@contextmanager
def _opened(path: str | Path) -> Iterator[h5py.File]:
    """A predictions file, for reading; `McdError` where it is none, or damaged."""
    with open_file(path, FORMAT, "predictions") as file, reading(path):
        yield file


def _dataset(file: h5py.File, path: str | Path, group: str, subject: str) -> np.ndarray:
    if subject not in file[group]:
        raise McdError(f"{path}: holds no prediction for {subject}; delete it to regenerate it")
    return file[group][subject][:]


def region_codes(regions: Mapping[str, Sequence[int]], masks: Mapping[str, np.ndarray]) -> np.ndarray:
    """One label volume (z, y, x) uint8 from overlapping region masks, in the label's own codes where possible.

    A region is painted with the lowest of its codes that no smaller region inside it has, larger regions first: WT {1, 2, 4},
    TC {1, 4}, ET {4} become 2, 1 and 4, as in a BraTS file. A region without a code of its own gets its position (1, 2, ...).
    """
    order = sorted(regions, key=lambda name: -len(regions[name]))
    out: np.ndarray = np.zeros(next(iter(masks.values())).shape, dtype=np.uint8)
    for name in order:
        smaller = [set(regions[other]) for other in order if set(regions[other]) < set(regions[name])]
        own = sorted(set(regions[name]) - set().union(*smaller))
        out[masks[name]] = own[0] if own else list(regions).index(name) + 1
    return out
