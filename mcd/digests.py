"""The digests by which inputs and code are told apart: SHA-256, of everything that an identity is made of."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path


def digest(parts: Iterable[bytes | memoryview]) -> str:
    """Of several pieces of content in order; where one ends and the next begins counts, too."""
    found = hashlib.sha256()
    for part in parts:
        content = memoryview(part).cast("B")
        found.update(len(content).to_bytes(8, "little"))
        found.update(content)
    return found.hexdigest()


def file_digest(path: str | Path) -> str:
    """Of a file's content, as `sha256sum` prints it; of a folder, of the names and contents of the files in it."""
    path = Path(path)
    if path.is_dir():
        return digest(part for file in _files(path) for part in (file.name.encode(), file_digest(file).encode()))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sources_digest(path: str | Path) -> str:
    """Of a module's file, or of all that a package's folder holds, but for what Python made of it."""
    path = Path(path)
    if not path.is_dir():
        return file_digest(path)
    names = sorted(file.relative_to(path) for file in path.rglob("*") if file.is_file())
    sources = [name for name in names if not any(part.startswith((".", "__pycache__")) for part in name.parts)]
    return digest(part for name in sources for part in (name.as_posix().encode(), (path / name).read_bytes()))


def _files(folder: Path) -> Iterator[Path]:
    """The files in a folder in the order of their names; not hidden ones, such as Snakemake's time stamp of it."""
    for file in sorted(folder.iterdir()):
        if file.is_file() and not file.name.startswith("."):
            yield file
