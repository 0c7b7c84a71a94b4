"""The HDF5 shard: all slices of a few subjects, all modalities of a slice together (format in docs/formats.md).

    /images        (S, M, H, W) float16   z-scored intensities, 0 outside the region
    /labels        (S, H, W)    uint8     raw label codes; absent when the cohort has no labels
    /content       (S, M)       bool      whether the modality is anything but black in the slice
    /code_voxels   (S, C)       int32     how many pixels of each label code the slice holds
    /subject       (S,)         int32     position in the attribute `subjects`
    attributes     format, modalities, subjects, label_codes, info (one JSON text a subject: geometry, statistics)

The slices of a subject are contiguous and in order of z. Half precision resolves a z-score to a thousandth, which is finer
than the raw integers of most scans; it halves memory and disk. Every chunk carries a Fletcher-32 checksum that HDF5
verifies whenever the chunk is read.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mcd.errors import McdError
from mcd.files import atomic_path
from mcd.imaging.preprocess import read_preprocessed

FORMAT = "mcd-shard/1"


def write_shard(path: str | Path, folders: Mapping[str, str | Path]) -> None:
    """Write the preprocessed subjects in `folders` (subject -> folder) to one shard, in sorted order.

    Raises:
        McdError: where subjects differ in modalities or slice size, or only some of them have a label.
    """
    subjects = sorted(folders)
    first = read_preprocessed(folders[subjects[0]])
    modalities = list(first.volumes)
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        writer = _Writer(file, modalities, next(iter(first.volumes.values())).shape[1:], first.label is not None)
        for subject in subjects:
            writer.append(subject, folders[subject])
        writer.finish(subjects)


class _Writer:
    def __init__(self, file: h5py.File, modalities: list[str], size: tuple[int, int], labelled: bool) -> None:
        self.file, self.modalities, self.size, self.labelled = file, modalities, size, labelled
        self.infos: list[str] = []
        self.code_counts: list[np.ndarray] = []

        def create(name: str, shape: tuple[int, ...], dtype: str) -> None:
            # One slice a chunk: training reads slices in random order. LZF is quick, and most of a slice is background.
            file.create_dataset(
                name, (0, *shape), dtype, maxshape=(None, *shape), chunks=(1, *shape), compression="lzf", fletcher32=True
            )

        create("images", (len(modalities), *size), "float16")
        if labelled:
            create("labels", size, "uint8")
        self.content: list[np.ndarray] = []
        self.subject: list[np.ndarray] = []

    def append(self, subject: str, folder: str | Path) -> None:
        pre = read_preprocessed(folder)
        volumes = list(pre.volumes.values())
        if list(pre.volumes) != self.modalities or volumes[0].shape[1:] != self.size:
            raise McdError(
                f"{folder}: modalities {list(pre.volumes)} of {volumes[0].shape[1:]} pixels do not fit the shard's "
                f"{self.modalities} of {self.size}; preprocess the whole cohort with one configuration"
            )
        if (pre.label is not None) != self.labelled:
            raise McdError(f"{folder}: some subjects of the cohort have a label and others none; give all or none a label")
        images = np.stack(volumes, axis=1).astype(np.float16)
        self._extend("images", images)
        if pre.label is not None:
            self._extend("labels", pre.label)
            self.code_counts.append(np.stack([np.bincount(s.ravel(), minlength=256) for s in pre.label]))
        self.content.append((images != 0).any(axis=(2, 3)))
        self.subject.append(np.full(len(images), len(self.infos), dtype=np.int32))
        self.infos.append(json.dumps(pre.info))

    def _extend(self, name: str, values: np.ndarray) -> None:
        dataset = self.file[name]
        start = len(dataset)
        dataset.resize(start + len(values), axis=0)
        dataset[start:] = values

    def finish(self, subjects: Sequence[str]) -> None:
        self.file.create_dataset("content", data=np.concatenate(self.content), fletcher32=True, chunks=True)
        self.file.create_dataset("subject", data=np.concatenate(self.subject), fletcher32=True, chunks=True)
        codes = np.zeros(0, dtype=int)
        if self.labelled:
            counts = np.concatenate(self.code_counts)
            codes = np.flatnonzero(counts.sum(axis=0)[1:]) + 1  # 0 is background
            self.file.create_dataset("code_voxels", data=counts[:, codes].astype(np.int32))
        self.file.attrs.update(
            format=FORMAT,
            modalities=self.modalities,
            subjects=list(subjects),
            label_codes=codes,
            info=self.infos,
        )


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
    """A cohort's shards, opened for reading.

    Args:
        paths: the shard files.

    Raises:
        McdError: naming a file that is missing, damaged, of another version, or at odds with the others.
    """

    def __init__(self, paths: Sequence[str | Path]) -> None:
        self.modalities: list[str] = []
        self.subjects: dict[str, SubjectSlices] = {}
        self._files: dict[Path, h5py.File] = {}
        for path in map(Path, paths):
            file = self._open(path)
            modalities = [str(name) for name in file.attrs["modalities"]]
            if self.modalities and modalities != self.modalities:
                raise McdError(f"{path}: holds {modalities}, the other shards {self.modalities}; make the shards again")
            self.modalities = modalities
            position = file["subject"][:]
            for index, (name, info) in enumerate(zip(file.attrs["subjects"], file.attrs["info"], strict=True)):
                start, stop = np.searchsorted(position, [index, index + 1])
                self.subjects[str(name)] = SubjectSlices(str(name), path, int(start), int(stop), json.loads(info))

    def _open(self, path: Path) -> h5py.File:
        if path not in self._files:
            try:
                file = h5py.File(path, "r")
            except FileNotFoundError:
                raise McdError(f"{path}: no such shard") from None
            except OSError as error:
                raise McdError(f"{path}: not a readable HDF5 file ({error}); delete it to have it made again") from None
            if file.attrs.get("format") != FORMAT:
                found = file.attrs.get("format", "an unknown format")
                raise McdError(f"{path}: is {found}, this version reads {FORMAT}; delete it to have it made again")
            self._files[path] = file
        return self._files[path]

    def subject(self, name: str) -> SubjectSlices:
        """Where subject `name` lies; `McdError` when no shard holds it."""
        try:
            return self.subjects[name]
        except KeyError:
            raise McdError(
                f"subject {name} is in the split but in no shard; mend the split file, or delete it to have it made again"
            ) from None

    def modality_positions(self, modalities: Sequence[str]) -> list[int]:
        """The channel of each modality."""
        missing = [name for name in modalities if name not in self.modalities]
        if missing:
            raise McdError(f"the shards hold {', '.join(self.modalities)}, not {', '.join(missing)}; mend `modalities`")
        return [self.modalities.index(name) for name in modalities]

    def read(self, name: str, dataset: str, rows: np.ndarray | slice | None = None) -> np.ndarray:
        """Rows (default all; increasing when an array) of one subject's part of `dataset`."""
        subject = self.subject(name)
        file = self._open(subject.shard)
        if dataset not in file:
            raise McdError(f"{subject.shard}: has no {dataset}; the cohort was given without labels")
        try:
            if rows is None:
                return file[dataset][subject.start : subject.stop]
            if isinstance(rows, slice):
                first, last, _ = rows.indices(len(subject))
                return file[dataset][subject.start + first : subject.start + last]
            return file[dataset][subject.start + rows]
        except OSError as error:  # a failed Fletcher-32 checksum ends here
            raise McdError(f"{subject.shard}: damaged ({error}); delete it to have it made again") from None

    def code_voxels(self, name: str) -> dict[int, np.ndarray]:
        """For each label code of the subject's shard, its pixels in each of the subject's slices."""
        counts = self.read(name, "code_voxels")
        codes = self._open(self.subject(name).shard).attrs["label_codes"]
        return {int(code): counts[:, column] for column, code in enumerate(codes)}

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()

    def __enter__(self) -> "Shards":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
