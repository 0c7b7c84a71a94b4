"""Slices as tensors: chosen from the shards, held in memory when they fit, drawn in seeded batches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mcd.digests import digest
from mcd.errors import McdError
from mcd.slices.shards import Shards

Regions = Mapping[str, Sequence[int]]
"""Region name -> label codes that make it up. Regions may overlap."""


@dataclass(frozen=True)
class Batch:
    """One batch on the training device.

    Attributes:
        images: (N, modalities, H, W) float32.
        targets: (N, regions, H, W) float32 of 0 and 1; None where no labels were asked for, NaN in an unlabelled slice.
        subjects: (N,) position of each slice's subject in `SliceSet.subjects`.
        heights: (N,) relative height of each slice in its subject, 0 (lowest) to 1.
        ranges: (N, modalities) distance between the percentiles to which each slice's volume was clipped, in its z-scores: the
            unit in which published strengths of noise and of changes of brightness, for images scaled to 0..1, are meant.
        labelled: (N,) bool, whether `targets` may be used; None unless labelled and unlabelled slices are mixed.
    """

    images: Tensor
    targets: Tensor | None
    subjects: Tensor
    heights: Tensor
    ranges: Tensor
    labelled: Tensor | None = None


class SliceSet:
    """The slices of some subjects in some modalities.

    Args:
        shards: the cohort's shards.
        subjects: ids.
        modalities: channels of a batch's images, in this order.
        regions: channels of a batch's targets; None to leave labels unread.
        select: `content` keeps slices that are not black in any of `modalities` (pre-training), `target` those that hold a
            region (fine-tuning), `all` every one (testing). Paper Sec. V.
        device: where batches end up.
        memory_limit: bytes up to which all slices are held on `device`; beyond it they are read from the shards as
            they are asked for.

    Attributes:
        subject_of, rows: of each slice, the position of its subject in `subjects` and its number in the subject, from 0.
        ranges: (subjects, modalities), see `Batch`.
        has_target: of each slice, whether it is known to hold a region: False wherever labels stay unread.
    """

    def __init__(
        self,
        shards: Shards,
        subjects: Sequence[str],
        modalities: Sequence[str],
        *,
        regions: Regions | None = None,
        select: str = "content",
        device: torch.device | str = "cpu",
        memory_limit: float = 8e9,
    ) -> None:
        self.shards, self.subjects, self.modalities = shards, list(subjects), list(modalities)
        self.regions = dict(regions) if regions is not None else None
        self.device = torch.device(device)
        self._channels = shards.modality_positions(modalities)
        rows = [self._select(name, select) for name in self.subjects]
        self.rows = np.concatenate(rows)
        self.subject_of = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
        lengths = np.array([max(len(shards.subject(name)) - 1, 1) for name in self.subjects])
        self.height_of = self.rows / lengths[self.subject_of]
        statistics = [shards.subject(name).info["statistics"] for name in self.subjects]
        self.ranges = np.array([[_range(own[modality]) for modality in modalities] for own in statistics], np.float32)
        if len(self.rows) == 0:
            raise McdError(no_target(subjects) if select == "target" else _no_slice(subjects, "content"))
        self.has_target = np.zeros(len(self.rows), bool)
        if self.regions is not None:
            targets = [self._target_rows(name) for name in self.subjects]
            self.has_target = np.concatenate([np.isin(own, of) for own, of in zip(rows, targets, strict=True)])
            self._table = torch.zeros(256, len(self.regions), dtype=torch.bool)
            for column, codes in enumerate(self.regions.values()):
                self._table[list(codes), column] = True
            self._table = self._table.to(self.device)
        self._images: Tensor | None = None
        self._labels: Tensor | None = None
        self.size: tuple[int, int] = shards.size
        if len(self) * len(self.modalities) * self.size[0] * self.size[1] * 2 <= memory_limit:
            everything = np.arange(len(self))
            self._images = torch.from_numpy(self._read_images(everything)).to(self.device)
            if self.regions is not None:
                self._labels = torch.from_numpy(self._read_labels(everything)).to(self.device)

    @property
    def in_memory(self) -> bool:
        return self._images is not None

    def __len__(self) -> int:
        return len(self.rows)

    def identity(self) -> dict[str, Any]:
        """Everything that decides a batch, in plain types: the same for the same slices, wherever they lie."""
        datasets = ["images"] if self.regions is None else ["images", "labels"]
        return {
            "subjects": self.subjects,
            "modalities": self.modalities,
            "regions": self.regions,
            "chosen": digest(array.tobytes() for array in (self.subject_of, self.rows, self.height_of)),
            "ranges": digest([self.ranges.tobytes()]),
            "content": {subject: self.shards.digest(subject, datasets) for subject in self.subjects},
        }

    def _select(self, subject: str, select: str) -> np.ndarray:
        count = len(self.shards.subject(subject))
        if select == "content":
            return np.flatnonzero(self.shards.read(subject, "content")[:, self._channels].all(axis=1))
        if select == "target":
            return self._target_rows(subject)
        return np.arange(count)

    def _target_rows(self, subject: str) -> np.ndarray:
        """The subject's slices that hold a region."""
        assert self.regions is not None
        codes = {code for codes in self.regions.values() for code in codes}
        voxels = self.shards.code_voxels(subject)
        held = [voxels[code] for code in codes if code in voxels]
        return np.flatnonzero(sum(held, np.zeros(len(self.shards.subject(subject)), int)))

    def _read(self, indices: np.ndarray, dataset: str, channels: list[int] | None = None) -> np.ndarray:
        """One subject at a time, straight to its place: beside the result, no more than a subject is ever held."""
        out = np.empty(0)
        for position in np.unique(self.subject_of[indices]):
            where = np.flatnonzero(self.subject_of[indices] == position)
            rows, inverse = np.unique(self.rows[indices[where]], return_inverse=True)
            values = self.shards.read(self.subjects[position], dataset, rows)
            values = values if channels is None else values[:, channels]
            if not out.size:
                out = np.empty((len(indices), *values.shape[1:]), dtype=values.dtype)
            out[where] = values[inverse]
        return out

    def _read_images(self, indices: np.ndarray) -> np.ndarray:
        return self._read(indices, "images", self._channels)

    def _read_labels(self, indices: np.ndarray) -> np.ndarray:
        return self._read(indices, "labels")

    def batch(self, indices: np.ndarray) -> Batch:
        """The slices at `indices` (positions in this set, in any order, repeats allowed)."""
        at = torch.from_numpy(np.asarray(indices))
        if self._images is not None:
            images = self._images[at.to(self.device)]
            labels = self._labels[at.to(self.device)] if self._labels is not None else None
        else:
            images = torch.from_numpy(self._read_images(indices)).to(self.device)
            labels = torch.from_numpy(self._read_labels(indices)).to(self.device) if self.regions is not None else None
        targets = None
        if labels is not None:
            targets = self._table[labels.long()].permute(0, 3, 1, 2).float()
        return Batch(
            images=images.float(),
            targets=targets,
            subjects=torch.from_numpy(self.subject_of[indices]).to(self.device),
            heights=torch.from_numpy(self.height_of[indices]).float().to(self.device),
            ranges=torch.from_numpy(self.ranges[self.subject_of[indices]]).to(self.device),
        )


