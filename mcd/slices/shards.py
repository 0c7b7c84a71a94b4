"""The HDF5 shard: all slices of a few subjects, all modalities of a slice together (format in docs/reference/formats.md).

    /images        (S, M, H, W) float16   z-scored intensities, 0 outside the region
    /labels        (S, H, W)    uint8     raw label codes; absent when the cohort has no labels
    /content       (S, M)       bool      whether the modality is anything but black in the slice
    /code_voxels   (S, C)       int32     how many pixels of each label code the slice holds
    /subject       (S,)         int32     position in the attribute `subjects`
    attributes     format, modalities, subjects, label_codes, info (one JSON text a subject: geometry, statistics), digest

The slices of a subject are contiguous and in order of z. Half precision resolves a z-score to a thousandth, which is finer
than the raw integers of most scans; it halves memory and disk. Every chunk carries a Fletcher-32 checksum that HDF5
verifies whenever the chunk is read; `mcd.hdf5` verifies the rest when a shard is opened.
"""

import json
import resource
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mcd.digests import digest
from mcd.errors import McdError
from mcd.hdf5 import open_file, reading, texts

FORMAT = "mcd-shard/2"


@dataclass(frozen=True)
class SubjectSlices:
    """Where one subject lies in the shards: slices `start` to `stop` of `shard`."""

    id: str
    shard: Path
    start: int
    stop: int
    info: dict[str, Any]

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel spacing (z, y, x) in mm."""
        x, y, z = self.info["grid"]["spacing"]
        return z, y, x


class Shards:
    """A cohort's shards, opened for reading: `modalities` (the channels), `size` (height, width), `subjects`.

    Args:
        paths: the shard files.

    Raises:
        McdError: naming a file that is missing, damaged, of another version, or at odds with the others.
    """

    def __init__(self, paths: Sequence[str | Path]) -> None:
        self.modalities: list[str] = []
        self.size: tuple[int, int] = (0, 0)
        self.subjects: dict[str, SubjectSlices] = {}
        self._files: OrderedDict[Path, h5py.File] = OrderedDict()
        try:
            for path in map(Path, paths):
                self._add(path)
        except BaseException:
            self.close()
            raise

    def _add(self, path: Path) -> None:
        """Take up what a shard holds."""
        file = self._open(path)
        with reading(path):
            modalities = texts(file, "modalities")
            size = tuple(file["images"].shape[-2:])
            position = file["subject"][:]
            subjects = list(zip(texts(file, "subjects"), texts(file, "info"), strict=True))
        if self.modalities and (modalities, size) != (self.modalities, self.size):
            raise McdError(
                f"{path}: holds {modalities} of {size} pixels, the other shards {self.modalities} of {self.size}; "
                "make the shards again"
            )
        self.modalities, self.size = modalities, size
        for index, (name, info) in enumerate(subjects):
            start, stop = np.searchsorted(position, [index, index + 1])
            self.subjects[name] = SubjectSlices(name, path, int(start), int(stop), json.loads(info))

    def _open(self, path: Path) -> h5py.File:
        """A shard, opened as needed. Where too many would be open, the one that was asked for longest ago is closed."""
        if path in self._files:
            self._files.move_to_end(path)
            return self._files[path]
        while len(self._files) >= _most_open():
            self._files.popitem(last=False)[1].close()
        self._files[path] = open_file(path, FORMAT, "shard")
        return self._files[path]

    def subject(self, name: str) -> SubjectSlices:
        """Where subject `name` lies; `McdError` when no shard holds it."""
        try:
            return self.subjects[name]
        except KeyError:
            raise McdError(
                f"subject {name}: in the split but in no shard; correct the split file, or delete it to regenerate it"
            ) from None

    def modality_positions(self, modalities: Sequence[str]) -> list[int]:
        """The channel of each modality."""
        missing = [name for name in modalities if name not in self.modalities]
        if missing:
            raise McdError(f"shards: hold {', '.join(self.modalities)}, not {', '.join(missing)}; correct `modalities`")
        return [self.modalities.index(name) for name in modalities]

    def read(self, name: str, dataset: str, rows: np.ndarray | slice | None = None) -> np.ndarray:
        """Rows (default all; increasing when an array) of one subject's part of `dataset`."""
        subject = self.subject(name)
        file = self._open(subject.shard)
        with reading(subject.shard):
            if dataset not in file and dataset in ("labels", "code_voxels"):
                raise McdError(f"{subject.shard}: has no {dataset}; the cohort was given without labels")
            if rows is None:
                return file[dataset][subject.start : subject.stop]
            if isinstance(rows, slice):
                first, last, _ = rows.indices(len(subject))
                return file[dataset][subject.start + first : subject.start + last]
            return file[dataset][subject.start + rows]

    def code_voxels(self, name: str) -> dict[int, np.ndarray]:
        """For each label code of the subject's shard, its pixels in each of the subject's slices."""
        counts = self.read(name, "code_voxels")
        codes = self._open(self.subject(name).shard).attrs["label_codes"]
        return {int(code): counts[:, column] for column, code in enumerate(codes)}

    def digest(self, name: str, datasets: Sequence[str]) -> str:
        """Of a subject's slices in some of `images` and `labels`, as the file stores them: nothing is unpacked for it."""
        subject = self.subject(name)
        file = self._open(subject.shard)
        return digest(
            file[dataset].id.read_direct_chunk((row, *[0] * (file[dataset].ndim - 1)))[1]
            for dataset in datasets
            for row in range(subject.start, subject.stop)
        )

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()

    def __enter__(self) -> "Shards":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _most_open() -> int:
    """Shards at a time: a quarter of the files that this process may have open, since the cohort may have more than all."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(256, max(1, allowed // 4)) if allowed != resource.RLIM_INFINITY else 256
