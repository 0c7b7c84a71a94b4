"""New patients of a sheet or a folder: who is found, by which files, and what is said of the others."""

import logging
from pathlib import Path

import pytest

from mcd.cohorts.new_patients import patients_of_folder, patients_of_sheet
from mcd.errors import McdError
from mcd.subject import Subject


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def images(folder: Path, found: list[Subject]) -> dict[str, dict[str, str]]:
    return {one.id: {modality: str(path.relative_to(folder)) for modality, path in one.images.items()} for one in found}


def test_each_folder_is_a_patient_whose_files_name_the_modality(tmp_path: Path) -> None:
    write(tmp_path, "p2/CT.nii.gz", "p2/pet_suv.mha", "p1/scan/ct/image.nrrd", "p1/t1.nii", "P 3/x_PT.nii.gz")
    found, faults = patients_of_folder(tmp_path, ["PET", "CT"], {})
    assert images(tmp_path, found) == {
        "P_3": {"PET": "P 3/x_PT.nii.gz"},
        "p1": {"CT": "p1/scan/ct/image.nrrd"},
        "p2": {"PET": "p2/pet_suv.mha", "CT": "p2/CT.nii.gz"},
    }
    assert [list(one.images) for one in found][2] == ["PET", "CT"]  # the first gives the grid
    assert not faults


def test_a_modality_is_not_taken_for_another_whose_name_holds_it(tmp_path: Path) -> None:
    write(tmp_path, "p1/p1_t1.nii.gz", "p1/p1_t1ce.nii.gz", "p1/p1_t2.nii.gz", "p1/p1_t2-flair.nii.gz", "p1/mine.nii")
    found, _ = patients_of_folder(tmp_path, ["T1", "T1CE", "FLAIR", "Mine"], {})
    assert images(tmp_path, found)["p1"] == {
        "T1": "p1/p1_t1.nii.gz",
        "T1CE": "p1/p1_t1ce.nii.gz",
        "FLAIR": "p1/p1_t2-flair.nii.gz",
        "Mine": "p1/mine.nii",
    }


def test_the_only_volume_is_the_image_of_the_only_modality(tmp_path: Path) -> None:
    write(tmp_path, "p1/scan.nii.gz", "p2/scan.nii.gz", "p2/other.nii.gz")
    found, faults = patients_of_folder(tmp_path, ["CT"], {})
    assert images(tmp_path, found) == {"p1": {"CT": "p1/scan.nii.gz"}}
    assert [(name, str(error)) for name, error in faults] == [
        ("p2", f"{tmp_path}: no volume of p2 is called CT; say which by --image MODALITY=PATTERN")
    ]
    found, faults = patients_of_folder(tmp_path, ["CT", "PET"], {"CT": "*/scan.nii.gz"})
    assert [one.id for one in found] == ["p1", "p2"]
    assert not faults


def test_patterns_name_the_files_of_a_flat_folder(tmp_path: Path) -> None:
    write(tmp_path, "a_0000.nii.gz", "a_0001.nii.gz", "b_0000.nii.gz", "a_mask.nii.gz")
    patterns = {"CT": "*_0000.nii.gz", "PET": "*_0001.nii.gz"}
    found, faults = patients_of_folder(tmp_path, ["CT", "PET"], patterns)
    assert images(tmp_path, found) == {
        "a": {"CT": "a_0000.nii.gz", "PET": "a_0001.nii.gz"},
        "b": {"CT": "b_0000.nii.gz"},
    }
    assert not faults
    found, faults = patients_of_folder(tmp_path, ["CT", "PET"], patterns, "*_mask.nii.gz")
    assert [(one.id, one.mask) for one in found] == [("a", tmp_path / "a_mask.nii.gz")]
    assert [(name, str(error)) for name, error in faults] == [
        ("b", f"{tmp_path}: no file of b fits --mask *_mask.nii.gz; add it")
    ]


