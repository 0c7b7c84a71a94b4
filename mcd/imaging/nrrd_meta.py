"""NRRD and MetaImage: read by ITK, after what ITK does not look at was checked in the header."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from isal import isal_zlib

from mcd.errors import McdError, last_line
from mcd.imaging import contents

_LONGEST_HEADER = 1 << 20
_LONGEST_LINE = 1000
_META_DIMENSIONS = ("1", "2", "3", "4", "5")
"""ITK's parser has room for so many numbers in a line; what a header has beyond it overwrites memory."""
_BYTES = {
    "char": 1,
    "short": 2,
    "shortint": 2,
    "int": 4,
    "long": 4,
    "longlong": 8,
    "longlongint": 8,
    "float": 4,
    "double": 8,
    "block": 1,
}
"""Of one value, by its type's name in either format, without sign, blanks and underscores."""


_DECIDING = {
    *("ndims", "dimsize", "elementsize", "elementspacing", "elementtype", "elementnumberofchannels"),
    *("offset", "position", "origin", "transformmatrix", "rotation", "orientation", "headersize"),
    *("compresseddata", "binarydata", "binarydatabyteordermsb", "elementbyteordermsb", "elementdatafile"),
    *("dimension", "sizes", "type", "space", "spacedimension", "spacedirections", "spaceorigin", "spacings"),
    *("encoding", "endian", "datafile", "byteskip", "lineskip"),
}
"""Fields of either format that say what the voxels are, and where: given twice, they contradict each other."""


def read_nrrd_or_meta(path: Path, kind: str) -> sitk.Image:
    """Return the image of an NRRD or MetaImage file, with its voxels in it or beside it.

    Raises:
        McdError: for a damaged, truncated or missing part, and a header that does not give the size of a voxel.
    """
    fields, first = _header(path, kind)
    _check_geometry(fields, path, kind)
    _check_voxels(fields, first, path, kind)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("NrrdImageIO" if kind == contents.NRRD else "MetaImageIO")
    reader.SetFileName(str(path))
    try:
        return reader.Execute()
    except RuntimeError as error:
        raise contents.damaged(path, last_line(error)) from None


def _header(path: Path, kind: str) -> tuple[dict[str, str], int]:
    """Return the fields of a header, their names in lower case without blanks, and where the voxels begin.

    Raises:
        McdError: for a header that ITK could not read without harm, or that says something twice.
    """
    with open(path, "rb") as stream:
        content = stream.read(_LONGEST_HEADER)
    if kind == contents.NRRD:
        end = re.search(rb"\r?\n\r?\n", content)
        text, first = (content[: end.start()], end.end()) if end else (content, len(content))
        separator = ":"
    else:
        end = re.search(rb"^[ \t]*ElementDataFile\s*[=:][^\n]*(\n|$)", content, re.MULTILINE)
        if end is None:
            raise contents.damaged(path, "its header has no ElementDataFile")
        text, first, separator = content[: end.end()], end.end(), "[=:]"
    fields: dict[str, str] = {}
    for line in text.decode("latin-1").splitlines():
        if len(line) > _LONGEST_LINE and kind != contents.NRRD:
            raise contents.damaged(path, f"a line of its header has {len(line)} characters")
        name, *value = re.split(separator, line, maxsplit=1)
        if not value or line.startswith("#") or (kind == contents.NRRD and value[0].startswith("=")):
            continue  # NRRD's `key:=value` is the user's own
        name = name.lower().replace(" ", "")
        if name in fields and name in _DECIDING:
            raise contents.damaged(path, f"its header gives {name} twice")
        fields[name] = value[0].strip()
    if kind != contents.NRRD and fields.get("ndims") not in _META_DIMENSIONS:
        raise contents.damaged(path, f"NDims: {fields.get('ndims', 'missing')}")
    return fields, first


