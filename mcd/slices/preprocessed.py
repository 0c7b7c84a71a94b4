"""Whole preprocessed patients, one after the other: what `mcd.slices.volumes` gives of shards."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mcd.errors import McdError
from mcd.imaging.preprocess import read_preprocessed
from mcd.slices.splits import read_split
from mcd.slices.volumes import Volumes


def preprocessed_volumes(
    folder: str | Path, split: str | Path | None = None, modalities: Sequence[str] | None = None
) -> Iterator[tuple[str, Volumes]]:
    """The patients of a folder with a preprocessed folder each, all or the training patients of `split`."""
    found = sorted(path.parent.name for path in Path(folder).glob("*/info.json"))
    if not found:
        raise McdError(f"{folder}: no preprocessed patient (<id>/info.json) in it; give another folder")
    for subject in read_split(split).seen if split else found:
        volumes = read_preprocessed(Path(folder) / subject).volumes
        missing = [name for name in modalities or () if name not in volumes]
        if missing:
            raise McdError(f"{Path(folder) / subject}: has {', '.join(volumes)}, not {', '.join(missing)}")
        yield subject, {name: volumes[name] for name in modalities or volumes}