def no_target(subjects: Sequence[str]) -> str:
    """What to say where none of some subjects' slices holds a region."""
    return _no_slice(subjects, "a target")


def _no_slice(subjects: Sequence[str], wanted: str) -> str:
    return f"no slice of {', '.join(subjects[:5])} has {wanted}; look at the QC pictures and the regions"


def _range(statistics: Mapping[str, float]) -> float:
    """From the lower to the upper percentile of a volume, in its z-scores; 0 where all its voxels are equal."""
    return (statistics["p_high"] - statistics["p_low"]) / statistics["sd"] if statistics["sd"] else 0.0


class MixedSlices(SliceSet):
    """Labelled slices, and behind them unlabelled ones, as one set: what a semi-supervised method draws from.

    Positions from 0 are the labelled slices', those from `len(labelled)` the unlabelled ones'. The unlabelled set was made
    without regions, so nothing ever reads its labels; its targets are NaN, so that a loss that uses them shows.

    Args:
        labelled: made with regions.
        unlabelled: of other subjects, in the same modalities, from the same shards, made without regions.
    """

    def __init__(self, labelled: SliceSet, unlabelled: SliceSet) -> None:
        if labelled.regions is None or unlabelled.regions is not None:
            raise ValueError("the labelled slices need regions, and the unlabelled ones must have none")
        twice = set(labelled.subjects) & set(unlabelled.subjects)
        if twice:
            raise ValueError(f"{min(twice)} cannot be labelled and unlabelled at once")
        self.labelled, self.unlabelled = labelled, unlabelled
        self.shards, self.modalities, self.regions = labelled.shards, labelled.modalities, labelled.regions
        self.device, self.size = labelled.device, labelled.size
        self.subjects = labelled.subjects + unlabelled.subjects
        self.subject_of = np.concatenate([labelled.subject_of, unlabelled.subject_of + len(labelled.subjects)])
        self.height_of = np.concatenate([labelled.height_of, unlabelled.height_of])
        self.has_target = np.concatenate([labelled.has_target, unlabelled.has_target])

    @property
    def in_memory(self) -> bool:
        return self.labelled.in_memory and self.unlabelled.in_memory

    def __len__(self) -> int:
        return len(self.labelled) + len(self.unlabelled)

    def identity(self) -> dict[str, Any]:
        return {"labelled": self.labelled.identity(), "unlabelled": self.unlabelled.identity()}

    def batch(self, indices: np.ndarray) -> Batch:
        """The slices at `indices`, the labelled ones first."""
        indices = np.asarray(indices)
        is_labelled = indices < len(self.labelled)
        own = self.labelled.batch(indices[is_labelled])
        other = self.unlabelled.batch(indices[~is_labelled] - len(self.labelled))
        assert own.targets is not None
        unknown = own.targets.new_full((len(other.images), *own.targets.shape[1:]), torch.nan)
        return Batch(
            images=torch.cat([own.images, other.images]),
            targets=torch.cat([own.targets, unknown]),
            subjects=torch.cat([own.subjects, other.subjects + len(self.labelled.subjects)]),
            heights=torch.cat([own.heights, other.heights]),
            ranges=torch.cat([own.ranges, other.ranges]),
            labelled=torch.arange(len(indices), device=self.device) < len(own.images),
        )