def _check_geometry(fields: Mapping[str, str], path: Path, kind: str) -> None:
    """Refuse a header that leaves out the size of a voxel, for which ITK takes 1 mm."""
    if kind == contents.NRRD:
        given = fields.get("spacedirections", fields.get("spacings", ""))
        needed = "space directions"
    else:
        given = fields.get("elementspacing", fields.get("elementsize", ""))
        needed = "ElementSpacing"
    numbers = re.findall(r"[-+.\w]+", given)
    finite = [
        number for number in numbers if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", number, re.IGNORECASE)
    ]
    others = [number for number in numbers if number not in finite and number.lower() != "none"]
    if not finite or others:
        raise McdError(f"{path}: its header gives no size of a voxel ({needed}: {given or 'missing'}); export it again")
    if kind == contents.NRRD and "space" not in fields:
        raise McdError(f"{path}: its header has no `space`, so which side is left is unknown; export it again")


def _check_voxels(fields: Mapping[str, str], first: int, path: Path, kind: str) -> None:
    """Refuse voxels that are missing, too few, or fail the checksum that compressed ones carry."""
    if kind == contents.NRRD:
        shape, each = fields.get("sizes", ""), _bytes_each(fields.get("type", ""))
        encoding = fields.get("encoding", "raw").lower()
        beside = fields.get("datafile", "")
        compressed = encoding in ("gzip", "gz")
        raw = encoding == "raw"
    else:
        shape, each = fields.get("dimsize", ""), _bytes_each(fields.get("elementtype", ""))
        each *= int(fields.get("elementnumberofchannels", "1") or 1)
        compressed = fields.get("compresseddata", "").lower() == "true"
        beside = fields.get("elementdatafile", "LOCAL")
        beside = "" if beside.upper() == "LOCAL" else beside
        raw = not compressed and fields.get("binarydata", "true").lower() == "true"
    sides = [int(number) for number in re.findall(r"\d+", shape)]
    if not sides or not each:
        raise contents.damaged(path, "its header gives no size or no type of its voxels")
    if beside and (beside.upper().startswith("LIST") or "%" in beside):
        return  # a file a slice: ITK says which one is missing
    place = path.parent / beside if beside else path
    if not place.is_file():
        raise McdError(f"{path}: its voxels are in {beside}, which is missing; put that file beside it")
    start = 0 if beside else first
    expected = int(np.prod(sides, dtype=object)) * each
    found = place.stat().st_size - start
    if raw and found < expected:
        raise contents.damaged(place, f"{found} of {expected} bytes")
    if compressed:
        if found * contents.DEFLATE_AT_MOST < expected:
            raise contents.damaged(place, f"{found} compressed bytes cannot hold {expected}")
        if not {"byteskip", "lineskip"} & fields.keys():
            _check_stream(place, start, expected)


def _bytes_each(name: str) -> int:
    """Return the bytes of a value, by its type's name such as `unsigned short int`, `uint16_t`, `MET_USHORT`; 0 for no type."""
    plain = re.sub(r"^met|[\s_]", "", name.lower())
    plain = re.sub(r"^(unsigned|signed|u)", "", plain)
    if number := re.fullmatch(r"int(8|16|32|64)t?", plain):
        return int(number[1]) // 8
    return _BYTES.get(plain, 0)


def _check_stream(path: Path, start: int, expected: int) -> None:
    """Decompress to the end, where the checksum is; ITK ignores that of MetaImage."""
    inflate = isal_zlib.decompressobj(isal_zlib.MAX_WBITS | 32)  # zlib or gzip, whichever it is
    found = 0
    try:
        with open(path, "rb") as stream:
            stream.seek(start)
            while found <= expected and not inflate.eof and (block := stream.read(1 << 16)):
                found += len(inflate.decompress(block))
    except contents.UnpackingError as error:
        raise contents.damaged(path, error) from None
    if found != expected or not inflate.eof:
        raise contents.damaged(path, f"{found} of {expected} bytes")
