"""NRRD and MetaImage: what ITK fills in or does not look at is refused."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from mcd.errors import McdError
from mcd.imaging.geometry import Grid, array_of
from mcd.imaging.io import read_volume

GRID = Grid((7, 6, 5), (0.9, 1.1, 3.27), (-12.5, 34.0, -880.0), tuple(sitk.VersorTransform((0, 1, 1), 0.2).GetMatrix()))
VALUES = np.random.default_rng(0).integers(-500, 1500, GRID.shape).astype(np.int16)
NAMES = ["a.nrrd", "a.mha", "a.nhdr", "a.mhd"]


def write(path: Path, compressed: bool = False, dtype: str = "int16") -> None:
    sitk.WriteImage(GRID.image(VALUES.astype(dtype)), str(path), useCompression=compressed)


def changed(path: Path, change: Callable[[str], str]) -> None:
    """Change a header, and leave the voxels behind it as they are."""
    content = path.read_bytes()
    end = re.search(rb"\n\n|ElementDataFile[^\n]*\n", content)
    stop = end.end() if end else len(content)
    path.write_bytes(change(content[:stop].decode("latin-1")).encode("latin-1") + content[stop:])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"]
)
def test_every_type_is_read(tmp_path: Path, name: str, compressed: bool, dtype: str) -> None:
    write(tmp_path / name, compressed, dtype)
    image = read_volume(tmp_path / name)
    np.testing.assert_array_equal(array_of(image), VALUES.astype(dtype))
    for ours, theirs in zip(Grid.of(image).to_json().values(), GRID.to_json().values(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@pytest.mark.parametrize(
    ("dtype", "names"),
    [
        ("int8", ["signed char", "int8", "int8_t"]),
        ("uint8", ["uchar", "unsigned char", "uint8", "uint8_t"]),
        ("int16", ["short", "short int", "signed short", "signed short int", "int16", "int16_t"]),
        ("uint16", ["ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"]),
        ("int32", ["int", "signed int", "int32", "int32_t"]),
        ("uint32", ["uint", "unsigned int", "uint32", "uint32_t"]),
        ("int64", ["longlong", "long long", "long long int", "signed long long", "int64", "int64_t"]),
        ("float32", ["float"]),
        ("float64", ["double"]),
    ],
)
def test_every_name_of_a_type_in_nrrd_is_read(tmp_path: Path, dtype: str, names: list[str]) -> None:
    for name in names:
        write(tmp_path / "a.nrrd", dtype=dtype)
        changed(tmp_path / "a.nrrd", partial(re.sub, r"type: [^\n]*", f"type: {name}"))
        np.testing.assert_array_equal(array_of(read_volume(tmp_path / "a.nrrd")), VALUES.astype(dtype))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str, compressed: bool, kept: float) -> None:
    write(tmp_path / name, compressed)
    voxels = max(tmp_path.iterdir(), key=lambda path: path.stat().st_size if path.name != name else 0)
    content = voxels.read_bytes()
    voxels.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(McdError, match=r"not a readable volume|gives no size"):
        read_volume(tmp_path / name)


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_of_a_compressed_file_is_found(tmp_path: Path, name: str) -> None:
    """ITK ignores the checksum of MetaImage's stream."""
    write(tmp_path / name, compressed=True)
    voxels = max(tmp_path.iterdir(), key=lambda path: path.stat().st_size if path.name != name else 0)
    content = bytearray(voxels.read_bytes())
    for at in np.linspace(len(content) - 220, len(content) - 6, 30).astype(int):
        voxels.write_bytes(bytes(content[:at]) + bytes([content[at] ^ 8]) + bytes(content[at + 1 :]))
        with pytest.raises(McdError, match="not a readable volume"):
            read_volume(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nhdr", "a.mhd"])
def test_missing_voxels_are_named(tmp_path: Path, name: str) -> None:
    write(tmp_path / name)
    (voxels,) = [path for path in tmp_path.iterdir() if path.name != name]
    voxels.unlink()
    with pytest.raises(McdError, match=rf"{name}: its voxels are in {voxels.name}, which is missing"):
        read_volume(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "old", "new", "what"),
    [
        ("a.mha", r"ElementSpacing = .*\n", "", "gives no size of a voxel"),
        ("a.mha", r"ElementSpacing = .*\n", "ElementSpacing = nan 1 1\n", "gives no size of a voxel"),
        ("a.mha", r"ElementSpacing = .*\n", "ElementSpacing = 0 1 1\n", "a.mha: "),
        ("a.mha", r"TransformMatrix = .*\n", "TransformMatrix = 1 0.2 0 0 1 0 0 0 1\n", "not at right angles"),
        ("a.mha", r"DimSize = .*\n", "DimSize = 7 6 50000\n", "of 4200000 bytes"),
        ("a.mha", r"ElementType = .*\n", "ElementType = MET_NONSENSE\n", "no type of its voxels"),
        ("a.nrrd", r"space directions: .*\n", "", "gives no size of a voxel"),
        (
            "a.nrrd",
            r"space directions: .*\n",
            "space directions: (nan,0,0) (0,1,0) (0,0,1)\n",
            "gives no size of a voxel",
        ),
        ("a.nrrd", r"space directions: .*\n", "space directions: (1,0.2,0) (0,1,0) (0,0,1)\n", "not at right angles"),
        ("a.nrrd", r"space directions: .*\n", "space directions: (0,0,0) (0,1,0) (0,0,1)\n", "a.nrrd: "),
        ("a.nrrd", r"space: .*\n", "space dimension: 3\n", "no `space`, so which side is left is unknown"),
        ("a.nrrd", r"sizes: .*\n", "sizes: 7 6 50000\n", "of 4200000 bytes"),
    ],
)
def test_a_header_without_a_place_is_refused(tmp_path: Path, name: str, old: str, new: str, what: str) -> None:
    write(tmp_path / name)
    changed(tmp_path / name, lambda header: re.sub(old, new, header))
    with pytest.raises(McdError, match=what) as caught:
        read_volume(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("NDims = 3", "NDims = 99", "NDims: 99"),
        ("NDims = 3", "NDims = -3", "NDims: -3"),
        ("NDims = 3", "NDims : 3000", "NDims: 3000"),
        ("NDims = 3", "NDims = 3\nNDims = 3000", "gives ndims twice"),
        ("NDims = 3", "Comment = ElementDataFile = a\nNDims = 3000", "NDims: 3000"),
        ("NDims = 3", "Dimensions = 3", "NDims: missing"),
        ("NDims = 3", "NDims = 3\nComment = " + 5000 * "x", "has 5010 characters"),
    ],
)
def test_a_header_that_itk_would_crash_on_is_not_given_to_it(tmp_path: Path, old: str, new: str, what: str) -> None:
    """ITK writes as many numbers as NDims says into a buffer of fixed size: at 99, the process ends without a word."""
    write(tmp_path / "a.mha")
    changed(tmp_path / "a.mha", lambda header: header.replace(old, new))
    with pytest.raises(McdError, match=rf"a\.mha: not a readable volume \(.*{what}") as caught:
        read_volume(tmp_path / "a.mha")
    assert "\n" not in str(caught.value)


