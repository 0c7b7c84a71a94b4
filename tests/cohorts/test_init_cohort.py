"""A folder's files are sorted into patients, modalities, label and mask, and what is written can be read."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from mcd.cli import main
from mcd.cohorts.first_configuration import subject_ids, write_guess
from mcd.cohorts.guess import Guess, guess_cohort
from mcd.cohorts.samplesheet import subjects
from mcd.config import load_config
from mcd.errors import McdError
from mcd.imaging.geometry import Grid
from mcd.imaging.write_volume import write_volume

GRID = Grid((12, 12, 6), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))


def write(folder: Path, *names: str) -> Path:
    """Write one volume per name: a CT in HU for names with `ct`, a label (codes 1, 4) or mask for such names, else MR."""
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        values = np.zeros(GRID.shape, np.float32)
        if any(word in name.lower() for word in ("seg", "label", "mask", "gtv")):
            values[2:4, 4:8, 4:8] = 1
            if "seg" in name:
                values[3, 5, 5] = 4
        else:
            values[:, 2:10, 1:11] = rng.uniform(10, 100, (6, 8, 10))
            if "ct" in name.lower().replace("_", " ").split("/")[-1].split(".")[0].split():
                values[values == 0] = -1000
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_volume(GRID.image(values), folder / name)
    return folder


def summary(guess: Guess) -> dict[str, str]:
    found = {kind.name: kind.pattern for kind in guess.modalities}
    return found | {name: kind.pattern for name, kind in (("label", guess.label), ("mask", guess.mask)) if kind}


IDS = ("P01", "P02", "P03")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (  # BraTS: one folder per patient, its name in the file names
            [f"HGG/{i}/{i}_{end}.nii.gz" for i in IDS for end in ("t1", "t1ce", "seg")],
            {"T1CE": "HGG/*/*_t1ce.nii.gz", "T1": "HGG/*/*_t1.nii.gz", "label": "HGG/*/*_seg.nii.gz"},
        ),
        (  # one folder per patient, the same names in each, one folder per modality in it
            [f"{i}/{place}/image.nrrd" for i in IDS for place in ("MR_T2", "PET")]
            + [f"{i}/PET/mask.nrrd" for i in IDS],
            {"PET": "*/PET/image.nrrd", "T2": "*/MR_T2/image.nrrd", "label": "*/PET/mask.nrrd"},
        ),
        (  # flat, an id of several words
            [f"lung_{i}_{end}.mha" for i in IDS for end in ("ct", "pet", "gtv", "body_mask")],
            {"CT": "*_ct.mha", "PET": "*_pet.mha", "label": "*_gtv.mha", "mask": "*_body_mask.mha"},
        ),
        (  # a label whose name begins like its image's, as in HECKTOR
            [f"{i}_{end}.nii" for i in IDS for end in ("ct", "pt", "ct_gtvt")],
            {"CT": "*_ct.nii", "PET": "*_pt.nii", "label": "*_ct_gtvt.nii"},
        ),
        (  # nnU-Net: numbered channels, the label without a number
            [f"imagesTr/case_{i}_{n}.nii.gz" for i in IDS for n in ("0000", "0001")]
            + [f"labelsTr/case_{i}.nii.gz" for i in IDS],
            {
                "M0000": "imagesTr/*_0000.nii.gz",
                "M0001": "imagesTr/*_0001.nii.gz",
                "label": "labelsTr/*.nii.gz",
            },
        ),
        (  # one folder per modality
            [f"{place}/{i}.nii.gz" for i in IDS for place in ("flair", "t1", "labels")],
            {"FLAIR": "flair/*.nii.gz", "T1": "t1/*.nii.gz", "label": "labels/*.nii.gz"},
        ),
    ],
)
def test_patterns_of_names(tmp_path: Path, names: list[str], expected: dict[str, str]) -> None:
    guess = guess_cohort(write(tmp_path, *names))
    found = {name: pattern.removeprefix("./") for name, pattern in summary(guess).items()}
    assert found == expected
    assert len(guess.complete) == 3
    write_guess(guess, tmp_path / "mine.tsv", tmp_path / "mine.yaml")
    config = load_config(yaml.safe_load((tmp_path / "mine.yaml").read_text()))
    (cohort,) = config.cohorts.values()
    assert cohort.sheet
    read = subjects(Path(cohort.sheet), cohort.modalities, root=cohort.raw_folder)
    assert len(read) == 3
    assert all(subject.label and list(subject.images) == cohort.modalities for subject in read)


def test_the_command_shows_its_guesses_and_what_it_writes_passes_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "scans", *[f"{i}/{i}_{end}.nii.gz" for i in IDS for end in ("t1", "t2", "seg")])
    (folder / "P02/P02_t2.nii.gz").unlink()
    write(folder, "P01/P01_adc.nii.gz", "P01/again/P01_t1.nii.gz")
    rng = np.random.default_rng(9)  # else two patients would have the same voxels
    for path in folder.glob("P*/P*_t?.nii.gz"):
        write_volume(GRID.image(rng.uniform(0, 100, GRID.shape).astype(np.float32)), path)
    assert main(["init-cohort", str(folder), "--output", str(tmp_path / "mine")]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["T1", "*/*_t1.nii.gz", "3"] in lines
    assert ["T2", "*/*_t2.nii.gz", "2", "P02", "reference"] in lines
    assert ["label", "*/*_seg.nii.gz", "3", "codes:", "1", "(in", "3),", "4", "(in", "3)"] in lines
    left_out = [line[2] for line in lines if line[:2] == ["left", "out"]]
    assert sorted(left_out) == ["*/*_adc.nii.gz", "*/again/*_t1.nii.gz"]
    assert [row.split("\t")[0] for row in (tmp_path / "mine.tsv").read_text().splitlines()] == ["subject", "P01", "P03"]
    text = (tmp_path / "mine.yaml").read_text()
    assert "# left out of the sheet, for they lack a modality: P02" in text
    assert main(["check-cohort", "--config", str(tmp_path / "mine.yaml")]) == 0
    before = text, (tmp_path / "mine.tsv").read_text()
    assert main(["init-cohort", str(folder), "--output", str(tmp_path / "mine")]) == 1
    assert "mine.tsv: is there already, and is not overwritten" in capsys.readouterr().err
    assert before == ((tmp_path / "mine.yaml").read_text(), (tmp_path / "mine.tsv").read_text())


def test_regions_and_preprocessing_follow_the_files(tmp_path: Path) -> None:
    guess = guess_cohort(write(tmp_path, *[f"{i}_{end}.nii.gz" for i in IDS for end in ("ct", "t1", "seg")]))
    write_guess(guess, tmp_path / "mine.tsv", tmp_path / "mine.yaml")
    (cohort,) = load_config(yaml.safe_load((tmp_path / "mine.yaml").read_text())).cohorts.values()
    assert cohort.regions == {"target": [1, 4], "code1": [1], "code4": [4]}
    assert cohort.preprocessing.statistics_region == {"CT": "body", "T1": "nonzero"}
    assert cohort.preprocessing.size == (16, 16)
    assert cohort.pairs == ["CT-T1"]


def test_ids_are_safe_and_stay_apart(tmp_path: Path) -> None:
    assert subject_ids(["Doe^Jane", "Doe Jane", "_x", "ok-1.2"]) == ["Doe_Jane", "Doe_Jane_2", "x", "ok-1.2"]


def test_what_cannot_be_guessed_is_said(tmp_path: Path) -> None:
    with pytest.raises(McdError, match="no such folder"):
        guess_cohort(tmp_path / "none")
    with pytest.raises(McdError, match="no volume in it"):
        guess_cohort(tmp_path)
    with pytest.raises(McdError, match="no pattern that two patients share"):
        guess_cohort(write(tmp_path / "one", "a/ct.nii.gz", "a/pet.nii.gz"))
    with pytest.raises(McdError, match="only label maps"):
        guess_cohort(write(tmp_path / "labels", "p1/seg.nii.gz", "p2/seg.nii.gz"))


def test_an_unreadable_file_does_not_end_the_guess(tmp_path: Path) -> None:
    write(tmp_path, *[f"{i}/{end}.nii.gz" for i in IDS for end in ("ct", "pet")])
    for name in IDS:
        (tmp_path / name / "pet.nii.gz").write_text("nothing")
    assert summary(guess_cohort(tmp_path)) == {"CT": "*/ct.nii.gz", "PET": "*/pet.nii.gz"}


def test_patients_in_another_format_have_the_same_modality(tmp_path: Path) -> None:
    write(tmp_path, "P01/ct.nrrd", "P01/pet.nii.gz", "P02/ct.nii.gz", "P02/pet.nii.gz", "P03/ct.nrrd", "P03/pet.nii.gz")
    guess = guess_cohort(tmp_path)
    assert summary(guess) == {"CT": "*/ct.nrrd, */ct.nii.gz", "PET": "*/pet.nii.gz"}
    assert guess.complete == ["P01", "P02", "P03"]


@pytest.mark.real
def test_real_patients_are_sorted(real_patients: Path) -> None:
    assert summary(guess_cohort(real_patients / "sarcoma_pet_ct")) == {
        "CT": "*/CT/image.nii.gz",
        "PET": "*/PET/image.nii.gz",
        "T1": "*/MR_T1/image.nii.gz",
        "label": "*/CT/mask.nii.gz",
    }
