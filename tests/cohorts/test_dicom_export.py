"""What archives export is sorted by coded fields, and the voxels are those of the right series."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_files import COLOURS, CT, PET, new_object, write_enhanced, write_series, write_structures
from pydicom.dataset import Dataset

from mcd.cli import main
from mcd.cohorts import find_layout
from mcd.cohorts.dicom_export import subjects
from mcd.config import read_config
from mcd.errors import McdError
from mcd.imaging.geometry import Grid, array_of
from mcd.imaging.io import read_volume
from mcd.imaging.options import PreprocessOptions
from mcd.imaging.raw import read_raw
from mcd.imaging.write_volume import write_volume
from mcd.testing import check_layout

SQUARE = np.array([[-8.5, 8.0, -34.0], [-8.5, 11.0, -34.0], [-6.5, 11.0, -34.0], [-6.5, 8.0, -34.0]])


def values(seed: int) -> np.ndarray:
    made = np.random.default_rng(seed).integers(900, 1500, (6, 16, 16)).astype(np.int16)
    made[:, [0, -1]] = 0
    return made


def examination(
    folder: Path, patient: str, seed: int, *, ct: str = "A{:03d}", pet: str = "B{:03d}", study: str = "1", **fields: Any
) -> None:
    """CT and PET of one study; `fields` go into every header."""

    def edit(made: Dataset, number: int) -> None:
        made.PatientID, made.StudyInstanceUID = patient, f"1.2.{seed}.{study}"
        made.PatientName, made.SeriesDescription, made.StudyDescription = "Secret^Jane", "MR T1 of Jane", "PT"
        for keyword, value in fields.items():
            setattr(made, keyword, value)

    write_series(folder, values(2 * seed), kind=CT, name=ct, edit=edit)
    write_series(folder, values(2 * seed + 1), kind=PET, name=pet, edit=edit)


def contours(path: Path, patient: str, seed: int) -> None:
    write_structures(path, {1: [SQUARE]})
    made = pydicom.dcmread(path)
    made.PatientID, made.StudyInstanceUID = patient, f"1.2.{seed}.1"
    made.save_as(path)


def scout(path: Path, patient: str, seed: int) -> None:
    """A localiser: another CT series, which is no image of the body."""

    def edit(made: Dataset, number: int) -> None:
        made.PatientID, made.StudyInstanceUID, made.ImageType = (
            patient,
            f"1.2.{seed}.1",
            ["ORIGINAL", "PRIMARY", "LOCALIZER"],
        )

    write_series(path, values(99)[:1], name="S{:03d}", edit=edit)


def assert_right(image: Path, seed: int) -> None:
    np.testing.assert_array_equal(array_of(read_volume(image)), values(seed) - 1024)


def test_all_series_of_a_patient_in_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "export"
    for seed, name in enumerate(("x1", "x2", "x3"), start=1):
        examination(root / name, f"id{seed}", seed)
        contours(root / name / "RS.dcm", f"id{seed}", seed)
        scout(root / name, f"id{seed}", seed)
    (root / "DICOMDIR").write_bytes(b"")
    found = subjects(root)
    assert [(one.id, list(one.images), one.label) for one in found] == [
        (name, ["CT", "PET"], root / name / "RS.dcm") for name in ("x1", "x2", "x3")
    ]
    for seed, one in enumerate(found, start=1):
        assert_right(one.images["CT"], 2 * seed)
        assert_right(one.images["PET"], 2 * seed + 1)
    check_layout("dicom_export", root)
    assert main(["init-cohort", str(root), "--output", str(tmp_path / "mine")]) == 0
    assert main(["check-cohort", "--config", str(tmp_path / "mine.yaml")]) == 0, capsys.readouterr().out
    written = "".join(path.read_text() for path in tmp_path.glob("mine.*"))
    assert not any(word in written + capsys.readouterr().out for word in ("Jane", "id1", "1.2.1.1"))


def test_a_segmentation_among_the_series_comes_back_on_its_image(tmp_path: Path) -> None:
    """It refers to the CT of a folder with a PET in it, too."""
    pytest.importorskip("highdicom")
    from mcd.imaging.dicom_seg import write_seg

    for seed, name in enumerate(("x1", "x2"), start=1):
        examination(tmp_path / name, f"id{seed}", seed)
        mask = np.zeros((6, 16, 16), bool)
        mask[2:4, 5:9, 3 + seed : 8] = True
        write_seg({"tumour": mask}, tmp_path / name / "A003", tmp_path / name / "SEG.dcm", "test", COLOURS)
        one = subjects(tmp_path)[seed - 1]
        assert one.label == tmp_path / name / "SEG.dcm"
        raw = read_raw(one, PreprocessOptions(size=(16, 16)))
        assert raw.label is not None
        np.testing.assert_array_equal(array_of(raw.label), mask)
        np.testing.assert_array_equal(array_of(raw.images["CT"]), values(2 * seed) - 1024)


def test_enhanced_files_among_slices_are_series_of_their_own(tmp_path: Path) -> None:
    for seed, name in enumerate(("x1", "x2"), start=1):
        examination(tmp_path / name, f"id{seed}", seed)
        for path in (tmp_path / name).glob("A*"):
            path.unlink()
        write_enhanced(tmp_path / name / "E.dcm", values(2 * seed), [3, 0, 5, 1, 2, 4])
        made = pydicom.dcmread(tmp_path / name / "E.dcm")
        made.PatientID, made.StudyInstanceUID = f"id{seed}", f"1.2.{seed}.1"
        made.save_as(tmp_path / name / "E.dcm")
    for seed, one in enumerate(subjects(tmp_path), start=1):
        assert one.images["CT"].name == "E.dcm"
        assert_right(one.images["CT"], 2 * seed)
        assert_right(one.images["PET"], 2 * seed + 1)


def test_everything_in_one_folder_is_told_apart_by_patient(tmp_path: Path) -> None:
    examination(tmp_path, "zz", 1, ct="IM1{:03d}", pet="IM2{:03d}")
    examination(tmp_path, "aa", 2, ct="IM3{:03d}", pet="IM4{:03d}")
    found = subjects(tmp_path)
    assert [one.id for one in found] == ["P001", "P002"], "not what people are called in the headers"
    assert_right(found[0].images["CT"], 2)
    assert_right(found[1].images["PET"], 5)


def test_series_in_folders_beside_a_dicomdir_are_named_by_folder(tmp_path: Path) -> None:
    for seed, name in enumerate(("A1", "A2"), start=1):
        examination(tmp_path / "DICOM" / name, f"id{seed}", seed)
        for place, letter in (("0001", "A"), ("0002", "B")):
            for path in sorted((tmp_path / "DICOM" / name).glob(f"{letter}*")):
                target = tmp_path / "DICOM" / name / place / path.name
                target.parent.mkdir(exist_ok=True)
                path.rename(target)
    (tmp_path / "DICOMDIR").write_bytes(b"")
    found = subjects(tmp_path)
    assert [one.id for one in found] == ["P001", "P002"], "one top folder holds all"
    assert found[1].images == {"CT": tmp_path / "DICOM/A2/0001", "PET": tmp_path / "DICOM/A2/0002"}
    assert_right(found[1].images["PET"], 5)


def test_two_studies_of_a_patient_are_two_scans_of_one_person(tmp_path: Path) -> None:
    examination(tmp_path / "p", "id", 1)
    examination(tmp_path / "p", "id", 2, ct="C{:03d}", pet="D{:03d}", study="2")
    examination(tmp_path / "q", "other", 3)
    found = subjects(tmp_path)
    assert [(one.id, one.person) for one in found] == [("p_1", "p"), ("p_2", "p"), ("q", None)]
    assert_right(found[1].images["CT"], 4)


def test_patients_who_were_all_made_the_same_are_told_apart_by_folder(tmp_path: Path) -> None:
    for seed, name in enumerate(("one", "two"), start=1):
        examination(tmp_path / name, "ANONYMOUS", seed)
    assert [one.id for one in subjects(tmp_path)] == ["one", "two"]


def test_a_volume_in_the_patient_s_folder_is_the_label(tmp_path: Path) -> None:
    for seed, name in enumerate(("one", "two"), start=1):
        examination(tmp_path / name, f"id{seed}", seed)
        grid = Grid((16, 16, 6), (0.5, 0.75, 3.0), (-10.0, 5.0, -40.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        write_volume(grid.empty_image(), tmp_path / name / "tumour.nii.gz")
    assert [one.label for one in subjects(tmp_path)] == [tmp_path / name / "tumour.nii.gz" for name in ("one", "two")]


def test_two_series_of_one_modality_are_named_and_not_chosen_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in enumerate(("one", "two"), start=1):
        examination(tmp_path / "x" / name, f"id{seed}", seed)
        examination(tmp_path / "x" / name, f"id{seed}", seed, ct="C{:03d}", pet="D{:03d}")
    said = (
        "one has 2 series of CT (6 files, one/A000 the first and 6 files, one/C000 the first); keep one in the folder"
    )
    with pytest.raises(McdError, match=re.escape(said)):
        subjects(tmp_path / "x")
    assert main(["init-cohort", str(tmp_path / "x"), "--output", str(tmp_path / "mine")]) == 1
    error = capsys.readouterr().err
    assert f"x: 2 of 2 patients have not one series of each modality: {said}, or write the patient's row" in error
    assert not list(tmp_path.glob("mine*"))


def test_numbered_patients_have_a_key_and_those_left_out_their_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All files lie in one folder. The second patient has two CT series, the third no PET; the key is for the user alone."""
    root = tmp_path / "pacs"
    for seed in range(1, 6):
        examination(root, f"id{9 - seed}", seed, ct=f"I{seed}0{{:03d}}", pet=f"I{seed}1{{:03d}}")
        contours(root / f"R{seed}", f"id{9 - seed}", seed)
    examination(root, "id7", 2, ct="I25{:03d}", pet="I26{:03d}")
    for path in [*root.glob("I26*"), *root.glob("I31*")]:
        path.unlink()
    assert main(["init-cohort", str(root), "--output", str(tmp_path / "mine")]) == 0
    said, text = capsys.readouterr().out, (tmp_path / "mine.yaml").read_text()
    assert "CT     by its DICOM codes          I10000" in said
    for reason in (
        "left out of the sheet: P002 has 2 series of CT (6 files, I20000 the first and 6 files, I25000 the first); keep one",
        "left out of the sheet: P003 (I30000) has no series of PET; export it, too",
    ):
        assert f"# {reason}" in text
        assert reason[1:] in said
    key = tmp_path / "mine_key.tsv"
    rows = [line.split("\t") for line in key.read_text().splitlines()]
    assert rows == [
        ["subject", "PatientID", "file"],
        *([f"P{seed:03d}", f"id{9 - seed}", f"I{seed}0000"] for seed in (1, 4, 5)),
    ]
    assert key.stat().st_mode & 0o777 == 0o600
    assert "mine_key.tsv says which PatientID" in said
    assert not any(f"id{9 - seed}" in said + text + (tmp_path / "mine.tsv").read_text() for seed in range(1, 6))


