"""Writing volumes. Separate from reading (`mcd.imaging.io`), because who simulates patients needs nothing that reads DICOM."""

import errno
import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mcd.files import atomic_path
from mcd.imaging.geometry import Grid

_NIFTI_OFFSET = 108  # where a NIfTI header says at which byte the voxels begin


def write_volume(image: sitk.Image, path: str | Path) -> None:
    """Write voxels and geometry, atomically and compressed; no header text of the source is carried over.

    ITK reports success where the disk is full, so the file is read back before it gets its name.
    """
    values = sitk.GetArrayViewFromImage(image)
    bare = Grid.of(image).image(values)
    with atomic_path(path, images=True) as temporary:
        sitk.WriteImage(bare, str(temporary), useCompression=True)
        if not _holds(temporary, values):
            raise OSError(errno.EIO, "not read back as it was written")


def _holds(path: Path, values: np.ndarray) -> bool:
    """Whether a file that was just written holds these voxels (z, y, x), to its last byte; NIfTI is read block by block."""
    expected = np.ascontiguousarray(values).data.cast("B")
    try:
        if not path.name.endswith((".nii", ".nii.gz")):
            image = sitk.ReadImage(str(path))
            return np.ascontiguousarray(sitk.GetArrayViewFromImage(image)).data.cast("B") == expected
        with gzip.open(path) if path.name.endswith(".gz") else open(path, "rb") as stream:
            header = stream.read(_NIFTI_OFFSET + 4)
            stream.read(int(struct.unpack_from("<f", header, _NIFTI_OFFSET)[0]) - len(header))
            at = 0
            while block := stream.read(1 << 22):  # to the end: the checksum is there
                if expected[at : at + len(block)] != block:
                    return False
                at += len(block)
            return at == len(expected)
    except (EOFError, RuntimeError, gzip.BadGzipFile, zlib.error, struct.error):  # RuntimeError is ITK's
        return False