def test_comments_may_be_several(tmp_path: Path) -> None:
    write(tmp_path / "a.mha")
    whole = read_volume(tmp_path / "a.mha")
    changed(tmp_path / "a.mha", lambda header: header.replace("NDims = 3", "NDims = 3\nComment = a\nComment = b"))
    assert (sitk.GetArrayFromImage(read_volume(tmp_path / "a.mha")) == sitk.GetArrayFromImage(whole)).all()


def test_nrrd_may_name_a_users_own_key_twice(tmp_path: Path) -> None:
    write(tmp_path / "a.nrrd")
    whole = read_volume(tmp_path / "a.nrrd")
    changed(tmp_path / "a.nrrd", lambda header: header.replace("endian:", "note:=a\nnote:=b\nspace:=mine\nendian:"))
    assert (sitk.GetArrayFromImage(read_volume(tmp_path / "a.nrrd")) == sitk.GetArrayFromImage(whole)).all()
    changed(tmp_path / "a.nrrd", lambda header: header.replace("endian:", "endian: big\nendian:"))
    with pytest.raises(McdError, match="gives endian twice"):
        read_volume(tmp_path / "a.nrrd")


def test_nrrd_in_ras_is_turned(tmp_path: Path) -> None:
    """A writer that counts from the patient's left and back."""
    write(tmp_path / "a.nrrd")
    changed(tmp_path / "a.nrrd", lambda header: header.replace("left-posterior-superior", "right-anterior-superior"))
    image = read_volume(tmp_path / "a.nrrd")
    x, y, z = GRID.origin
    assert image.GetOrigin() == pytest.approx((-x, -y, z))
