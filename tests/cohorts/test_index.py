"""The index: what a layout found comes back the same, also from a folder that was moved."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mcd.cohorts import samplesheet
from mcd.cohorts.index import read_index, write_index
from mcd.errors import McdError
from mcd.subject import Subject


def subjects(folder: Path) -> list[Subject]:
    return [
        Subject("b", {"PET": folder / "b/pet.nii.gz", "CT": folder / "b/ct.nii.gz"}, folder / "b/label.nii.gz"),
        Subject(
            "a",
            {"PET": folder / "a pet", "CT": folder / "a/ct.mha"},
            mask=folder / "a/mask.nii.gz",
            box=(-1.25, 142.75, 0.1, 144.1, -88.0, 56.0),
            split="test",
            person="one",
            scanner="Siemens, 3 T",
        ),
    ]


def test_round_trip_with_files_elsewhere_is_exact(tmp_path: Path) -> None:
    written = subjects(Path("/somewhere/raw"))
    write_index(written, tmp_path / "index.tsv")
    assert read_index(tmp_path / "index.tsv") == written
    assert list(read_index(tmp_path / "index.tsv")[0].images) == ["PET", "CT"]


def test_a_moved_folder_keeps_its_index(tmp_path: Path) -> None:
    write_index(subjects(tmp_path / "old" / "raw"), tmp_path / "old" / "index.tsv")
    shutil.move(tmp_path / "old", tmp_path / "new")
    assert read_index(tmp_path / "new" / "index.tsv") == subjects(tmp_path / "new" / "raw")


def test_paths_relative_to_the_working_folder_are_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_index([Subject("a", {"CT": Path("raw/ct.nii.gz")})], "work/index.tsv")
    monkeypatch.chdir("/")
    assert read_index(tmp_path / "work/index.tsv")[0].images["CT"] == tmp_path / "raw/ct.nii.gz"


def test_an_index_reads_as_a_sample_sheet(tmp_path: Path) -> None:
    for name in ("b/pet.nii.gz", "b/ct.nii.gz", "b/label.nii.gz", "a pet", "a/ct.mha", "a/mask.nii.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    write_index(subjects(tmp_path), tmp_path / "index.tsv")
    a, b = samplesheet.subjects(tmp_path / "index.tsv")
    assert (a.images, a.mask, a.split, b.label) == (
        subjects(tmp_path)[1].images,
        tmp_path / "a/mask.nii.gz",
        "test",
        tmp_path / "b/label.nii.gz",
    )
    assert (a.person, a.centre, a.scanner, b.person) == ("one", None, "Siemens, 3 T", None)


def test_no_patient_and_unequal_modalities_are_errors(tmp_path: Path) -> None:
    with pytest.raises(McdError, match="without patients"):
        write_index([], tmp_path / "index.tsv")
    with pytest.raises(McdError, match="b has"):
        write_index([Subject("a", {"CT": Path("x")}), Subject("b", {"PET": Path("x")})], tmp_path / "index.tsv")
    assert not list(tmp_path.iterdir())


def test_a_broken_box_is_named(tmp_path: Path) -> None:
    (tmp_path / "index.tsv").write_text("subject\tCT\tbox\na\tct.nii.gz\t1 2 x\n")
    with pytest.raises(McdError, match="line 2, column box"):
        read_index(tmp_path / "index.tsv")


def test_a_subject_survives_json() -> None:
    whole = Subject("a", {"CT": Path("ct.nii.gz")}, Path("l.nii.gz"), Path("m.nii.gz"), (0.0, 1, 2, 3, 4, 5), "test")
    whole = replace(whole, person="p", centre="MDA", scanner="GE")
    for subject in (whole, Subject("b", {"CT": Path("ct")})):
        assert Subject.from_json(json.loads(json.dumps(subject.to_json()))) == subject
