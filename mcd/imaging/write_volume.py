"""Writing volumes. Separate from reading (`mcd.imaging.io`), because who simulates patients needs nothing that reads DICOM."""

import errno
import struct
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from isal import igzip

from mcd.files import atomic_path
from mcd.imaging import contents
from mcd.imaging.geometry import Grid

_NIFTI_OFFSET = 108  # where a NIfTI header says at which byte the voxels begin
_BLOCK = 1 << 22
_LEVEL = 2  # of isal's 0 to 3: about as small as ITK's, which takes seven times as long


def write_volume(image: sitk.Image, path: str | Path) -> None:
    """Write voxels and geometry, atomically and compressed; no header text of the source is carried over.

    ITK reports success where the disk is full, so the file is read back before it gets its name.
    """
    values = sitk.GetArrayViewFromImage(image)
    bare = Grid.of(image).image(values)
    with atomic_path(path, images=True) as temporary:
        if temporary.name.endswith(".nii.gz"):
            _write_compressed(bare, temporary)
        else:
            sitk.WriteImage(bare, str(temporary), useCompression=True)
        if not _holds(temporary, values):
            raise OSError(errno.EIO, "not read back as it was written")


def _write_compressed(image: sitk.Image, path: Path) -> None:
    """Write what ITK writes to a `.nii`, compressed by isal."""
    plain = path.with_name(path.name.removesuffix(".gz"))
    plain.touch(mode=0o600, exist_ok=False)  # ITK would let others read it
    try:
        sitk.WriteImage(image, str(plain))
        with (
            open(plain, "rb") as source,
            open(path, "wb") as target,
            igzip.IGzipFile("", "wb", _LEVEL, target, mtime=0) as packed,  # the same bytes whatever the name and time
        ):
            while block := source.read(_BLOCK):
                packed.write(block)
    finally:
        plain.unlink(missing_ok=True)


def _holds(path: Path, values: np.ndarray) -> bool:
    """Whether a file that was just written holds these voxels (z, y, x), to its last byte; NIfTI is read block by block."""
    expected = np.ascontiguousarray(values).data.cast("B")
    try:
        if not path.name.endswith((".nii", ".nii.gz")):
            image = sitk.ReadImage(str(path))
            return np.ascontiguousarray(sitk.GetArrayViewFromImage(image)).data.cast("B") == expected
        with contents.opened(path) as stream:
            header = stream.read(_NIFTI_OFFSET + 4)
            stream.read(int(struct.unpack_from("<f", header, _NIFTI_OFFSET)[0]) - len(header))
            at = 0
            while block := stream.read(_BLOCK):  # to the end: the checksum is there
                if (
                    bytes(expected[at : at + len(block)]) != block
                ):  # a view compares byte by byte, at ten times the cost
                    return False
                at += len(block)
            return at == len(expected)
    except (RuntimeError, struct.error, *contents.UNPACKING_ERRORS):  # RuntimeError is ITK's
        return False
