"""Files that are either whole or not there, and the reasons for which a system refuses to write or to read one.

Whole also after a crash of the machine: what gets its final name has reached the disk. What shows or holds patients'
images is for the user alone, unless `MCD_FILE_ACCESS` (the configuration's `file_access`) says otherwise.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mcd.errors import McdError
from mcd.leftovers import sweep, temporary_prefix
from mcd.paths import check_no_pipe

ACCESS = "MCD_FILE_ACCESS"
"""The environment variable that says who may read images: it reaches every process that a job starts."""

MODES = {"private": 0o600, "group": 0o660, "umask": 0o666}
"""Its values; whatever the umask forbids stays forbidden."""

DIGEST = "digest"
"""The key, or the attribute, that holds the digest of everything else in a file."""

_PROBED = 1 << 20  # bytes: a disk that has no room for a writer's next block has none for this either

_OPEN_FILES = {
    errno.EMFILE: "too many open files; raise the limit (`ulimit -n 4096`) and run it again",
    errno.ENFILE: "too many open files on this machine; run it again when other programs have closed theirs",
}
_UNWRITABLE = {
    errno.ENOSPC: "no space left in {folder}; free some, then run it again",
    errno.EDQUOT: "no space left in {folder} (your quota is used up); free some, then run it again",
    errno.EFBIG: "no space left in {folder} (larger than a file may be: `ulimit -f`); raise the limit, then run it again",
    errno.EACCES: "no permission to write in {folder}; change its permissions, or use another folder",
    errno.EPERM: "no permission to write in {folder}; change its permissions, or use another folder",
    errno.EROFS: "{folder} is read-only; use another folder",
    errno.ENOTDIR: "{folder} is not a folder; use another one",
    errno.EEXIST: "{folder} is not a folder; use another one",
    errno.EISDIR: "is a folder; remove it, or use another name",
    errno.ENAMETOOLONG: "the name is too long; use a shorter one",
    errno.ELOOP: "{folder} is a link to itself; correct it",
    errno.EIO: "{folder} does not give back what was written to it; check the disk, then run it again",
    **_OPEN_FILES,
}
_UNREADABLE = {
    errno.ENOENT: "no such file; correct the path",
    errno.EACCES: "no permission to read it; ask its owner for access, or change its permissions",
    errno.EPERM: "no permission to read it; ask its owner for access, or change its permissions",
    errno.EAGAIN: "locked by another program; close that program, or wait for it, and run it again",
    errno.ENOLCK: "its file system gives no locks; set HDF5_USE_FILE_LOCKING=FALSE and run it again",
    errno.EISDIR: "is a folder, and a file is needed; correct the path",
    errno.ENOTDIR: "no such file (a part of the path is not a folder)",
    errno.ELOOP: "is a link to itself; correct it",
    errno.ENAMETOOLONG: "no such file (the name is too long)",
    errno.EIO: "the disk does not give it back (input/output error); check the disk, then run it again",
    errno.ESTALE: "its file system was mounted anew; run it again",
    **_OPEN_FILES,
}
_SAID_IN_WORDS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EIO)
"""What libraries report as text alone, and what can be said of a failed writer without knowing which file it was about."""


@contextmanager
def atomic_path(path: str | Path, *, images: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path` (same suffixes), moved onto `path` when the block ends without an error.

    Nobody ever sees a half-written file: a process killed inside the block, or a machine that crashes after it, leaves
    `path` as it was or whole. A killed one's temporary file is removed by the next writer in the folder.

    Args:
        images: whether the file holds or shows patients' images, which are for the user alone (`access_mode`).

    Raises:
        McdError: where the system does not let it be written: no space, no permission, too many open files.
    """
    path = Path(path)
    mode = access_mode(images=images)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        handle, name = tempfile.mkstemp(prefix=temporary_prefix(), suffix=f"-{path.name[-100:]}", dir=path.parent)
        os.close(handle)
    temporary = Path(name)
    try:
        try:
            yield temporary
        except (OSError, RuntimeError) as error:
            raise _writing_problem(path, error) or error from None
        with explained(path):
            temporary.chmod(mode)
            sync(temporary)
            os.replace(temporary, path)
            sync(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def together(folder: str | Path) -> Iterator[Path]:
    """Yield an empty temporary folder in `folder`, whose files are moved into `folder` when the block ends without an error.

    All of them get there or none does, and those that they replace stay where one cannot be moved. Only a kill amid the moves,
    which take no time, leaves some of them.

    Raises:
        McdError: where the system does not let the folder or a file be made there.
    """
    folder = Path(folder)
    with explained(folder / "files"):
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        temporary = Path(tempfile.mkdtemp(prefix=temporary_prefix(), dir=folder))
    try:
        yield temporary
        _move_all(sorted(temporary.iterdir()), folder, temporary)
    except McdError as error:  # of a file by its name in the temporary folder
        raise McdError(str(error).replace(str(temporary), str(folder))) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move_all(files: Sequence[Path], folder: Path, aside: Path) -> None:
    """Move files into a folder, or none of them: what they replace waits in `aside` until the last one is there."""
    moved: list[tuple[Path, Path | None]] = []
    try:
        for file in files:
            target = folder / file.name
            with explained(target):
                before = aside / f"{file.name}.before" if target.is_file() else None
                if before:
                    os.replace(target, before)
                moved.append((target, before))
                os.replace(file, target)
        sync(folder)
    except BaseException:
        for target, before in reversed(moved):
            if before:
                os.replace(before, target)
            elif target.is_file():
                target.unlink()
        raise


def access_mode(*, images: bool, folder: bool = False) -> int:
    """The permissions of a new file or folder, by what `MCD_FILE_ACCESS` says of images and by the umask."""
    chosen = os.environ.get(ACCESS) or "private"
    if chosen not in MODES:
        raise McdError(f"{ACCESS}: {chosen} is not valid; use one of {', '.join(MODES)}")
    allowed = MODES[chosen] if images else MODES["umask"]
    umask = os.umask(0)
    os.umask(umask)
    return (allowed | ((allowed & 0o444) >> 2 if folder else 0)) & ~umask


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, have reached the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):  # file systems that cannot
            raise
    finally:
        os.close(handle)


