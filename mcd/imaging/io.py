"""Volumes from and to disk: NIfTI, NRRD and MetaImage files, and DICOM series folders."""

import errno
import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mcd.errors import McdError
from mcd.files import atomic_path
from mcd.imaging.geometry import Grid

# ITK warns on stderr about every header oddity that it has already dealt with; what matters is checked here.
sitk.ProcessObject.SetGlobalWarningDisplay(False)

_POSITION, _ORIENTATION = "0020|0032", "0020|0037"  # DICOM Image Position (Patient), Image Orientation (Patient)
_NIFTI_OFFSET = 108  # where a NIfTI header says at which byte the voxels begin
_LARGEST_SHEAR = 0.5  # voxels that a NIfTI affine may move a corner off a grid with right angles


def read_volume(path: str | Path) -> sitk.Image:
    """Return the 3D volume of a file, or of a folder that holds exactly one DICOM series.

    DICOM values are rescaled as the header says, slice by slice, and come as float32. PET stays in the header's unit (Bq/ml
    mostly, or SUV) and is not converted: SUV differs by one factor per patient, which the z-score takes out. A fourth
    dimension of one volume is dropped.
    Raises `McdError` for a missing, unreadable or damaged file, for anything but one three-dimensional volume of
    numbers, for values that are not finite (ITK itself reads those of a NIfTI file as 0), and for DICOM slices that
    are missing or unevenly spaced.
    """
    path = Path(path)
    if not path.exists():
        raise McdError(f"{path}: no such file or folder; correct the path")
    image = _read_series(path) if path.is_dir() else _read_file(path)
    while image.GetDimension() > 3 and image.GetSize()[-1] == 1:
        image = image[..., 0]
    if image.GetDimension() != 3 or image.GetSize()[2] < 2:
        raise McdError(
            f"{path}: one volume is needed, its size is {image.GetSize()}; give a file or a DICOM folder with one"
        )
    if image.GetNumberOfComponentsPerPixel() != 1 or "complex" in image.GetPixelIDTypeAsString():
        raise McdError(f"{path}: {image.GetPixelIDTypeAsString()} voxels; give a volume with one real number per voxel")
    values = sitk.GetArrayViewFromImage(image)
    if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise McdError(f"{path}: {count} voxels are not finite numbers; replace them, for example by the background")
    return image


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
            return bool(np.array_equal(sitk.GetArrayViewFromImage(image), values))
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


def _read_file(path: Path) -> sitk.Image:
    nifti = path.name.endswith((".nii", ".nii.gz"))
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        if nifti and "orthonormal" in str(error):
            return _read_sheared_nifti(path)
        reason = str(error).strip().splitlines()[-1].strip()
        raise McdError(
            f"{path}: not a readable volume ({reason}); give NIfTI, NRRD, MetaImage or a folder with one DICOM series"
        ) from None
    if nifti:
        _check_whole(path, image)
    return image


def _check_whole(path: Path, image: sitk.Image) -> None:
    """Raise `McdError` for a damaged NIfTI file, whose missing voxels ITK silently fills with arbitrary values."""
    dimensions = [int(image.GetMetaData(f"dim[{axis}]")) for axis in range(1, int(image.GetMetaData("dim[0]")) + 1)]
    bits = math.prod(dimensions) * int(image.GetMetaData("bitpix"))
    expected = int(float(image.GetMetaData("vox_offset"))) + bits // 8
    found = path.stat().st_size
    if path.name.endswith(".gz"):
        found = 0
        try:
            with gzip.open(path) as stream:  # to the end: the checksum is there
                while block := stream.read(1 << 22):
                    found += len(block)
        except (EOFError, OSError, zlib.error) as error:
            raise McdError(f"{path}: not a readable volume ({error}); copy or download it again") from None
    if found < expected:
        raise McdError(f"{path}: not a readable volume ({found} of {expected} bytes); copy or download it again")


