"""A cohort's slices as a `torch.utils.data.Dataset`, for somebody's own training loop."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from mcd.errors import McdError
from mcd.slices.batches import Regions, SliceSet
from mcd.slices.shards import Shards


class SliceDataset(Dataset[dict[str, Any]]):
    """The slices of some subjects of a cohort, one after the other; `len` and positions are as in any map-style dataset.

    An item is a dictionary, which the default collation of a `DataLoader` makes batches of:

    - `image`: (modalities, H, W) float32, preprocessed; the background is exactly 0
    - `subject`: the id; `slice`: its number in the subject, from 0, the lowest
    - with `regions`: `target`, (regions, H, W) float32 of 0 and 1, and `known`, (regions,) bool: a label may hold some regions
      only, and where it does not hold one, its target means nothing

    A `DataLoader` may have workers: each process opens the shards for itself.

    Args:
        shards: the cohort's HDF5 files, or the folder that holds them, such as `work/hecktor/shards`.
        subjects: ids, such as `read_split(...).labelled(0.1)`; None for all.
        modalities: the channels of an image; None for all.
        regions: region -> label codes, the channels of a target; None to leave labels unread.
        select: `content` keeps slices that are not black in any of `modalities`, `target` those that hold a region, `all` every
            one.
        memory_limit: bytes up to which all slices are held in memory; beyond it they are read when they are asked for.

    Raises:
        McdError: for a shard that is missing or damaged, a subject or a modality that is not there, a text or nothing in place
            of a list, and where no slice is left.
    """

    def __init__(
        self,
        shards: str | Path | Sequence[str | Path],
        subjects: Sequence[str] | None = None,
        modalities: Sequence[str] | None = None,
        *,
        regions: Regions | None = None,
        select: str = "content",
        memory_limit: float = 8e9,
    ) -> None:
        if select not in ("content", "target", "all") or (select == "target" and regions is None):
            raise McdError(f"select={select!r}: give content, all, or, with regions, target")
        for name, given in {"subjects": subjects, "modalities": modalities, "regions": regions}.items():
            if isinstance(given, str):
                raise McdError(f"{name}={given!r}: is one text; give a list of them, such as [{given!r}]")
            if given is not None and not given:
                raise McdError(f"{name}: is empty; name at least one, or leave it out")
        self._files = _shard_files(shards)
        self._asked = {"regions": regions, "select": select, "memory_limit": memory_limit}
        self._subjects, self._modalities = subjects, modalities
        self._slices = self._opened()

    def _opened(self) -> SliceSet:
        shards = Shards(self._files)
        self._process = os.getpid()
        subjects = list(shards.subjects) if self._subjects is None else self._subjects
        modalities = shards.modalities if self._modalities is None else self._modalities
        return SliceSet(shards, subjects, modalities, **self._asked)  # type: ignore[arg-type]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_slices"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._slices = self._opened()

    @property
    def modalities(self) -> list[str]:
        """The channels of an image."""
        return list(self._slices.modalities)

    @property
    def regions(self) -> list[str]:
        """The channels of a target; none where labels stay unread."""
        return list(self._slices.regions or ())

    def __len__(self) -> int:
        return len(self._slices)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[position] for position in range(len(self)))

    def __getitem__(self, position: int) -> dict[str, Any]:
        if not -len(self) <= position < len(self):
            raise IndexError(position)
        position %= len(self)
        if not self._slices.in_memory and self._process != os.getpid():  # HDF5 files must not be shared by processes
            self._slices = self._opened()
        slices = self._slices
        batch = slices.batch(np.array([position]))
        place = int(slices.subject_of[position])
        item = {
            "image": batch.images[0],
            "subject": slices.subjects[place],
            "slice": int(slices.rows[position]),
        }
        if batch.targets is not None:
            known = batch.known[0] if batch.known is not None else batch.targets.new_ones(len(self.regions)).bool()
            item |= {"target": batch.targets[0], "known": known}
        return item


def _shard_files(shards: str | Path | Sequence[str | Path]) -> list[Path]:
    if not isinstance(shards, str | Path):
        if not shards:
            raise McdError("shards: is empty; give the folder of a cohort's shards, such as work/hecktor/shards")
        return [Path(path) for path in shards]
    folder = Path(shards)
    if not folder.is_dir():
        return [folder]
    files = sorted(folder.glob("*.h5"))
    if not files:
        raise McdError(f"{folder}: no shard (.h5) in it; give the folder of a cohort's, such as work/hecktor/shards")
    return files
