"""Slices as tensors: chosen from the shards, held in memory when they fit, drawn in seeded batches."""

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, combinations, count, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mcd.digests import digest
from mcd.errors import McdError
from mcd.slices.shards import Shards

Regions = Mapping[str, Sequence[int]]
"""Region name -> label codes that make it up. Regions may overlap."""

Pieces = tuple[Tensor, ...]
"""Bytes in the host's memory, each piece for one upload."""

AHEAD = 4
"""Batches that are read ahead. One would do if all took equally long to read; a shard that has to be opened takes longer."""


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
        pair: which two of `SliceSet.modalities`, by position, the images are of; None where they are of all.
        known: (N, regions) bool, which regions the slice's label holds, so that their `targets` may be used; None where every
            labelled slice's holds all.
    """

    images: Tensor
    targets: Tensor | None
    subjects: Tensor
    heights: Tensor
    ranges: Tensor
    labelled: Tensor | None = None
    pair: tuple[int, int] | None = None
    known: Tensor | None = None


class SliceSet:
    """The slices of some subjects in some modalities.

    Args:
        shards: the cohort's shards.
        subjects: ids.
        modalities: channels of a batch's images, in this order.
        regions: channels of a batch's targets; None to leave labels unread.
        select: `content` keeps slices that are not black in any of `modalities` (pre-training), `pairs` those that are not
            black in two of them at least, `target` those that hold a region (fine-tuning), `all` every one (testing). Paper
            Sec. V.
        device: where batches end up.
        memory_limit: bytes up to which all slices are held on `device`; beyond it they are read from the shards as
            they are asked for.

    Attributes:
        subject_of, rows: of each slice, the position of its subject in `subjects` and its number in the subject, from 0.
        ranges: (subjects, modalities), see `Batch`.
        has_target: of each slice, whether it is known to hold a region: False wherever labels stay unread.
        known: (subjects, regions) bool, which regions each subject's label holds; None where all do, or labels stay unread.
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
        targets = [self._target_rows(name) for name in self.subjects] if self.regions is not None else []
        rows = targets if select == "target" else [self._select(name, select) for name in self.subjects]
        self.rows = np.concatenate(rows)
        self.subject_of = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
        lengths = np.array([max(len(shards.subject(name)) - 1, 1) for name in self.subjects])
        self.height_of = self.rows / lengths[self.subject_of]
        statistics = [shards.subject(name).info["statistics"] for name in self.subjects]
        self.ranges = np.array([[_range(own[modality]) for modality in modalities] for own in statistics], np.float32)
        if len(self.rows) == 0:
            raise McdError(no_target(subjects) if select == "target" else _no_slice(subjects, "content"))
        self.has_target = np.zeros(len(self.rows), bool)
        self.known: np.ndarray | None = None
        if self.regions is not None:
            known = np.array(
                [[shards.subject(name).knows(region) for region in self.regions] for name in self.subjects]
            )
            if not known.all():
                self.known = known
                self._known = torch.from_numpy(known).to(self.device)
            self.has_target = np.concatenate([np.isin(own, of) for own, of in zip(rows, targets, strict=True)])
            self._table = torch.zeros(256, len(self.regions), dtype=torch.bool)
            for column, codes in enumerate(self.regions.values()):
                self._table[list(codes), column] = True
            self._table = self._table.to(self.device)
        self._images: Tensor | None = None
        self._labels: Tensor | None = None
        self.size: tuple[int, int] = shards.size
        if len(self) * len(self.modalities) * self.size[0] * self.size[1] * 2 <= memory_limit:
            images = np.empty((len(self), len(self.modalities), *self.size), np.float16)
            labels = np.empty((len(self), *self.size), np.uint8) if self.regions is not None else None
            self._read(np.arange(len(self)), self._all_columns(len(self)), images, labels)
            self._images = torch.from_numpy(images).to(self.device)
            self._labels = torch.from_numpy(labels).to(self.device) if labels is not None else None

    @property
    def in_memory(self) -> bool:
        return self._images is not None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def of_one_batch(self) -> np.ndarray:
        """Positions any of which one batch may hold together."""
        return np.arange(len(self))

    def identity(self) -> dict[str, Any]:
        """Everything that decides a batch, in plain types: the same for the same slices, wherever they lie."""
        datasets = ["images"] if self.regions is None else ["images", "labels"]
        return {
            "subjects": self.subjects,
            "modalities": self.modalities,
            "regions": self.regions,
            "chosen": digest(array.tobytes() for array in (self.subject_of, self.rows, self.height_of)),
            "ranges": digest([self.ranges.tobytes()]),
            "content": {subject: self.shards.digest(subject, datasets, self._channels) for subject in self.subjects},
            **({"known": self.known.tolist()} if self.known is not None else {}),
        }

    def _select(self, subject: str, select: str) -> np.ndarray:
        if select == "all":
            return np.arange(len(self.shards.subject(subject)))
        least = 2 if select == "pairs" else len(self.modalities)
        return np.flatnonzero(self._content(subject).sum(axis=1) >= least)

    def _content(self, subject: str) -> np.ndarray:
        """(slices of the subject, modalities) whether each is anything but black."""
        return self.shards.read(subject, "content")[:, self._channels]

    def _target_rows(self, subject: str) -> np.ndarray:
        """The subject's slices that hold a region which its label knows."""
        assert self.regions is not None
        known = self.shards.subject(subject).knows
        codes = {code for region, codes in self.regions.items() if known(region) for code in codes}
        voxels = self.shards.code_voxels(subject)
        held = [voxels[code] for code in codes if code in voxels]
        return np.flatnonzero(sum(held, np.zeros(len(self.shards.subject(subject)), int)))

    def batch(self, indices: np.ndarray) -> Batch:
        """The slices at `indices` (positions in this set, in any order, repeats allowed)."""
        return self.placed(self.read(indices))

    def batches(self, drawn: Iterable[np.ndarray]) -> Generator[tuple[np.ndarray, Batch], None, None]:
        """Each array of indices with its batch; slices that are not in memory are read ahead, in a thread."""
        if self.in_memory:
            for indices in drawn:
                yield indices, self.batch(indices)
            return
        ahead: deque[tuple[np.ndarray, Future[Pieces]]] = deque()
        reader = ThreadPoolExecutor(1, "reader", _use, (self.device,))
        try:
            for indices in drawn:
                ahead.append((indices, reader.submit(self.read, indices)))
                if len(ahead) > AHEAD:
                    ready, pieces = ahead.popleft()
                    yield ready, self.placed(pieces.result())
            for ready, pieces in ahead:
                yield ready, self.placed(pieces.result())
        finally:
            reader.shutdown(cancel_futures=True)

    def read(self, indices: np.ndarray) -> Pieces:
        """What `placed` makes a batch of, in the host's memory: the part that waits for the disk."""
        return (self._piece(np.asarray(indices), self._all_columns(len(indices))),)

    def placed(self, pieces: Pieces) -> Batch:
        """The batch, on the device, of what `read` returned."""
        return self._placed(pieces[0], len(self.modalities))

    def _all_columns(self, count: int) -> np.ndarray:
        return np.broadcast_to(np.arange(len(self.modalities)), (count, len(self.modalities)))

    def _parts(self, count: int, columns: int) -> list[tuple[torch.dtype, tuple[int, ...]]]:
        """What lies in a piece one after the other, in an order in which each is aligned.

        Subjects, heights, ranges; of slices in memory first where they are, of others the images, and the labels where wanted.
        """
        about = [(torch.int64, (count,)), (torch.float32, (count,)), (torch.float32, (count, columns))]
        if self.in_memory:
            return [(torch.int64, (count, columns)), *about]
        images = (torch.float16, (count, columns, *self.size))
        return [*about, images, *([(torch.uint8, (count, *self.size))] if self.regions is not None else [])]

    def _piece(self, indices: np.ndarray, columns: np.ndarray) -> Tensor:
        """The slices at `indices` (N,), of each the modalities in a row of `columns` (N, C)."""
        parts = self._parts(*columns.shape)
        pinned = self.device.type == "cuda"  # else the upload would wait
        piece = torch.empty(sum(map(_bytes, parts)), dtype=torch.uint8, pin_memory=pinned)
        views = [view.numpy() for view in _views(piece, parts)]
        if self.in_memory:
            views.pop(0)[...] = indices[:, None] * len(self.modalities) + columns
        subjects = self.subject_of[indices]
        for view, values in zip(
            views, (subjects, self.height_of[indices], self.ranges[subjects[:, None], columns]), strict=False
        ):
            view[...] = values
        if not self.in_memory:
            self._read(indices, columns, *views[3:])
        return piece

    def _read(
        self, indices: np.ndarray, columns: np.ndarray, images: np.ndarray, labels: np.ndarray | None = None
    ) -> None:
        """Fill `images` (N, C, H, W) and `labels` (N, H, W) from the shards."""
        for at in np.argsort(self.subject_of[indices], kind="stable"):  # a shard has to be opened once at most
            subject, row = self.subjects[self.subject_of[indices[at]]], self.rows[indices[at]]
            channels = [self._channels[column] for column in columns[at]]
            self.shards.read(subject, "images", [row], channels, images[at : at + 1])
            if labels is not None:
                self.shards.read(subject, "labels", [row], out=labels[at : at + 1])

    def _placed(self, piece: Tensor, columns: int) -> Batch:
        count = len(piece) // sum(map(_bytes, self._parts(1, columns)))
        there = _views(piece.to(self.device, non_blocking=True), self._parts(count, columns))
        labels = None
        if self._images is not None:
            at = there.pop(0)
            images = self._images.flatten(0, 1)[at]
            if self._labels is not None:
                labels = self._labels[at[:, 0] // len(self.modalities)]
        else:
            images = there[3]
            if self.regions is not None:
                labels = there[4]
        targets = self._table[labels.long()].permute(0, 3, 1, 2).float() if labels is not None else None
        subjects, heights, ranges = there[:3]
        known = self._known[subjects] if self.known is not None else None
        return Batch(images.float(), targets, subjects, heights, ranges, known=known)


def _bytes(part: tuple[torch.dtype, tuple[int, ...]]) -> int:
    dtype, shape = part
    return dtype.itemsize * math.prod(shape)


def _views(piece: Tensor, parts: Sequence[tuple[torch.dtype, tuple[int, ...]]]) -> list[Tensor]:
    """The tensors that lie in a piece one after the other."""
    ends = np.cumsum([0, *map(_bytes, parts)]).tolist()
    return [
        piece[start:stop].view(dtype).view(shape)
        for (dtype, shape), start, stop in zip(parts, ends, ends[1:], strict=False)
    ]


def _use(device: torch.device) -> None:
    """Let a new thread allocate pinned memory through its own device, not through the first one."""
    if device.type == "cuda":
        torch.cuda.set_device(device)


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
        self.known = labelled.known

    @property
    def in_memory(self) -> bool:
        return self.labelled.in_memory and self.unlabelled.in_memory

    def __len__(self) -> int:
        return len(self.labelled) + len(self.unlabelled)

    def identity(self) -> dict[str, Any]:
        return {"labelled": self.labelled.identity(), "unlabelled": self.unlabelled.identity()}

    def read(self, indices: np.ndarray) -> Pieces:
        indices = np.asarray(indices)
        is_labelled = indices < len(self.labelled)
        others = indices[~is_labelled] - len(self.labelled)
        return *self.labelled.read(indices[is_labelled]), *self.unlabelled.read(others)

    def placed(self, pieces: Pieces) -> Batch:
        """The slices of what `read` returned, the labelled ones first."""
        own, other = self.labelled.placed(pieces[:1]), self.unlabelled.placed(pieces[1:])
        assert own.targets is not None
        unknown = own.targets.new_full((len(other.images), *own.targets.shape[1:]), torch.nan)
        return Batch(
            images=torch.cat([own.images, other.images]),
            targets=torch.cat([own.targets, unknown]),
            subjects=torch.cat([own.subjects, other.subjects + len(self.labelled.subjects)]),
            heights=torch.cat([own.heights, other.heights]),
            ranges=torch.cat([own.ranges, other.ranges]),
            labelled=torch.arange(len(own.images) + len(other.images), device=self.device) < len(own.images),
            known=torch.cat([own.known, own.known.new_zeros(len(other.images), own.known.shape[1])])
            if own.known is not None
            else None,
        )


class RepeatedSlices(SliceSet):
    """The slices of another set several times over: position `copy * len(slices) + slice`. A subclass says what a copy is."""

    def __init__(self, slices: SliceSet, copies: int) -> None:
        self.slices, self.copies = slices, copies
        self.shards, self.subjects, self.regions = slices.shards, slices.subjects, slices.regions
        self.modalities, self.device, self.size = slices.modalities, slices.device, slices.size
        self.subject_of = np.tile(slices.subject_of, copies)
        self.height_of = np.tile(slices.height_of, copies)
        self.has_target = np.tile(slices.has_target, copies)
        self.known = slices.known

    @property
    def in_memory(self) -> bool:
        return self.slices.in_memory

    def __len__(self) -> int:
        return len(self.slices) * self.copies


class PooledSlices(RepeatedSlices):
    """The slices of several modalities in one pool of one-channel slices, for a method that sees one modality at a time.

    The pool holds each slice of `slices` once per modality.
    """

    def __init__(self, slices: SliceSet) -> None:
        super().__init__(slices, len(slices.modalities))

    def identity(self) -> dict[str, Any]:
        return {"pooled": self.slices.identity()}

    def read(self, indices: np.ndarray) -> Pieces:
        modality, position = np.divmod(np.asarray(indices), len(self.slices))
        return (self.slices._piece(position, modality[:, None]),)

    def placed(self, pieces: Pieces) -> Batch:
        """The slices of what `read` returned, one channel each."""
        return self.slices._placed(pieces[0], 1)


class PairedSlices(RepeatedSlices):
    """The slices of more than two modalities as those of their pairs, for a method that sees a pair in each step.

    Each slice of `slices` stands there once per pair, in its two modalities. A batch has to be of one pair.

    Args:
        slices: chosen as `pairs`.

    Attributes:
        pairs: positions in `modalities`, of those pairs that have slices.
        of_pairs: of each pair, the positions of the slices that are black in neither: what one of them lacks, such as a scan
            that a patient has not, is not drawn.

    Raises:
        McdError: for a modality that shares no slice with another.
    """

    def __init__(self, slices: SliceSet) -> None:
        there = np.concatenate(
            [
                slices._content(subject)[slices.rows[slices.subject_of == position]]
                for position, subject in enumerate(slices.subjects)
            ]
        )
        found = {pair: np.flatnonzero(there[:, pair].all(axis=1)) for pair in combinations(range(there.shape[1]), 2)}
        self.pairs = [pair for pair, own in found.items() if len(own) > 1]  # a batch of one has no negative
        self.of_pairs = [found[pair] + number * len(slices) for number, pair in enumerate(self.pairs)]
        for position, modality in enumerate(slices.modalities):
            if not any(position in pair for pair in self.pairs):
                raise McdError(
                    f"{modality}: no two slices show it together with another modality; leave it out of `modalities`"
                )
        super().__init__(slices, len(self.pairs))

    @property
    def of_one_batch(self) -> np.ndarray:
        return self.of_pairs[0]

    def identity(self) -> dict[str, Any]:
        return {
            "paired": self.slices.identity(),
            "pairs": self.pairs,
            "of_pairs": digest(own.tobytes() for own in self.of_pairs),
        }

    def read(self, indices: np.ndarray) -> Pieces:
        number, position = np.divmod(np.asarray(indices), len(self.slices))
        if len(set(number.tolist())) != 1:
            raise ValueError("a batch is of one pair")
        pair = self.pairs[number[0]]
        return self.slices._piece(position, np.broadcast_to(pair, (len(position), 2))), torch.tensor(pair)

    def placed(self, pieces: Pieces) -> Batch:
        """The slices of what `read` returned, in the two modalities of their pair."""
        first, second = pieces[1].tolist()
        return replace(self.slices._placed(pieces[0], 2), pair=(first, second))


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
    order = rng.permutation(len(subject_of))
    at, waiting = 0, deque[int]()  # what comes next in the order, after those that found no place before
    size = min(batch_size, len(order))
    first = True
    while len(waiting) + len(order) - at >= size:
        batch: list[int] = []
        passed: list[int] = []
        taken: dict[int, list[float]] = {}
        while len(batch) < size and (waiting or at < len(order)):
            if waiting:
                index = waiting.popleft()
            else:
                index, at = int(order[at]), at + 1
            others = taken.setdefault(int(subject_of[index]), [])
            if all(abs(heights[index] - other) >= gap for other in others):
                batch.append(index)
                others.append(float(heights[index]))
            else:
                passed.append(index)
        if len(batch) < size and not first:  # what is left are neighbours of one another
            return
        yield np.array(batch)
        first = False
        waiting.extendleft(reversed(passed))


def pair_batches(
    slices: PairedSlices, one_pass: Callable[[np.ndarray], Iterable[np.ndarray]], rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """One pass over M modalities: batches of one pair each, every pair equally often, in random order.

    It has as many batches as a pass over M / 2 pairs, those of the mean pair: so each modality is seen as often as in a
    training of its pair, and all of them at the cost of those trainings together.

    Args:
        one_pass: batches of some positions, which it draws anew whenever it is called.
    """
    passes = [list(one_pass(own)) for own in slices.of_pairs]
    total = math.floor(len(slices.modalities) / 2 * sum(map(len, passes)) / len(passes) + 0.5)

    def supply(number: int) -> Iterator[np.ndarray]:
        yield from passes[number]
        while True:
            yield from one_pass(slices.of_pairs[number])

    supplies = [supply(number) for number in range(len(passes))]
    deck = chain.from_iterable(rng.permutation(len(passes)) for _ in count())
    for number in islice(deck, max(total, 1)):
        yield next(supplies[number])


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
