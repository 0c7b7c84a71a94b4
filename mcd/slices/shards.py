"""The HDF5 shard: all slices of a few subjects, all modalities of a slice together (format in docs/reference/formats.md).

    /images        (S, M, H, W) float16   z-scored intensities, 0 outside the region
    /labels        (S, H, W)    uint8     raw label codes; 0 in a subject without a label, absent when none has one
    /content       (S, M)       bool      whether the modality is anything but black in the slice
    /code_voxels   (S, C)       int32     how many pixels of each label code the slice holds
    /subject       (S,)         int32     position in the attribute `subjects`
    attributes     format, modalities, subjects, label_codes, info (one JSON text a subject: geometry, statistics), digest

The slices of a subject are contiguous and in order of z. Half precision resolves a z-score to a thousandth, which is finer
than the raw integers of most scans; it halves memory and disk. A chunk is a slice of one modality, since trainings read
slices in random order and one or two modalities of them; it carries a Fletcher-32 checksum that HDF5 verifies whenever it is
read. `mcd.hdf5` verifies the rest when a shard is opened. Earlier versions wrote all modalities of a slice into one chunk; such
shards are read in the same way, and only take longer.
"""

import json
import resource
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mcd.digests import digest
from mcd.errors import McdError
from mcd.hdf5 import digest_of, open_file, reading, texts
from mcd.subject import regions_in

FORMAT = "mcd-shard/2"

_CHUNK_CACHE = 0
"""Bytes of each open dataset that HDF5 keeps unpacked: no slice is read twice in a row, and many shards are open."""


@dataclass(frozen=True)
class SubjectSlices:
    """Where one subject lies in the shards: slices `start` to `stop` of `shard`; and whether it has a label.

    `regions` are those that the label holds; None for all that it is asked for.
    """

    id: str
    shard: Path
    start: int
    stop: int
    position: int
    labelled: bool
    regions: tuple[str, ...] | None
    shards: "Shards" = field(repr=False, compare=False)

    def __len__(self) -> int:
        return self.stop - self.start

    def knows(self, region: str) -> bool:
        """Whether its label says where a region is, and where it is not."""
        return self.labelled and (self.regions is None or region in self.regions)

    @property
    def info(self) -> dict[str, Any]:
        """Its `info.json`, read anew each time: what a cohort's patients say of themselves is not kept in memory."""
        return self.shards.info(self)

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
        self._open: OrderedDict[Path, _OpenShard] = OrderedDict()
        self._digests: dict[Path, str] = {}
        try:
            for path in map(Path, paths):
                self._add(path)
        except BaseException:
            self.close()
            raise

    def _add(self, path: Path) -> None:
        """Take up what a shard holds."""
        shard = self._opened(path)
        with reading(path):
            modalities = texts(shard.file, "modalities")
            size = tuple(shard.dataset("images").shape[-2:])
            position = shard.dataset("subject")[:]
            subjects = texts(shard.file, "subjects")
            labels = [json.loads(info)["label"] for info in texts(shard.file, "info")]
        if self.modalities and (modalities, size) != (self.modalities, self.size):
            raise McdError(
                f"{path}: holds {modalities} of {size} pixels, the other shards {self.modalities} of {self.size}; "
                "make the shards again"
            )
        self.modalities, self.size = modalities, size
        for index, (name, label) in enumerate(zip(subjects, labels, strict=True)):
            start, stop = np.searchsorted(position, [index, index + 1])
            held = regions_in((label or {}).get("regions", ()))
            self.subjects[name] = SubjectSlices(name, path, int(start), int(stop), index, label is not None, held, self)

    def _opened(self, path: Path) -> "_OpenShard":
        """A shard, opened as needed. Where too many would be open, the one that was asked for longest ago is closed."""
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        while len(self._open) >= _most_open():
            self._open.popitem(last=False)[1].file.close()
        file = open_file(path, FORMAT, "shard", chunk_cache=_CHUNK_CACHE, known=self._digests.get(path))
        self._digests[path] = digest_of(file)
        self._open[path] = _OpenShard(file)
        return self._open[path]

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

    def info(self, subject: SubjectSlices) -> dict[str, Any]:
        """What a subject's `info.json` said when the shard was written."""
        with reading(subject.shard):
            found: dict[str, Any] = json.loads(texts(self._opened(subject.shard).file, "info")[subject.position])
        return found

    def read(
        self,
        name: str,
        dataset: str,
        rows: Sequence[int] | np.ndarray | slice = slice(None),
        channels: Sequence[int] | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Some rows (default all, in any order) of one subject's part of `dataset`.

        Args:
            channels: of `images`, the positions of the modalities to read; default all.
            out: where to put them; default a new array.
        """
        subject = self.subject(name)
        shard = self._opened(subject.shard)
        with reading(subject.shard):
            if dataset in ("labels", "code_voxels") and not (subject.labelled and dataset in shard.file):
                raise McdError(
                    f"{subject.shard}: has no {dataset} of {name}; give it a label, or only pre-train with it"
                )
            source = shard.dataset(dataset)
            if isinstance(rows, slice):
                rows = range(len(subject))[rows]
            if out is None:
                one = source.shape[1:] if channels is None else (len(channels), *source.shape[2:])
                out = np.empty((len(rows), *one), source.dtype)
            # Row by row: HDF5 takes forty times as long for a list of rows.
            for into, row in zip(out, rows, strict=True):
                at = subject.start + int(row)
                if channels is None:
                    into[...] = source[at]
                else:
                    for place, channel in zip(into, channels, strict=True):
                        place[...] = source[at, channel]
        return out

    def code_voxels(self, name: str) -> dict[int, np.ndarray]:
        """For each label code of the subject's shard, its pixels in each of the subject's slices."""
        counts = self.read(name, "code_voxels")
        codes = self._opened(self.subject(name).shard).file.attrs["label_codes"]
        return {int(code): counts[:, column] for column, code in enumerate(codes)}

    def digest(self, name: str, datasets: Sequence[str], channels: Sequence[int]) -> str:
        """Of a subject's slices in some of `images` (some channels of it) and `labels`, as the file stores them, packed."""
        subject = self.subject(name)
        shard = self._opened(subject.shard)

        def chunks() -> Iterator[bytes]:
            for dataset in datasets:
                source = shard.dataset(dataset)
                at = [(channel - channel % source.chunks[1], 0, 0) for channel in channels]
                for row in range(subject.start, subject.stop):
                    for rest in dict.fromkeys(at) if dataset == "images" else [(0, 0)]:
                        yield source.id.read_direct_chunk((row, *rest))[1]

        with reading(subject.shard):
            return digest(chunks())

    def close(self) -> None:
        for shard in self._open.values():
            shard.file.close()
        self._open.clear()

    def __enter__(self) -> "Shards":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class _OpenShard:
    """A file, and those of its datasets that were asked for: to open one takes as long as to read a slice."""

    file: h5py.File
    datasets: dict[str, h5py.Dataset] = field(default_factory=dict)

    def dataset(self, name: str) -> h5py.Dataset:
        if name not in self.datasets:
            self.datasets[name] = self.file[name]
        return self.datasets[name]


def _most_open() -> int:
    """Shards at a time: a quarter of the files that this process may have open, since the cohort may have more than all."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(256, max(1, allowed // 4)) if allowed != resource.RLIM_INFINITY else 256
