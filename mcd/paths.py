"""Paths that a user writes: what `~`, `$VARIABLES` and relative ones mean, and whether a file can be read or written there."""

import os
import re
import stat
from pathlib import Path

from mcd.errors import McdError

_VARIABLE = re.compile(r"\$(\w+|\{[^}]*\})")
_CHANNEL = re.compile(r"(.+)\[(\d+)\]")


def expand(path: str, where: str = "configuration", base: Path = Path()) -> Path:
    """Return a path, counted from `base`, with `~` and `$VARIABLES` replaced; one that is there as it is written is taken so.

    Raises:
        McdError: prefixed with `where`, for a variable that is not set.
    """
    plain = base / path
    if plain.exists():
        return plain
    expanded = os.path.expanduser(os.path.expandvars(path))
    if missing := _VARIABLE.search(expanded):
        raise McdError(f"{where}: {path}: the environment variable {missing[0]} is not set; export it first")
    return base / expanded


def file_and_channel(path: str | Path) -> tuple[Path, int | None]:
    """Take the place of a volume apart: `FILE[2]` is the third one of a four-dimensional file, as AFNI has it.

    What is there under the very name is that file or folder, brackets or not.
    """
    named = None if os.path.lexists(path) else _CHANNEL.fullmatch(str(path))
    return (Path(named[1]), int(named[2])) if named else (Path(path), None)


def of_configuration(path: str) -> Path:
    """Return a path of the configuration: a relative one counts from the working folder, else from beside the workflow."""
    expanded = expand(path)
    return expanded if expanded.exists() else Path(__file__).parents[1] / expanded


def check_no_pipe(path: str | Path) -> None:
    """Raise `McdError` for a pipe, a socket or a device: whoever opens one may wait for ever."""
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return  # what is wrong shows when it is opened
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise McdError(f"{path}: a pipe, socket or device, not a file; give a file")


def check_file(path: str | Path) -> Path:
    """Return the path of a regular file that can be opened.

    Raises:
        McdError: where it is missing, a folder, or a pipe, socket or device, which a reader would wait for; without the right
            to read it; for links that lead in a circle.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise McdError(f"{path}: no such file; correct the path") from None
    except OSError as error:
        raise McdError(f"{path}: cannot be opened ({error.strerror}); correct the path or its rights") from None
    check_no_pipe(path)
    if stat.S_ISDIR(mode):
        raise McdError(f"{path}: a folder, not a file; give a file")
    if not os.access(path, os.R_OK):
        raise McdError(f"{path}: no right to read it; ask its owner, or correct its rights")
    return path


def read_text(path: str | Path) -> str:
    """Return a text file in UTF-8, with or without a byte order mark; `McdError` as from `check_file`, too."""
    try:
        return check_file(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise McdError(f"{path}: not a text in UTF-8; save it as UTF-8") from None


def nifti_suffix(path: str | Path, what: str = "") -> str:
    """How the name of a NIfTI file that is to be written ends.

    Raises:
        McdError: for another name; `what` stands before it.
    """
    for suffix in (".nii.gz", ".nii"):
        if str(path).endswith(suffix):
            return suffix
    raise McdError(f"{what}{path}: not a NIfTI file; name one that ends in .nii.gz or .nii")


def is_address(place: str) -> bool:
    """Whether it is somewhere in the net."""
    return place.startswith(("http://", "https://"))


def check_output(path: str | Path, folder: bool = False) -> Path:
    """Return a path after seeing that a file (a folder, if so) can be made there: asked before the work, not after it.

    Raises:
        McdError: where something of another kind is there already, or a folder above cannot be written.
    """
    path = Path(path)
    if path.is_dir() != folder and os.path.lexists(path):
        raise McdError(f"{path}: {'a file' if folder else 'a folder'} is there already; name another")
    above = path if folder else path.parent
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir():
        raise McdError(f"{path}: {above} is not a folder; name another place")
    if not os.access(above, os.W_OK | os.X_OK) or _is_virtual(above):
        raise McdError(f"{path}: nothing can be written in {above}; name another place, or correct its rights")
    return path


def _is_virtual(folder: Path) -> bool:
    """Whether a folder belongs to the kernel, where not even root makes files."""
    return folder.resolve().parts[:2] in ((os.sep, "proc"), (os.sep, "sys"))
