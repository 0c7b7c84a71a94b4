"""Writing shards from preprocessed subjects. Apart from the reading, because a training machine needs no image library."""

import json
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np

from mcd.errors import McdError
from mcd.hdf5 import new_file, set_attributes
from mcd.slices.shards import FORMAT


class Volumes(Protocol):
    """What a shard takes of a preprocessed subject; `mcd.imaging.preprocess.Preprocessed` says more of each."""

    @property
    def volumes(self) -> dict[str, np.ndarray]: ...

    @property
    def label(self) -> np.ndarray | None: ...

    @property
    def info(self) -> dict[str, Any]: ...


def write_shard(path: str | Path, folders: Mapping[str, str | Path]) -> None:
    """Write the preprocessed subjects in `folders` (subject -> folder) to one shard, in sorted order.

    Raises:
        McdError: where subjects differ in modalities or slice size.
    """
    from mcd.imaging.preprocess import read_preprocessed

    write_subjects(path, ((subject, read_preprocessed(folders[subject])) for subject in sorted(folders)))


def write_subjects(path: str | Path, subjects: Iterable[tuple[str, Volumes]]) -> None:
    """Write subjects, each with its name, to one shard, in their order and holding one at a time; raises like `write_shard`."""
    rest = iter(subjects)
    name, first = next(rest)
    modalities = list(first.volumes)
    with new_file(path, FORMAT) as file:
        writer = _Writer(file, modalities, next(iter(first.volumes.values())).shape[1:])
        for subject, pre in chain([(name, first)], rest):
            writer.append(subject, pre)
        writer.finish()


class _Writer:
    def __init__(self, file: h5py.File, modalities: list[str], size: tuple[int, int]) -> None:
        self.file, self.modalities, self.size = file, modalities, size
        self.slices = 0
        self.subjects: list[str] = []
        self.infos: list[str] = []
        self.code_counts: list[np.ndarray] = []
        self.content: list[np.ndarray] = []
        self.subject: list[np.ndarray] = []

    def append(self, subject: str, pre: Volumes) -> None:
        volumes = list(pre.volumes.values())
        if list(pre.volumes) != self.modalities or volumes[0].shape[1:] != self.size:
            raise McdError(
                f"{subject}: modalities {list(pre.volumes)} of {volumes[0].shape[1:]} pixels do not fit the shard's "
                f"{self.modalities} of {self.size}; preprocess the whole cohort with one configuration"
            )
        images = np.stack(volumes, axis=1).astype(np.float16)
        self._put("images", images, "float16")
        counts = np.zeros((len(images), 256), dtype=int)
        if pre.label is not None:
            self._put("labels", pre.label, "uint8")
            counts = np.stack([np.bincount(s.ravel(), minlength=256) for s in pre.label])
        self.code_counts.append(counts)
        self.content.append((images != 0).any(axis=(2, 3)))
        self.subject.append(np.full(len(images), len(self.infos), dtype=np.int32))
        self.subjects.append(subject)
        self.infos.append(json.dumps(pre.info))
        self.slices += len(images)

    def _put(self, name: str, values: np.ndarray, dtype: str) -> None:
        """Write a subject's slices behind those of all earlier subjects, of whom some may have none: theirs read as 0."""
        shape = values.shape[1:]
        if name not in self.file:
            # A slice of one modality a chunk: training reads in random order. LZF is quick, and most of a slice is background.
            self.file.create_dataset(
                name,
                (0, *shape),
                dtype,
                maxshape=(None, *shape),
                chunks=(*(1 for _ in shape[:-2]), 1, *self.size),
                compression="lzf",
                fletcher32=True,
            )
        self.file[name].resize(self.slices + len(values), axis=0)
        self.file[name][self.slices :] = values

    def finish(self) -> None:
        self.file.create_dataset("content", data=np.concatenate(self.content), fletcher32=True, chunks=True)
        self.file.create_dataset("subject", data=np.concatenate(self.subject), fletcher32=True, chunks=True)
        codes = np.zeros(0, dtype=int)
        if "labels" in self.file:
            self.file["labels"].resize(self.slices, axis=0)
            counts = np.concatenate(self.code_counts)
            codes = np.flatnonzero(counts.sum(axis=0)[1:]) + 1  # 0 is background
            voxels = counts[:, codes].astype(np.int32)
            self.file.create_dataset("code_voxels", data=voxels, fletcher32=voxels.size > 0)  # nothing has no checksum
        set_attributes(
            self.file,
            modalities=self.modalities,
            subjects=self.subjects,
            label_codes=codes,
            info=self.infos,
        )