def _read_sheared_nifti(path: Path) -> sitk.Image:
    """Read a NIfTI whose axes are not quite at right angles, which ITK refuses, with the nearest axes that are.

    Rounding in other programs causes this. More than `_LARGEST_SHEAR` voxels at a corner is a real shear: `McdError`.
    """
    import nibabel  # here alone: it takes longer to import than a volume takes to read
    from scipy.linalg import polar

    volume = nibabel.Nifti1Image.from_filename(path)
    try:
        values = np.asanyarray(volume.dataobj).T
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise McdError(f"{path}: not a readable volume ({error}); copy or download it again") from None
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine  # RAS to LPS
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    direction, _ = polar(affine[:3, :3] / spacing)
    half = (np.asarray(volume.shape[:3]) - 1) / 2
    middle = affine[:3, :3] @ half + affine[:3, 3]
    corners = np.asarray([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * half
    moved = np.linalg.norm(corners @ (affine[:3, :3] - direction * spacing).T, axis=1).max()
    if moved > _LARGEST_SHEAR * spacing.min():
        raise McdError(f"{path}: its axes are not at right angles (a corner is {moved:.1f} mm off); resample it first")
    image = sitk.GetImageFromArray(values)
    if image.GetDimension() == 3:
        image.SetSpacing(spacing.tolist())
        image.SetDirection(direction.ravel().tolist())
        image.SetOrigin((middle - direction * spacing @ half).tolist())
    return image


def series_files(folder: str | Path) -> list[str]:
    """Return the files of a folder's one DICOM series in the order in which `read_volume` stacks them."""
    reader = sitk.ImageSeriesReader
    series = [reader.GetGDCMSeriesFileNames(str(folder), name) for name in reader.GetGDCMSeriesIDs(str(folder))]
    if not series:
        raise McdError(f"{folder}: no DICOM series in it; give a folder that holds exactly one")
    if len(series) > 1:  # told apart by file names: a description in the header may hold anything, a person's name too
        choices = ", ".join(sorted(f"{len(files)} slices, {Path(min(files)).name} the first" for files in series))
        raise McdError(f"{folder}: {len(series)} DICOM series in it ({choices}); give each a folder of its own")
    return list(series[0])


def _read_series(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(series_files(folder))
    reader.MetaDataDictionaryArrayUpdateOn()
    reader.SetOutputPixelType(sitk.sitkFloat32)  # the rescale slope may differ from slice to slice
    try:
        image = reader.Execute()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise McdError(f"{folder}: not a readable DICOM series ({reason}); export it again") from None
    _check_slices(reader, folder)
    return image


def _check_slices(reader: sitk.ImageSeriesReader, folder: Path) -> None:
    """Raise `McdError` unless the slices of a series follow one another straight and at one distance."""
    count = len(reader.GetFileNames())
    if not all(reader.HasMetaDataKey(i, key) for i in range(count) for key in (_POSITION, _ORIENTATION)):
        raise McdError(f"{folder}: DICOM slices without position or orientation; export the series again")
    axes = _numbers(reader.GetMetaData(0, _ORIENTATION))
    normal = np.cross(axes[:3], axes[3:])
    steps = np.diff([_numbers(reader.GetMetaData(i, _POSITION)) for i in range(count)], axis=0)
    distances = np.abs(steps @ normal)
    if count > 1 and distances.min() < 1e-3:
        raise McdError(f"{folder}: two slices at one place (a second phase, or a copy); keep one of each")
    if count > 1 and np.ptp(distances) > 0.1 * np.median(distances):
        raise McdError(
            f"{folder}: the slices are {distances.min():.2f} to {distances.max():.2f} mm apart; "
            "add the missing ones or resample the series to even slices"
        )
    whole = steps.sum(axis=0)
    drift = float(np.linalg.norm(whole - (whole @ normal) * normal))
    if drift > 1.0:
        raise McdError(f"{folder}: tilted gantry (the slices drift {drift:.1f} mm sideways); resample the series first")


def _numbers(value: str) -> np.ndarray:
    return np.asarray([float(number) for number in value.split("\\")])