def test_two_files_of_a_modality_are_nobodys_choice(tmp_path: Path) -> None:
    write(tmp_path, "p1/ct.nii.gz", "p2/ct.nii.gz", "p2/ct_seg.nii.gz", "p2/pet.nii.gz")
    found, faults = patients_of_folder(tmp_path, ["CT", "PET"], {})
    assert [one.id for one in found] == ["p1"]
    ((name, error),) = faults
    assert name == "p2"
    assert "p2 has several files for CT (p2/ct.nii.gz, p2/ct_seg.nii.gz); name one by --image CT=PATTERN" in str(error)


@pytest.mark.parametrize(
    ("files", "patterns", "words"),
    [
        (
            [f"{part}/{name}/{image}.nii.gz" for part in ("train", "test") for name in "ab" for image in ("ct", "pet")],
            {},
            r"no patient in it by names; if its folders \(test, train\) hold the patients' folders, give one of them",
        ),
        (
            ["a_ct.nii.gz", "b_ct.nii.gz"],
            {},
            r"volumes \(a_ct.nii.gz, b_ct.nii.gz\); say which .* --image CT='\*_ct.nii",
        ),
        (["a/readme.txt"], {}, "no volume in it"),
        (["a/ct.nii.gz"], {"CT": "*/scan.nii.gz"}, "--image CT=.*: no volume in .* is called so"),
        (["a/ct.nii.gz"], {"CT": "ct.nii.gz"}, r"has no \* for the patient; give such as '\*/ct.nii.gz'"),
    ],
)
def test_a_folder_that_says_nothing_is_refused(
    files: list[str], patterns: dict[str, str], words: str, tmp_path: Path
) -> None:
    write(tmp_path, *files)
    with pytest.raises(McdError, match=words):
        patients_of_folder(tmp_path, ["CT", "PET"], patterns)


def test_volumes_beside_the_patients_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "p1/ct.nii.gz", "atlas.nii.gz")
    with caplog.at_level(logging.WARNING):
        patients_of_folder(tmp_path, ["CT"], {})
    assert "volumes beside the patients' folders, which are not used: atlas.nii.gz" in caplog.text


def test_a_sheet_may_lack_an_image_but_not_all(tmp_path: Path) -> None:
    write(tmp_path, "1_ct.nii", "1_pet.nii", "2_ct.nii", "m.nii")
    rows = ["subject\tct\tPET\tmask\tbox", "p1\t1_ct.nii\t1_pet.nii\t\t", "p2\t2_ct.nii\t\tm.nii\t0 1 2 3 4 5"]
    rows += ["p3\t\t\t\t", "p4\tgone.nii\t1_pet.nii\t\t", "p1\t2_ct.nii\t\t\t", "p 5\t2_ct.nii\t\t\t", "p6\tx"]
    (tmp_path / "sheet.tsv").write_text("\n".join(rows) + "\n")
    found, faults = patients_of_sheet(tmp_path / "sheet.tsv", ["PET", "CT"])
    assert [one.id for one in found] == ["p2"]
    assert (found[0].mask, found[0].box) == (tmp_path / "m.nii", (0, 1, 2, 3, 4, 5))
    words = {name: str(error) for name, error in faults}
    assert len(words) == len(faults) == 5
    assert "line 4: no image; give one of PET, CT" in words["p3"]
    assert "gone.nii does not exist" in words["p4"]
    assert "p1 appears twice" in words["p1"]
    assert "'p 5' is not allowed" in words["p 5"]
    assert "line 8: 2 cells for 5 columns" in words["p6"]


def test_a_sheet_without_the_modalities_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sheet.tsv").write_text("subject\tMR\np1\tx.nii\n")
    with pytest.raises(McdError, match=r"sheet\.tsv: no column CT or PET; name the columns of images after the modal"):
        patients_of_sheet(tmp_path / "sheet.tsv", ["CT", "PET"])
