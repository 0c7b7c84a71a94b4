"""NIfTI-1 and -2, one file or a pair, compressed or not: voxels and geometry from one pass over the bytes.

ITK is not used for it: it reads NaN and Inf as 0, fills what a truncated file lacks, takes `pixdim` 0 for 1 mm, and chooses
between two affines by rules of its own.
"""

from collections.abc import Callable
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from mcd.errors import McdError
from mcd.imaging import contents
from mcd.imaging.geometry import corners

# Our choices. Voxels that two affines of one file may lie apart at a corner before it is said, and that an affine may move
# a corner off a grid with right angles before the file is refused.
_LARGEST_DISAGREEMENT = 0.1
_LARGEST_SHEAR = 0.5

_BLOCK = 1 << 22
_LONGEST_TAIL = 1 << 26  # bytes behind the last voxel that are still read, for the checksum behind them
_MILLIMETRES = {
    0: 1.0,
    1: 1000.0,
    2: 1.0,
    3: 0.001,
}  # by the code in `xyzt_units`: unknown, metre, millimetre, micrometre


def read_nifti(path: Path, kind: str, note: Callable[[str], None], channel: int | None = None) -> sitk.Image:
    """Return the image of a NIfTI file, or of a pair by its header's file, with its values scaled as the header says.

    `channel` is which volume of a four-dimensional file, counted from 0.

    The affine is the sform where there is one, else the qform, as in nibabel, FSL and SPM. What the header contradicts goes
    to `note`.

    Raises:
        McdError: for a damaged or truncated file; a header without a place, or whose numbers are not finite; axes that are
            not at right angles.
    """
    import nibabel  # here alone: its import takes longer than most volumes take to read

    alone = kind == contents.NIFTI
    with contents.opened(path) as stream:
        head = _exactly(stream, 540, path, at_least=348)
        of_first = 348 in (int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big"))
        header_class: Any = nibabel.Nifti1Header if of_first else nibabel.Nifti2Header
        header = header_class(head[: header_class.sizeof_hdr], check=False)
        shape, count = _shape(header, path, channel)
        dtype = _dtype(header, path)
        first = max(int(header["vox_offset"]), 0) if alone else 0
        voxel_file = path if alone else _voxels_beside(path)
        expected = first + int(np.prod((*shape, count), dtype=object)) * dtype.itemsize
        _check_plausible(voxel_file, expected)
        if alone:
            buffer = _filled(stream, expected, path, head)
        else:
            with contents.opened(voxel_file) as voxels:
                buffer = _filled(voxels, expected, voxel_file)
    values = np.frombuffer(buffer, dtype, offset=first).reshape((*shape, count), order="F")[..., channel or 0]
    affine = _affine(header, shape, path, note)
    image = sitk.GetImageFromArray(_scaled(values, header, path).T)
    spacing, direction, origin = _right_angled(affine, values.shape, path)
    image.SetSpacing(spacing.tolist())
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin(origin.tolist())
    return image


def _voxels_beside(path: Path) -> Path:
    """The file with the voxels of a pair whose header is `path`."""
    stem, suffixes = path.name, ""
    if stem.lower().endswith(".gz"):
        stem, suffixes = stem[:-3], stem[-3:]
    suffix = ".IMG" if stem[-4:].isupper() else ".img"
    names = [f"{stem[:-4]}{suffix}{end}" for end in dict.fromkeys((suffixes, "", ".gz"))]
    for name in names:
        if (path.parent / name).is_file():
            return path.parent / name
    raise McdError(f"{path}: the header of a pair, and {names[0]} with the voxels is missing; put it beside the header")


def header_of_pair(path: Path) -> Path | None:
    """The header beside the voxels of a pair; None where there is none."""
    name = path.name.lower()
    if not name.endswith((".img", ".img.gz")):
        return None
    for candidate in sorted(path.parent.iterdir()):
        if candidate.name.lower() in (name.replace(".img", ".hdr"), name.replace(".img", ".hdr").removesuffix(".gz")):
            return candidate
    return None


def _exactly(stream: BufferedIOBase, count: int, path: Path, at_least: int) -> bytes:
    try:
        found = stream.read(count)
    except (OSError, *contents.UNPACKING_ERRORS) as error:
        raise contents.damaged(path, error) from None
    if len(found) < at_least:
        raise contents.damaged(path, f"{len(found)} of {at_least} bytes of the header")
    return found


def _check_plausible(path: Path, expected: int) -> None:
    """Refuse a size that a file of this length cannot hold, before memory is allocated for it."""
    size = path.stat().st_size
    most = size * contents.DEFLATE_AT_MOST if contents.is_gzipped(path) else size
    if most < expected:
        raise contents.damaged(
            path, f"{size} of {expected} bytes" if most == size else f"too short for {expected} bytes"
        )


def _filled(stream: BufferedIOBase, expected: int, path: Path, begun: bytes = b"") -> bytearray:
    """Return the first `expected` bytes of a stream of which `begun` was read, having read it to its checksum."""
    buffer = bytearray(expected)
    filled = min(len(begun), expected)
    buffer[:filled] = begun[:filled]
    view = memoryview(buffer)
    try:
        while filled < expected and (count := stream.readinto(view[filled : filled + _BLOCK])):
            filled += count
        tail = 0
        while tail < _LONGEST_TAIL and (block := stream.read(_BLOCK)):
            tail += len(block)
    except (OSError, *contents.UNPACKING_ERRORS) as error:
        raise contents.damaged(path, error) from None
    if filled < expected:
        raise contents.damaged(path, f"{filled} of {expected} bytes")
    if tail >= _LONGEST_TAIL:
        raise McdError(f"{path}: holds far more than the {expected} bytes of its header's volume; convert it again")
    return buffer


def _shape(header: Any, path: Path, channel: int | None) -> tuple[tuple[int, ...], int]:
    """Return the three sides of a header's volume, and how many volumes there are: one, unless a channel is chosen."""
    count = int(header["dim"][0])
    shape = tuple(int(side) for side in header["dim"][1 : count + 1])
    if not 1 <= count <= 7 or min(shape) < 1:
        raise contents.damaged(path, f"its header has the dimensions {[int(side) for side in header['dim']]}")
    volumes = shape[3] if len(shape) > 3 else 1
    if sum(side > 1 for side in shape) < 3 or len(shape) < 3 or shape[2] < 2 or max(shape[4:], default=1) > 1:
        raise McdError(f"{path}: one volume is needed, its size is {shape}; give a file with one")
    if channel is None and volumes > 1:
        raise McdError(
            f"{path}: one volume is needed, its size is {shape}; name one of the {volumes}, the first as {path.name}[0]"
        )
    if channel is not None and channel >= volumes:
        raise contents.no_channel(path, channel, volumes)
    return shape[:3], volumes


def _dtype(header: Any, path: Path) -> np.dtype[Any]:
    from nibabel.spatialimages import HeaderDataError

    try:
        dtype: np.dtype[Any] = header.get_data_dtype()
    except (HeaderDataError, KeyError) as error:
        raise contents.damaged(path, error) from None
    if dtype.kind not in "iuf":
        kind = "complex" if dtype.kind == "c" else f"no numeric (datatype {int(header['datatype'])})"
        raise McdError(f"{path}: {kind} voxels; give a volume with one real number per voxel")
    return dtype


def _scaled(values: np.ndarray, header: Any, path: Path) -> np.ndarray:
    """Return the values in the header's unit, as float32 where it scales them, plane by plane to spare memory."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    native = values.dtype.newbyteorder("=")
    if native.itemsize > 8:
        native = np.dtype(np.float64)
    if slope == 0 or (np.isnan(slope) and np.isnan(intercept)) or (slope, intercept) == (1, 0):  # the standard's "none"
        return values.astype(native, copy=False)
    if not (np.isfinite(slope) and np.isfinite(intercept)):
        raise McdError(
            f"{path}: its header scales values by {slope:g} and adds {intercept:g}; correct scl_slope and scl_inter"
        )
    scaled = np.empty(values.shape, np.float32, order="F")
    for plane in range(values.shape[2]):
        scaled[:, :, plane] = values[:, :, plane] * slope + intercept  # in double precision
    return scaled


def _affine(header: Any, shape: tuple[int, ...], path: Path, note: Callable[[str], None]) -> np.ndarray:
    """Return the (4, 4) affine from voxels to LPS world coordinates in mm."""
    sform = _sform(header, path)
    qform, problem = _qform(header)
    if sform is None and problem:
        raise McdError(f"{path}: {problem}; correct it, or convert the file again")
    affine = sform if sform is not None else qform
    if affine is None:
        raise McdError(
            f"{path}: its header has neither a qform nor an sform, so where it lies and which side is left is unknown; "
            "convert it again, or set one (with nibabel: set_sform)"
        )
    if sform is not None:
        problem = problem or _disagreement(header, sform, qform, shape)
        if problem:
            note(
                f"{path}: {problem}; the sform is taken, as nibabel and SPM do; correct the other one if that is wrong"
            )
    factor = _MILLIMETRES.get(int(header["xyzt_units"]) & 7)
    if factor is None:
        raise McdError(f"{path}: its header has no known unit of length; correct xyzt_units")
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.diag([factor] * 3 + [1.0]) @ affine


def _disagreement(header: Any, sform: np.ndarray, qform: np.ndarray | None, shape: tuple[int, ...]) -> str | None:
    """Say what of a header contradicts its sform."""
    sides = np.linalg.norm(sform[:3, :3], axis=0)
    if qform is not None:
        difference = sform - qform
        apart = np.linalg.norm(corners(shape) @ difference[:3, :3].T + difference[:3, 3], axis=1).max()
        if apart > _LARGEST_DISAGREEMENT * sides.min():
            return f"its qform and its sform disagree (a corner lies {apart:.1f} mm apart)"
        return None
    said = np.abs(np.asarray(header["pixdim"][1:4], dtype=float))
    steps = np.asarray(shape) - 1
    if not np.all(np.abs(said - sides) * steps <= _LARGEST_DISAGREEMENT * sides):
        return f"its pixdim says {_sizes(said)} mm a voxel, its sform {_sizes(sides)}"
    return None


def _sform(header: Any, path: Path) -> np.ndarray | None:
    if int(header["sform_code"]) <= 0:
        return None
    sform = np.eye(4)
    with np.errstate(invalid="ignore"):
        sform[:3] = [np.asarray(header[f"srow_{axis}"], dtype=float) for axis in "xyz"]
    columns = np.linalg.norm(sform[:3, :3], axis=0)
    if not np.isfinite(sform).all() or np.linalg.det(sform[:3, :3] / np.where(columns > 0, columns, 1)) ** 2 < 1e-6:
        raise McdError(
            f"{path}: its sform is not a valid affine (a number that is not finite, or an axis of length 0); correct it"
        )
    return sform


def _qform(header: Any) -> tuple[np.ndarray | None, str | None]:
    """Return the qform (None where there is none or it is damaged), and what is wrong with it."""
    if int(header["qform_code"]) <= 0:
        return None, None
    sides = np.asarray(header["pixdim"][1:4], dtype=float)
    vector = np.asarray([float(header[f"quatern_{axis}"]) for axis in "bcd"])
    offset = np.asarray([float(header[f"qoffset_{axis}"]) for axis in "xyz"])
    if not (np.isfinite(sides).all() and (sides > 0).all()):
        return None, f"its pixdim says voxels of {_sizes(sides)} mm"
    if not (np.isfinite(vector).all() and np.isfinite(offset).all()):
        return None, "its qform has numbers that are not finite"
    rest = 1 - float(vector @ vector)
    if rest < -1e-3:  # more than single precision explains
        return None, "its qform is not a rotation (its quaternion is longer than 1)"
    from nibabel.quaternions import quat2mat

    turn = quat2mat(np.array([np.sqrt(max(rest, 0.0)), *vector]))  # which also takes out the length
    handed = -1.0 if float(header["pixdim"][0]) < 0 else 1.0
    affine = np.eye(4)
    affine[:3, :3] = turn * (sides * [1.0, 1.0, handed])
    affine[:3, 3] = offset
    return affine, None


def _sizes(sides: np.ndarray) -> str:
    return " x ".join(f"{side:.4g}" for side in sides)


def _right_angled(affine: np.ndarray, shape: tuple[int, ...], path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return spacing, direction (3, 3) and origin of the grid with right angles that is nearest to an affine.

    Rounding in other programs skews axes a little; more than `_LARGEST_SHEAR` voxels at a corner is a real shear.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    direction = affine[:3, :3] / spacing
    if np.abs(direction.T @ direction - np.eye(3)).max() < 1e-6:
        return spacing, direction, affine[:3, 3]
    from scipy.linalg import polar

    right, _ = polar(direction)
    half = (np.asarray(shape) - 1) / 2
    moved = np.linalg.norm((corners(shape) - half) @ (affine[:3, :3] - right * spacing).T, axis=1).max()
    if moved > _LARGEST_SHEAR * spacing.min():
        raise McdError(f"{path}: its axes are not at right angles (a corner is {moved:.1f} mm off); resample it first")
    middle = affine[:3, :3] @ half + affine[:3, 3]
    return spacing, right, middle - right * spacing @ half
