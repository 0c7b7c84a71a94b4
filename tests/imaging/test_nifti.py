"""NIfTI: the voxels and the place that nibabel gives, or an error; never another one in silence."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from mcd.errors import McdError
from mcd.imaging.geometry import array_of
from mcd.imaging.io import read_volume
from mcd.imaging.write_volume import write_volume

SHAPE = (9, 8, 7)
AFFINE = np.asarray([[-0.9, 0, 0, 40], [0, 1.1, 0, -60], [0, 0, 3.25, -30], [0, 0, 0, 1.0]])
RNG = np.random.default_rng(0)


def turned(angle: float = 0.3) -> np.ndarray:
    """An oblique affine."""
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ AFFINE


def saved(
    path: Path, *, values: np.ndarray | None = None, edit: Callable[[Any], None] | None = None, **forms: Any
) -> Path:
    """Write a file with `sform=` and `qform=` (None: code 0), its header changed byte by byte by `edit`."""
    values = RNG.integers(-1000, 2000, SHAPE).astype(np.int16) if values is None else values
    image = nibabel.Nifti1Image(values, AFFINE)
    for name in ("sform", "qform"):
        affine = forms.get(name, AFFINE)
        getattr(image, f"set_{name}")(affine if affine is not None else AFFINE, code=0 if affine is None else 1)
    nibabel.save(image, path)
    if edit:
        content = bytearray(path.read_bytes())
        header = nibabel.Nifti1Header(bytes(content[:348]), check=False)
        edit(header)
        content[:348] = header.structarr.tobytes()
        path.write_bytes(bytes(content))
    return path


def put(field: str, index: int | None, value: float) -> Callable[[Any], None]:
    def edit(header: Any) -> None:
        if index is None:
            header.structarr[field] = value
        else:
            header.structarr[field][index] = value

    return edit


def check_against_nibabel(path: Path, notes: list[str] | None = None) -> None:
    """Every voxel, and the place of every corner."""
    told: list[str] = []
    image = read_volume(path, note=told.append)
    theirs: Any = nibabel.load(path)
    np.testing.assert_allclose(array_of(image), theirs.get_fdata().T, rtol=1e-6, atol=1e-6)
    for voxel in ((0, 0, 0), (SHAPE[0] - 1, 0, SHAPE[2] - 1), (0, SHAPE[1] - 1, 1)):
        place = (np.diag([-1, -1, 1, 1]) @ theirs.affine @ (*voxel, 1))[:3]  # RAS to LPS
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(voxel), place, atol=1e-4)
    assert [any(words in note for note in told) for words in notes or []] == [True] * len(notes or [])
    assert len(told) == len(notes or [])


@pytest.mark.parametrize("forms", [{"qform": None}, {"sform": None}, {}, {"sform": turned(), "qform": turned()}])
@pytest.mark.parametrize("dtype", ["uint8", "<i2", ">i2", "int32", "uint16", "float32", "float64", ">f4"])
def test_voxels_and_places_are_nibabels(tmp_path: Path, forms: dict[str, Any], dtype: str) -> None:
    values = RNG.integers(0, 200, SHAPE).astype(dtype)
    check_against_nibabel(saved(tmp_path / "a.nii", values=values, **forms))


@pytest.mark.parametrize("make", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII", "A.NII.GZ"])
def test_every_name_and_version(tmp_path: Path, make: Any, name: str) -> None:
    content = make(RNG.integers(0, 99, SHAPE).astype(np.int16), turned()).to_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.lower().endswith("gz") else content)
    check_against_nibabel(tmp_path / name)


def test_a_name_that_says_wrongly_whether_it_is_compressed(tmp_path: Path) -> None:
    content = nibabel.Nifti1Image(RNG.integers(0, 99, SHAPE).astype(np.int16), AFFINE).to_bytes()
    (tmp_path / "plain.nii").write_bytes(content)
    (tmp_path / "not.nii.gz").write_bytes(content)
    (tmp_path / "is.nii").write_bytes(gzip.compress(content))
    expected = array_of(read_volume(tmp_path / "plain.nii"))
    for name in ("not.nii.gz", "is.nii"):
        np.testing.assert_array_equal(array_of(read_volume(tmp_path / name)), expected)


@pytest.mark.parametrize("make", [nibabel.Nifti1Pair, nibabel.Nifti2Pair])
@pytest.mark.parametrize("end", ["", ".gz"])
def test_a_pair_is_read_from_either_file(tmp_path: Path, make: Any, end: str) -> None:
    values = RNG.integers(0, 99, SHAPE).astype(np.int16)
    nibabel.save(make(values, turned()), tmp_path / f"a.img{end}")
    for name in (f"a.img{end}", f"a.hdr{end}"):
        np.testing.assert_array_equal(array_of(read_volume(tmp_path / name)), values.T)
    (tmp_path / f"a.img{end}").unlink()
    with pytest.raises(McdError, match=r"a\.hdr.*a\.img.* with the voxels is missing"):
        read_volume(tmp_path / f"a.hdr{end}")


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
def test_values_that_are_not_finite_are_seen_in_every_format(tmp_path: Path, number: float, name: str) -> None:
    values = RNG.normal(size=SHAPE).astype(np.float32)
    image = read_volume(saved(tmp_path / "whole.nii", values=values))
    values[2, 3, 4] = number
    if name.endswith((".nii", ".nii.gz")):
        saved(tmp_path / name, values=values)
    else:
        image[2, 3, 4] = number
        write_volume(image, tmp_path / name)
    with pytest.raises(McdError, match=r"1 voxels are not finite numbers; .*not_finite: outside"):
        read_volume(tmp_path / name)
    kept = array_of(read_volume(tmp_path / name, not_finite="outside"))
    assert np.argwhere(np.isnan(kept)).tolist() == [[4, 3, 2]]
    assert np.isfinite(kept).sum() == kept.size - 1


@pytest.mark.parametrize(
    ("edit", "slope", "intercept"),
    [
        (lambda header: header.set_slope_inter(2.5, -1024), 2.5, -1024),
        (lambda header: header.set_slope_inter(1, 0), 1, 0),
        (put("scl_slope", None, 0.0), 1, 0),
    ],
)
def test_values_are_scaled(tmp_path: Path, edit: Callable[[Any], None], slope: float, intercept: float) -> None:
    values = RNG.integers(0, 99, SHAPE).astype(np.int16)
    path = saved(tmp_path / "a.nii", values=values, edit=edit)
    np.testing.assert_allclose(array_of(read_volume(path)), (values * slope + intercept).T)


@pytest.mark.parametrize(
    ("forms", "edit", "note"),
    [
        ({"sform": turned(0.05)}, None, "qform and its sform disagree"),
        ({"sform": AFFINE @ np.diag([1, 1, 1.1, 1])}, None, "qform and its sform disagree"),
        ({"qform": None}, put("pixdim", 3, 1.0), "pixdim says 0.9 x 1.1 x 1 mm a voxel, its sform 0.9 x 1.1 x 3.25"),
        ({"qform": None}, put("pixdim", 1, 0.0), "pixdim says"),
        ({"qform": None}, put("pixdim", 2, np.nan), "pixdim says"),
        ({}, put("pixdim", 2, np.inf), "pixdim says voxels of"),
        ({}, put("quatern_b", None, np.nan), "qform has numbers that are not finite"),
        ({}, put("quatern_b", None, 7.0), "not a rotation"),
        ({}, put("qoffset_x", None, 1000.0), "disagree (a corner lies"),
        ({}, put("qoffset_x", None, 40.2), "disagree (a corner lies"),  # a fifth of the smallest side
    ],
)
def test_what_contradicts_the_sform_is_said(
    tmp_path: Path, forms: dict[str, Any], edit: Callable[[Any], None] | None, note: str
) -> None:
    path = saved(tmp_path / "a.nii", edit=edit, **forms)
    told: list[str] = []
    image = read_volume(path, note=told.append)
    assert len(told) == 1
    assert note in told[0]
    assert "the sform is taken" in told[0]
    sform = forms.get("sform", AFFINE)
    for voxel in ((0, 0, 0), (8, 0, 6), (0, 7, 1)):
        place = (np.diag([-1, -1, 1, 1]) @ sform @ (*voxel, 1))[:3]
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(voxel), place, atol=1e-4)


def test_rounding_is_no_contradiction(tmp_path: Path) -> None:
    told: list[str] = []
    read_volume(saved(tmp_path / "a.nii", sform=turned(0.001), qform=turned(0.0011)), note=told.append)
    assert told == []


@pytest.mark.parametrize(
    ("forms", "edit", "what"),
    [
        ({"sform": None, "qform": None}, None, "neither a qform nor an sform"),
        ({"sform": None}, put("pixdim", 1, 0.0), r"pixdim says voxels of 0 x 1\.1 x 3\.25 mm"),
        ({"sform": None}, put("pixdim", 1, -0.9), "pixdim says voxels"),
        ({"sform": None}, put("pixdim", 3, np.nan), "pixdim says voxels"),
        ({"sform": None}, put("pixdim", 3, np.inf), "pixdim says voxels"),
        ({"sform": None}, put("quatern_c", None, np.nan), "not finite"),
        ({"sform": None}, put("quatern_c", None, 3.0), "not a rotation"),
        ({"sform": None}, put("qoffset_z", None, np.inf), "not finite"),
        ({"sform": np.diag([0.0, 1, 1, 1])}, None, "sform is not a valid affine"),
        ({}, put("srow_x", 0, np.nan), "sform is not a valid affine"),
        ({"sform": AFFINE + np.eye(4, k=1) * [0, 0.4, 0, 0]}, None, "axes are not at right angles"),
        ({}, put("xyzt_units", None, 5), "no known unit of length"),
        ({}, put("dim", 1, -3), "dimensions"),
        ({}, put("dim", 0, 8), "dimensions"),
        ({}, put("dim", 0, 9), "dimensions"),
        ({}, put("dim", 3, 30000), "of .* bytes"),
        ({}, put("datatype", None, 1), "no numeric .datatype 1. voxels"),
        ({}, put("datatype", None, 999), "not a readable volume"),
        ({}, put("scl_slope", None, np.inf), "scales values by inf"),
    ],
)
def test_what_has_no_place_or_no_size_is_refused(
    tmp_path: Path, forms: dict[str, Any], edit: Callable[[Any], None] | None, what: str
) -> None:
    path = saved(tmp_path / "a.nii", edit=edit, **forms)
    with pytest.raises(McdError, match=rf"a\.nii: .*{what}") as caught:
        read_volume(path)
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value)


@pytest.mark.parametrize(("code", "factor"), [(0, 1), (1, 1000), (2, 1), (3, 0.001)])
def test_lengths_are_brought_to_millimetres(tmp_path: Path, code: int, factor: float) -> None:
    path = saved(tmp_path / "a.nii", edit=put("xyzt_units", None, code))
    assert read_volume(path).GetSpacing() == pytest.approx((0.9 * factor, 1.1 * factor, 3.25 * factor))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("tail", [0, 7, 5000])
def test_a_volume_of_two_small_slices_is_read_whatever_lies_behind_it(tmp_path: Path, name: str, tail: int) -> None:
    values = RNG.integers(0, 9, (3, 2, 2)).astype(np.uint8)  # it ends before what is read of a longer file's header
    content = nibabel.Nifti1Image(values, AFFINE).to_bytes() + b"\1" * tail
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    np.testing.assert_array_equal(array_of(read_volume(tmp_path / name)), values.T)


@pytest.mark.parametrize("lacking", [1, 200])
def test_an_undamaged_gzip_of_a_truncated_file_is_refused(tmp_path: Path, lacking: int) -> None:
    content = saved(tmp_path / "a.nii").read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(gzip.compress(content[:-lacking]))
    with pytest.raises(McdError, match=rf"cut\.nii\.gz: .*{len(content) - lacking} of {len(content)} bytes"):
        read_volume(tmp_path / "cut.nii.gz")


@pytest.mark.parametrize("kept", [0, 1, 100, 348, 500, -1])
@pytest.mark.parametrize("name", ["A.NII", "a.nii.gz", "A.NII.GZ", "a.hdr"])
def test_a_truncated_file_is_refused(tmp_path: Path, kept: int, name: str) -> None:
    values = RNG.integers(0, 99, SHAPE).astype(np.int16)
    if name == "a.hdr":
        nibabel.save(nibabel.Nifti1Pair(values, AFFINE), tmp_path / "a.img")
        cut = tmp_path / "a.img"
    else:
        content = nibabel.Nifti1Image(values, AFFINE).to_bytes()
        cut = tmp_path / name
        cut.write_bytes(gzip.compress(content) if name.lower().endswith("gz") else content)
    cut.write_bytes(cut.read_bytes()[:kept])
    with pytest.raises(McdError, match="not a readable volume") as caught:
        read_volume(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"\xff\xd8\xff\xe0", "a JPEG picture"),
        (b"PK\3\4abc", "a ZIP archive"),
        (b"%PDF-1.4", "a PDF document"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"subject\tCT\n", "text"),
        (b"\0" * 2000, "zeros alone"),
        (b"", "nothing, it has 0 bytes"),
        (gzip.compress(b"\x89PNG\r\n\x1a\n", mtime=0), "a PNG picture"),
    ],
)
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha", "a.dcm"])
def test_another_kind_of_file_is_named(tmp_path: Path, content: bytes, what: str, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(McdError, match=rf"not a readable volume \(it holds {what}"):
        read_volume(tmp_path / name)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """A header that claims terabytes, and one volume with much more behind it."""
    claims = nibabel.Nifti1Image(np.zeros(SHAPE, np.int16), AFFINE)
    content = bytearray(claims.to_bytes())
    header = nibabel.Nifti1Header(bytes(content[:348]), check=False)
    header.structarr["dim"][1:4] = 10000
    (tmp_path / "claims.nii.gz").write_bytes(gzip.compress(header.structarr.tobytes() + bytes(content[348:])))
    with pytest.raises(McdError, match="too short for 2000000000352 bytes"):
        read_volume(tmp_path / "claims.nii.gz")
    with gzip.open(tmp_path / "more.nii.gz", "wb", compresslevel=1) as stream:
        stream.write(bytes(content))
        for _ in range(80):
            stream.write(bytes(1 << 20))
    with pytest.raises(McdError, match="holds far more than"):
        read_volume(tmp_path / "more.nii.gz")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "a.nii.gz")
    with pytest.raises(McdError, match="not a file but a pipe"):
        read_volume(tmp_path / "a.nii.gz")
    (tmp_path / "loop.nii").symlink_to(tmp_path / "loop.nii")
    with pytest.raises(McdError, match=r"loop\.nii: "):
        read_volume(tmp_path / "loop.nii")


def test_analyze_has_no_sides(tmp_path: Path) -> None:
    nibabel.save(nibabel.AnalyzeImage(np.zeros(SHAPE, np.int16), np.diag([1, 1, 1, 1])), tmp_path / "a.img")
    for name in ("a.img", "a.hdr"):
        with pytest.raises(McdError, match=r"Analyze 7\.5, which does not say which side is left"):
            read_volume(tmp_path / name)
