"""Files are whole or not there."""

import json
import stat
from pathlib import Path

import pytest

from mcd.errors import McdError
from mcd.files import atomic_path, read_json, write_json


def test_a_failed_writer_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "result.csv"
    with atomic_path(target) as temporary:
        temporary.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [path.name for path in target.parent.iterdir()] == ["result.csv"]


def test_the_temporary_file_keeps_the_suffix_and_the_result_is_readable(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "volume.nii.gz") as temporary:
        assert temporary.name.endswith(".nii.gz")
    assert (tmp_path / "volume.nii.gz").stat().st_mode & stat.S_IRGRP


def test_json_round_trip_and_faults(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"å": [1, 2.5, None]})
    assert read_json(tmp_path / "a.json") == {"å": [1, 2.5, None]}
    (tmp_path / "b.json").write_text(json.dumps({"a": 1})[:-1])
    with pytest.raises(McdError, match=r"b\.json: not valid JSON"):
        read_json(tmp_path / "b.json")
    with pytest.raises(McdError, match=r"c\.json: no such file"):
        read_json(tmp_path / "c.json")
