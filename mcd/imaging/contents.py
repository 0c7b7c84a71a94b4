"""What a file holds, by its first bytes: a name says what somebody meant, and may be wrong."""

import gzip
import re
import stat
from io import BufferedIOBase
from pathlib import Path

from isal import igzip
from isal.igzip_lib import IsalError

from mcd.errors import McdError

NIFTI, PAIR, ANALYZE, NRRD, META, DICOM = "NIfTI", "a NIfTI header", "an Analyze header", "NRRD", "MetaImage", "DICOM"

DEFLATE_AT_MOST = 1040
"""Bytes that one compressed byte can become."""

UnpackingError: type[Exception] = IsalError  # type: ignore[assignment]  # its stub declares an instance
UNPACKING_ERRORS = (EOFError, gzip.BadGzipFile, UnpackingError)
"""What is raised where compressed content is cut off, or is not what its checksum says."""

_HEAD = 1024  # bytes; the longest signature below ends before that
_GZIP = b"\x1f\x8b"
_NIFTI_SIZES = {size.to_bytes(4, order): size for size in (348, 540) for order in ("little", "big")}
_META = re.compile(rb"\s*(ObjectType|NDims|Comment|ObjectSubType|TransformType|ID|Name)\s*=")
_OTHERS = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"II*\0": "a TIFF picture",
    b"MM\0*": "a TIFF picture",
    b"BM": "a bitmap picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"PK\3\4": "a ZIP archive (an .npz, too, is one)",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array without geometry",
    b"\xfd7zXZ": "an xz archive",
    b"BZh": "a bzip2 archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself",
}


def damaged(path: Path, reason: object) -> McdError:
    """The error of a file that is not what it was when it was written."""
    return McdError(f"{path}: not a readable volume ({reason}); copy or download it again")


def no_channel(path: Path, channel: int, count: int) -> McdError:
    """The error of a place in a sheet that names a volume which its file has not."""
    return McdError(
        f"{path}[{channel}]: the file has {count} volume{'s' * (count != 1)}, counted from 0; name one of them"
    )


def is_gzipped(path: Path) -> bool:
    """Whether a file is compressed, whatever its name."""
    with open(path, "rb") as stream:
        return stream.read(2) == _GZIP


def opened(path: Path) -> BufferedIOBase:
    """A file's content, decompressed where it is compressed: a gzip's checksum is verified where the stream ends."""
    return igzip.open(path) if is_gzipped(path) else open(path, "rb")


def held_by(path: Path) -> str:
    """Say what the (decompressed) content of a file is: one of the constants above, or a few words for the user.

    Raises:
        McdError: for what is not a regular file (a pipe would be waited for), or cannot be opened.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise McdError(f"{path}: not a file but a pipe, socket or device; give a file")
        with open(path, "rb") as stream:
            head = stream.read(_HEAD)
        if head.startswith(_GZIP):
            with igzip.open(path) as stream:
                head = stream.read(_HEAD)
    except UNPACKING_ERRORS as error:
        raise damaged(path, error) from None
    except OSError as error:  # no right to read it, a loop of links
        raise McdError(f"{path}: cannot be read ({error.strerror}); correct the path or the rights") from None
    return _named(head)


def _named(head: bytes) -> str:
    if not head:
        return "nothing, it has 0 bytes"
    if size := _NIFTI_SIZES.get(head[:4]):
        if len(head) < size:
            return f"{len(head)} of the {size} bytes of a NIfTI header"
        magic = head[344:347] if size == 348 else head[4:7]
        return {b"n+1": NIFTI, b"n+2": NIFTI, b"ni1": PAIR, b"ni2": PAIR}.get(magic, ANALYZE)
    if head.startswith(b"NRRD"):
        return NRRD
    if head[128:132] == b"DICM" or re.match(rb"\x08\0[\0-\x80]\0", head):  # old files lack the preamble
        return DICOM
    if _META.match(head):
        return META
    for signature, name in _OTHERS.items():
        if head.startswith(signature):
            return name
    if not any(head):
        return "zeros alone"
    text = head.strip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return "a web page, such as a failed download leaves"
    return "text" if not re.search(rb"[^\x09-\x0d\x20-\x7e]", head) else "something unknown"
