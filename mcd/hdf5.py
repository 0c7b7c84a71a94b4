"""HDF5 files in which damage is noticed, wherever it is.

HDF5 has checksums of its own structure, from its format 1.10 on, and of the chunks of a dataset, where the writer asks for
them, which it always should. What is left are the attributes: they are under the file's digest, which is verified when it is
opened.
"""

import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mcd.errors import McdError, first_line
from mcd.files import DIGEST, atomic_path, reading_problem
from mcd.paths import check_no_pipe

_VERSION = ("v110", "v110")


@contextmanager
def new_file(path: str | Path, format: str) -> Iterator[h5py.File]:
    """Yield a file that is written, sealed with its digest and moved onto `path` when the block ends without an error.

    Args:
        format: the attribute by which `open_file` knows it.
    """
    with atomic_path(path, images=True) as temporary, _Disk(temporary, "w+") as disk:
        try:
            with h5py.File(disk, "w", libver=_VERSION) as file:
                yield file
                set_attributes(file, format=format)
                set_attributes(file, **{DIGEST: content_digest(file)})
        finally:
            if disk.error:  # whatever else went wrong comes from it
                raise disk.error


def set_attributes(file: h5py.File, **values: Any) -> None:
    """Set attributes: numbers, texts, or lists of either.

    Texts get a fixed length: HDF5 keeps those of variable length apart, without a checksum, and may look for them for ever
    where that place is damaged.
    """
    for name, value in values.items():
        found = np.asarray(value)
        file.attrs[name] = np.char.encode(found, "utf-8") if found.dtype.kind == "U" else found


def digest_of(file: h5py.File) -> str:
    """What a file says that its digest is."""
    return texts(file, DIGEST)[0]


def texts(file: h5py.File, name: str) -> list[str]:
    """An attribute that is a text, or a list of texts, as a list."""
    return [bytes(value).decode() for value in np.atleast_1d(file.attrs[name])]


class _Disk(io.FileIO):
    """A file for HDF5 to write to, which takes everything and keeps the first error for the end.

    HDF5 cannot close a file that it cannot write: it would print pages about each of its objects, and not always fail.
    """

    error: OSError | None = None

    def write(self, content: Any) -> int:
        left = memoryview(content)
        try:
            while left and not self.error:  # a disk that is nearly full takes a part
                left = left[super().write(left) :]
        except OSError as error:
            self.error = error
        return len(content)

    def truncate(self, size: int | None = None) -> int:
        return 0 if self.error else super().truncate(size)


def open_file(
    path: str | Path, format: str, what: str = "file", *, chunk_cache: int | None = None, known: str | None = None
) -> h5py.File:
    """Open a file of `new_file` for reading.

    Args:
        what: the word for it in messages.
        chunk_cache: bytes of each dataset that HDF5 keeps unpacked; its default is a mebibyte.
        known: the digest that was verified when this process opened the file before; it is compared, not computed again.

    Raises:
        McdError: naming the file, when it is missing, locked, unreadable, of another format or damaged.
    """
    check_no_pipe(path)
    try:
        file = h5py.File(path, "r", rdcc_nbytes=chunk_cache)
    except OSError as error:
        raise reading_problem(path, error, what) or McdError(
            f"{path}: not a readable HDF5 file ({first_line(error)}); delete it to regenerate it"
        ) from None
    try:
        with reading(path):
            found = file.attrs.get("format")
            found = found.decode() if isinstance(found, bytes) else found  # earlier versions wrote it as `str`
            if found != format:
                raise McdError(
                    f"{path}: is {found or 'of no known format'}, and {format} is needed; delete it to regenerate it"
                )
            said = digest_of(file)
            if known not in (None, said):
                raise McdError(f"{path}: was replaced while it was in use; start again")
            if not known and said != content_digest(file):
                raise McdError(f"{path}: damaged (it differs from its digest); delete it to regenerate it")
    except McdError:
        file.close()
        raise
    return file


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn what h5py raises where an open file is damaged, a failed checksum mostly, into `McdError`."""
    try:
        yield
    except (OSError, KeyError, RuntimeError) as error:
        raise reading_problem(path, error) or McdError(
            f"{path}: damaged ({first_line(error)}); delete it to regenerate it"
        ) from None


def content_digest(file: h5py.File) -> str:
    said = {name: np.asarray(value).tolist() for name, value in file.attrs.items() if name != DIGEST}
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=bytes.hex).encode()).hexdigest()
