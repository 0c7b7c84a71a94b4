"""Files are whole or not there."""

import json
import os
import stat
from pathlib import Path

import pytest

from mcd.errors import McdError
from mcd.files import ACCESS, atomic_path, read_json, together, write_json, write_text
from mcd.imaging.preprocess import write_preprocessed
from mcd.slices.write_shards import write_subjects
from mcd.testing.cohort import tiny_subject


def test_a_failed_writer_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "result.csv"
    with atomic_path(target) as temporary:
        temporary.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [path.name for path in target.parent.iterdir()] == ["result.csv"]


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def test_files_appear_together_or_none_does(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    with together(folder) as temporary:
        write_text(temporary / "a", "old a")
        write_text(temporary / "b", "old b")
        assert not contents(folder)
    assert contents(folder) == {"a": "old a", "b": "old b"}
    with pytest.raises(RuntimeError), together(folder) as temporary:  # noqa: PT012
        write_text(temporary / "a", "new a")
        raise RuntimeError
    (folder / "c").mkdir()
    with pytest.raises(McdError, match="deep/c: is a folder; remove it"), together(folder) as temporary:  # noqa: PT012
        for name in ("a", "aa", "c"):  # c cannot be moved there, after a and aa have been
            write_text(temporary / name, f"new {name}")
    assert contents(folder) == {"a": "old a", "b": "old b"}
    (folder / "c").rmdir()
    with together(folder) as temporary:
        write_text(temporary / "a", "new a")
    assert contents(folder) == {"a": "new a", "b": "old b"}
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]


def test_a_file_among_several_is_named_by_its_place(tmp_path: Path) -> None:
    with pytest.raises(McdError, match=rf"^{tmp_path}/name: "), together(tmp_path) as temporary:  # noqa: PT012
        (temporary / "name").mkdir()
        write_text(temporary / "name", "text")
    assert not list(tmp_path.iterdir())


def test_the_temporary_file_keeps_the_suffix_and_the_result_is_readable(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "volume.nii.gz") as temporary:
        assert temporary.name.endswith(".nii.gz")
    assert (tmp_path / "volume.nii.gz").stat().st_mode & stat.S_IRGRP


@pytest.mark.parametrize(
    ("access", "umask", "image", "folder"),
    [
        (None, 0o022, 0o600, 0o700),
        ("private", 0o000, 0o600, 0o700),
        ("group", 0o002, 0o660, 0o770),
        ("group", 0o027, 0o640, 0o750),
        ("umask", 0o022, 0o644, 0o755),
        ("umask", 0o077, 0o600, 0o700),
    ],
)
def test_images_are_for_those_that_the_access_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, access: str | None, umask: int, image: int, folder: int
) -> None:
    monkeypatch.delenv(ACCESS, raising=False)
    if access:
        monkeypatch.setenv(ACCESS, access)
    before = os.umask(umask)
    try:
        write_preprocessed(tiny_subject(0), tmp_path / "p0")
        write_subjects(tmp_path / "0.h5", [("p0", tiny_subject(0))])
        write_json(tmp_path / "split.json", {})
    finally:
        os.umask(before)
    assert (tmp_path / "p0").stat().st_mode & 0o777 == folder
    assert (tmp_path / "p0" / "A.nii.gz").stat().st_mode & 0o777 == image
    assert (tmp_path / "0.h5").stat().st_mode & 0o777 == image
    assert (tmp_path / "split.json").stat().st_mode & 0o777 == 0o666 & ~umask


def test_an_unknown_access_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ACCESS, "everybody")
    with pytest.raises(McdError, match="MCD_FILE_ACCESS: everybody is not valid; use one of private, group, umask"):
        write_json(tmp_path / "a.json", {})


def test_a_file_reaches_the_disk_before_its_name_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def keep_fsync(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else f"{os.fstat(handle).st_size} bytes")
        fsync(handle)

    def keep_replace(old: Path, new: Path) -> None:
        done.append(f"named {new.name}")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", keep_fsync)
    monkeypatch.setattr(os, "replace", keep_replace)
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("four")
    assert done == ["4 bytes", "named a.txt", "folder"]


def test_json_round_trip_and_faults(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"å": [1, 2.5, None]})
    assert read_json(tmp_path / "a.json") == {"å": [1, 2.5, None]}
    (tmp_path / "b.json").write_text(json.dumps({"a": 1})[:-1])
    with pytest.raises(McdError, match=r"b\.json: not valid JSON"):
        read_json(tmp_path / "b.json")
    with pytest.raises(McdError, match=r"c\.json: no such file"):
        read_json(tmp_path / "c.json")