def test_regions_of_interest_are_proposed_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their numbers differ between patients."""
    for seed, name in enumerate(("x1", "x2", "x3"), start=1):
        examination(tmp_path / "x" / name, f"id{seed}", seed)
        path = tmp_path / "x" / name / "RS.dcm"
        write_structures(path, {seed: [SQUARE], 9: [SQUARE + 0.2 * np.ones(3) * [1, 1, 0]]})
        made = pydicom.dcmread(path)
        made.PatientID, made.StudyInstanceUID = f"id{seed}", f"1.2.{seed}.1"
        made.StructureSetROISequence[0].ROIName = "GTV-1" if seed < 3 else "gtv-1 "
        made.StructureSetROISequence[1].ROIName = "BODY" if seed < 3 else "Target"
        made.save_as(path)
    assert main(["init-cohort", str(tmp_path / "x"), "--output", str(tmp_path / "mine")]) == 0
    assert "names: GTV-1 (in 3), BODY (in 2), Target (in 1)" in capsys.readouterr().out
    (cohort,) = read_config(tmp_path / "mine.yaml").cohorts.values()
    assert cohort.preprocessing.label_names == {"GTV-1": 1, "BODY": 2, "Target": 3}
    assert cohort.regions == {"target": [1, 2, 3], "GTV_1": [1], "BODY": [2], "Target": [3]}


def test_without_a_label_the_command_to_correct_names_no_pattern(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in enumerate(("x1", "x2"), start=1):
        examination(tmp_path / "x" / name, f"id{seed}", seed)
    assert main(["init-cohort", str(tmp_path / "x"), "--output", str(tmp_path / "mine")]) == 1
    assert f"\nmcd init-cohort {tmp_path / 'x'}\n" in capsys.readouterr().out


def test_folders_of_one_series_each_are_left_to_their_names(tmp_path: Path) -> None:
    for name in ("CT", "PT"):
        write_series(tmp_path / "p1" / name, values(1))
    with pytest.raises(McdError, match="no DICOMDIR, and no folder with several"):
        find_layout("dicom_export").find(tmp_path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    examination(tmp_path / "p", "id", 1)
    new_object(CT, tmp_path / "p" / "Z").save_as(tmp_path / "p" / "Z")
    (one,) = subjects(tmp_path)
    assert_right(one.images["CT"], 2)