def reading_problem(path: str | Path, error: BaseException, what: str = "file") -> McdError | None:
    """Why the system does not let a file be read; None where it does, so that the file itself must be damaged."""
    reason = _UNREADABLE.get(_number(error, _UNREADABLE) or 0)
    return McdError(f"{path}: {reason.replace('no such file', f'no such {what}')}") if reason else None


def _writing_problem(path: Path, error: BaseException) -> McdError | None:
    """Why a writer failed, as far as its error or the disk says it."""
    number = _number(error, _SAID_IN_WORDS)
    if number in (None, errno.EIO):
        number = _refused_room(path.parent) or number
    return _unwritable(path, number)


def _unwritable(path: Path, number: int | None) -> McdError | None:
    reason = _UNWRITABLE.get(number or 0)
    return McdError(f"{path}: {reason.format(folder=path.parent)}") if reason else None


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the system refuses into `McdError`; for what is done to `path` itself and to nothing else."""
    try:
        yield
    except OSError as error:
        raise _unwritable(path, error.errno) or error from None


def _number(error: BaseException, of: Any) -> int | None:
    """The number of a system's error, one of `of`, also where a library has it in its text alone (HDF5, torch)."""
    number: int | None = getattr(error, "errno", None)
    if number in of:
        return number
    return next((number for number in of if os.strerror(number) in str(error)), None)


def _refused_room(folder: Path) -> int | None:
    """The error of a disk that has no room, beside what has been written: some libraries lose it on their way."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_PROBED))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno
    return None


def write_text(path: str | Path, text: str, *, images: bool = False) -> None:
    """Write a text, atomically; `images` as in `atomic_path`."""
    with atomic_path(path, images=images) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: str | Path, content: Any, *, sealed: bool = False) -> None:
    """Write `content` as indented JSON, atomically.

    Args:
        sealed: whether a dictionary gets the `DIGEST` of itself as its last key, so that `read_json` notices damage. Not for
            what people edit by hand.
    """
    if sealed:
        content = {**content, DIGEST: _digest(content)}
    write_text(path, json.dumps(content, indent=2) + "\n")


def read_json(path: str | Path) -> Any:
    """Read JSON, without the digest that `write_json` has put in.

    Raises:
        McdError: naming the file, when it is missing, unreadable, malformed, or differs from its digest.
    """
    check_no_pipe(path)
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise reading_problem(path, error) or error from None
    except (ValueError, RecursionError) as error:  # of JSON, or of UTF-8
        raise McdError(f"{path}: not valid JSON ({error}); correct it, or delete it to regenerate it") from None
    if isinstance(content, dict) and content:
        *others, last = content
        seal = _digest({key: content[key] for key in others})
        if DIGEST in content or content[last] == seal:  # the key may be what is damaged
            if last != DIGEST or content[last] != seal:
                raise McdError(f"{path}: damaged (it differs from its digest); delete it to regenerate it")
            del content[last]
    return content


def _digest(content: Any) -> str:
    """Of what JSON says, however it is laid out."""
    plain = json.loads(json.dumps(content))  # keys are text before they are sorted
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