class PooledSlices(SliceSet):
    """The slices of several modalities in one pool of one-channel slices, for a method that sees one modality at a time.

    The pool holds each slice of `slices` once per modality: position `modality * len(slices) + slice`.
    """

    def __init__(self, slices: SliceSet) -> None:
        self.slices = slices
        self.shards, self.subjects, self.regions = slices.shards, slices.subjects, slices.regions
        self.modalities, self.device, self.size = slices.modalities, slices.device, slices.size
        self.subject_of = np.tile(slices.subject_of, len(slices.modalities))
        self.height_of = np.tile(slices.height_of, len(slices.modalities))
        self.has_target = np.tile(slices.has_target, len(slices.modalities))

    @property
    def in_memory(self) -> bool:
        return self.slices.in_memory

    def __len__(self) -> int:
        return len(self.slices) * len(self.modalities)

    def identity(self) -> dict[str, Any]:
        return {"pooled": self.slices.identity()}

    def batch(self, indices: np.ndarray) -> Batch:
        """The slices at `indices`, one channel each."""
        channel, position = np.divmod(np.asarray(indices), len(self.slices))
        batch = self.slices.batch(position)
        at = torch.from_numpy(channel).to(self.device)
        rows = torch.arange(len(at), device=self.device)
        return replace(batch, images=batch.images[rows, at].unsqueeze(1), ranges=batch.ranges[rows, at].unsqueeze(1))


def shuffled_batches(count: int, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """One pass over `count` slices in random order, in full batches.

    The incomplete last batch is dropped, since contrastive losses depend on the number of pairs; with fewer slices than
    one batch, that smaller batch is the pass.
    """
    order = rng.permutation(count)
    size = min(batch_size, count)
    for start in range(0, count - size + 1, size):
        yield order[start : start + size]


def spread_batches(
    subject_of: np.ndarray, heights: np.ndarray, batch_size: int, rng: np.random.Generator, gap: float = 0.1
) -> Iterator[np.ndarray]:
    """Like `shuffled_batches`, but two slices of one subject in a batch lie at least `gap` of its height apart.

    Neighbouring slices look the same; as each other's negatives they would teach a contrastive method nonsense. Slices
    that find no place in the current batch wait for a later one; those left in the end are dropped.
    """
    waiting = list(rng.permutation(len(subject_of)))
    size = min(batch_size, len(waiting))
    first = True
    while len(waiting) >= size:
        batch: list[int] = []
        passed: list[int] = []
        taken: dict[int, list[float]] = {}
        for position, index in enumerate(waiting):
            others = taken.setdefault(int(subject_of[index]), [])
            if all(abs(heights[index] - other) >= gap for other in others):
                batch.append(int(index))
                others.append(float(heights[index]))
            else:
                passed.append(index)
            if len(batch) == size:
                passed += waiting[position + 1 :]
                break
        if len(batch) < size and not first:  # what is left are neighbours of one another
            return
        yield np.array(batch)
        first = False
        waiting = passed


def mixed_batches(labelled: int, unlabelled: int, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """One pass over `labelled` slices in halves of batches, each filled up with unlabelled ones: positions in `MixedSlices`.

    The pass is over the labelled slices (as in the two-stream sampler of the mean teacher's published code), shuffled like
    `shuffled_batches`. Unlabelled slices follow one another in a random order; when all have been drawn, in a new one.
    """
    half = batch_size // 2
    if not half:
        raise McdError(f"batch size {batch_size}: labelled and unlabelled slices share a batch, so give at least 2")
    others = chain.from_iterable(rng.permutation(unlabelled) for _ in count())
    for own in shuffled_batches(labelled, half, rng):
        yield np.concatenate([own, labelled + np.fromiter(islice(others, batch_size - half), int)])
