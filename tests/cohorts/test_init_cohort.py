"""A folder's files are sorted into patients, modalities, label and mask, and what is written can be read."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import yaml
from scipy.ndimage import gaussian_filter

from mcd.cli import main
from mcd.cohorts.first_configuration import write_proposal
from mcd.cohorts.guess import Answers, guess_cohort, subject_ids
from mcd.cohorts.init_cohort import propose
from mcd.cohorts.proposal import LEFT_OUT, Proposal
from mcd.cohorts.samplesheet import subjects
from mcd.config import load_config
from mcd.config.cohort import Cohort
from mcd.errors import McdError
from mcd.imaging.geometry import Grid
from mcd.imaging.write_volume import write_volume
from mcd.subject import Subject

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


def summary(guess: Proposal) -> dict[str, str]:
    return {row.what: row.pattern for row in guess.rows if row.what != LEFT_OUT}


def written(folder: Path, answers: Answers | None = None) -> tuple[Cohort, list[Subject]]:
    """The cohort and the patients of what init-cohort writes about a folder, beside it."""
    sheet, configuration = folder.parent / "mine.tsv", folder.parent / "mine.yaml"
    proposal = propose(folder, answers or Answers())
    assert proposal.questions == []
    write_proposal(proposal, sheet, configuration)
    (cohort,) = load_config(yaml.safe_load(configuration.read_text())).cohorts.values()
    return cohort, subjects(sheet, cohort.modalities, root=cohort.raw_folder)


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
    folder = write(tmp_path / "scans", *names)
    guess = guess_cohort(folder)
    assert summary(guess) == expected
    assert guess.questions == []
    cohort, read = written(folder)
    assert len(read) == 3
    assert all(subject.label and list(subject.images) == cohort.modalities for subject in read)
    again = Answers(
        {name: pattern for name, pattern in expected.items() if name not in ("label", "mask")}, expected.get("label")
    )
    assert len(guess_cohort(folder, again).subjects) == 3, "what is shown may be given as answers"


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
    assert ["T1", "*/*_t1.nii.gz", "P01/P01_t1.nii.gz", "3"] in lines
    assert ["T2", "*/*_t2.nii.gz", "P01/P01_t2.nii.gz", "2", "P02", "reference"] in lines
    seg = ["label", "*/*_seg.nii.gz", "P01/P01_seg.nii.gz", "3"]
    assert [*seg, "codes:", "1", "(in", "2),", "4", "(in", "2)"] in lines  # of the two patients who are complete
    left_out = [line[2] for line in lines if line[:2] == ["left", "out"]]
    assert sorted(left_out) == ["*/*_adc.nii.gz", "*/again/*_t1.nii.gz"]
    assert [row.split("\t")[0] for row in (tmp_path / "mine.tsv").read_text().splitlines()] == ["subject", "P01", "P03"]
    text = (tmp_path / "mine.yaml").read_text()
    assert "# left out of the sheet (no T2): P02\n" in text
    assert main(["check-cohort", "--config", str(tmp_path / "mine.yaml")]) == 0
    before = text, (tmp_path / "mine.tsv").read_text()
    assert main(["init-cohort", str(folder), "--output", str(tmp_path / "mine")]) == 1
    assert "mine.tsv: is there already, and is not overwritten" in capsys.readouterr().err
    assert before == ((tmp_path / "mine.yaml").read_text(), (tmp_path / "mine.tsv").read_text())


def test_regions_and_preprocessing_follow_the_files(tmp_path: Path) -> None:
    cohort, _ = written(write(tmp_path / "scans", *[f"{i}_{end}.nii.gz" for i in IDS for end in ("ct", "t1", "seg")]))
    assert cohort.regions == {"target": [1, 4], "code1": [1], "code4": [4]}
    assert cohort.preprocessing.statistics_region == {"CT": "body", "T1": "nonzero"}
    assert cohort.preprocessing.size == (16, 16)
    assert cohort.pairs == ["CT-T1"]


@pytest.mark.parametrize(
    ("grids", "spacing", "size"),
    [
        # columns: the voxel axes; x to the left, y to the back, z to the head
        ([((80, 80, 20), (0.9765625, 0.9765625, 5.0))], [0.977, 0.977, 5.0], [80, 80]),  # thick slices stay
        ([((48, 40, 50), (1.0, 1.0, 0.6))], [1.0, 1.0, 1.0], [48, 48]),  # thinner ones than pixels do not
        ([((12, 60, 60), (5.0, 1.2, 1.2))], [1.2, 1.2, 1.2], [64, 64]),  # sagittal slices: the finer side in-plane
        ([((300, 300, 6), (1.0, 1.0, 3.0))], [2.0, 2.0, 3.0], [160, 160]),  # coarser, else the crop is too large
        ([((48, 48, 9), (side, side, 2 * side)) for side in (1.0, 1.5, 4.0)], [1.5, 1.5, 3.0], [128, 128]),
    ],
)
def test_the_proposed_spacing_is_the_files_own(
    tmp_path: Path, grids: list[tuple[tuple[int, ...], tuple[float, ...]]], spacing: list[float], size: list[int]
) -> None:
    for number, (voxels, sides) in enumerate(grids * (3 // len(grids))):
        grid = Grid(voxels, sides, (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        values = np.random.default_rng(number).uniform(1, 100, grid.shape).astype(np.float32)
        (tmp_path / f"scans/p{number}").mkdir(parents=True)
        write_volume(grid.image(values), tmp_path / f"scans/p{number}/t1.nii.gz")
    proposal = propose(tmp_path / "scans", Answers(label="none"))
    assert (proposal.spacing, proposal.size) == (spacing, size)


def test_no_list_of_patients_is_cut_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = [f"P{number:02d}" for number in range(20)]
    folder = write(tmp_path / "scans", *[f"{i}/{i}_{end}.nii.gz" for i in ids for end in ("t1", "t2", "seg")])
    for name in ids[:6]:
        (folder / f"{name}/{name}_t2.nii.gz").unlink()
        (folder / f"{ids[-1 - int(name[1:])]}/{ids[-1 - int(name[1:])]}_seg.nii.gz").unlink()
    assert main(["init-cohort", str(folder), "--output", str(tmp_path / "mine")]) == 0
    said, text = capsys.readouterr().out, (tmp_path / "mine.yaml").read_text()
    lacking = ", ".join(ids[:6])
    assert f"Left out of the sheet (no T2): {lacking}.\n" in said
    assert f"# left out of the sheet (no T2): {lacking}\n" in text
    assert f"Without a label: {', '.join(ids[-6:])}.\n" in said
    assert f"# without a label: {', '.join(ids[-6:])}\n" in text


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
    guess = guess_cohort(tmp_path)
    assert summary(guess) == {"CT": "*/ct.nii.gz", "PET": "*/pet.nii.gz"}
    assert any("which files are PET? the first ones cannot be read" in question for question in guess.questions)


def test_patients_in_another_format_have_the_same_modality(tmp_path: Path) -> None:
    write(tmp_path, "P01/ct.nrrd", "P01/pet.nii.gz", "P02/ct.nii.gz", "P02/pet.nii.gz", "P03/ct.nrrd", "P03/pet.nii.gz")
    guess = guess_cohort(tmp_path)
    assert summary(guess) == {"CT": "*/ct.nrrd, */ct.nii.gz", "PET": "*/pet.nii.gz"}
    assert [subject.id for subject in guess.subjects] == ["P01", "P02", "P03"]


@pytest.mark.real
def test_real_patients_are_sorted(real_patients: Path) -> None:
    assert summary(guess_cohort(real_patients / "sarcoma_pet_ct")) == {
        "CT": "*/CT/image.nii.gz",
        "PET": "*/PET/image.nii.gz",
        "T1": "*/MR_T1/image.nii.gz",
        "label": "*/CT/mask.nii.gz",
    }


def asked(folder: Path, *answers: str) -> str:
    """What init-cohort asks about a folder; nothing is written."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        status = main(["init-cohort", str(folder), "--output", str(folder.parent / "mine"), *answers])
    assert status == 1
    assert "questions are open" in errors.getvalue()
    assert not list(folder.parent.glob("mine.*"))
    return output.getvalue()


def test_loose_files_with_blanks_in_their_names(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "scans", *[f"Patient {i} {end}.nii.gz" for i in (1, 2, 3) for end in ("CT", "PET", "label")]
    )
    cohort, read = written(folder)
    assert cohort.modalities == ["CT", "PET"]
    assert [one.id for one in read] == ["Patient_1", "Patient_2", "Patient_3"]
    assert read[0].label == folder / "Patient 1 label.nii.gz"


def test_a_patient_s_number_at_the_end_of_the_name(tmp_path: Path) -> None:
    cohort, read = written(
        write(tmp_path / "scans", *[f"{end} case {i}.nii.gz" for i in (1, 2, 3) for end in ("CT", "PET", "seg")])
    )
    assert cohort.modalities == ["CT", "PET"]
    assert [one.id for one in read] == ["1", "2", "3"]
    assert all(one.label for one in read)


def test_examinations_of_a_person_are_scans_of_it(tmp_path: Path) -> None:
    places = [f"{who}/{day}" for who, day in (("P1", "2020-01-31"), ("P1", "2021-02-01"), ("P2", "2020-05-05"))]
    folder = write(tmp_path / "scans", *[f"{place}/{end}.nii.gz" for place in places for end in ("CT", "PET", "SEG")])
    cohort, read = written(folder)
    assert cohort.modalities == ["CT", "PET"]
    assert [(one.id, one.person) for one in read] == [
        *(("P1_2020-01-31", "P1"), ("P1_2021-02-01", "P1"), ("P2_2020-05-05", "P2"))
    ]
    given = guess_cohort(folder, Answers({"CT": "**/CT.nii.gz", "PET": "**/PET.nii.gz"}, "**/SEG.nii.gz"))
    assert [one.id for one in given.subjects] == [one.id for one in read]


def test_a_flat_folder_with_the_modality_in_the_middle(tmp_path: Path) -> None:
    names = [f"{i}_{what}.nii.gz" for i in IDS for what in ("CT_image", "CT_mask", "PET_image", "PET_mask")]
    cohort, read = written(write(tmp_path / "scans", *names))
    assert cohort.modalities == ["CT", "PET"]
    assert [one.label.name for one in read if one.label] == [f"{i}_CT_mask.nii.gz" for i in IDS]


def test_folders_of_train_validation_and_test_are_joined(tmp_path: Path) -> None:
    places = {"train": ("a1", "a2"), "validation": ("b1",), "test": ("c1", "c2")}
    ends = ("T1c.nii.gz", "Flair.nii.gz", "seg.nii.gz", "brainmask.nii.gz")
    names = [f"{part}/{who}/{end}" for part, people in places.items() for who in people for end in ends]
    cohort, read = written(write(tmp_path / "scans", *names))
    assert cohort.modalities == ["T1CE", "FLAIR"]
    assert [(one.id, one.split) for one in read] == [
        *(("a1", "train"), ("a2", "train"), ("b1", "train"), ("c1", "test"), ("c2", "test"))
    ]
    assert all(one.label and one.mask for one in read)


def test_patients_of_a_test_folder_without_labels_are_not_said_to_test(tmp_path: Path) -> None:
    names = [
        f"{part}/{part[0]}{n}/{end}.nii.gz" for part in ("train", "test") for n in (1, 2) for end in ("t1c", "flair")
    ]
    folder = write(tmp_path / "scans", *names, "train/t1/seg.nii.gz", "train/t2/seg.nii.gz")
    for n in (1, 2):
        (folder / f"test/t{n}").rename(folder / f"test/u{n}")
    _, read = written(folder)
    assert [(one.id, one.split, one.label is None) for one in read] == [
        *(("t1", None, False), ("t2", None, False), ("u1", None, True), ("u2", None, True))
    ]
    assert "no label to test on, so these train unless you remove them: u1, u2" in (tmp_path / "mine.yaml").read_text()


def test_many_codes_are_a_label_map_and_grey_levels_are_not(tmp_path: Path) -> None:
    folder = write(tmp_path / "scans", *[f"{i}/{end}.nii.gz" for i in IDS for end in ("t1", "t2")])
    rng = np.random.default_rng(0)
    for name in IDS:
        codes = np.zeros((10, 20, 20), np.uint8)
        for code in range(25):
            z, y = divmod(code, 5)
            codes[2 * z : 2 * z + 2, 4 * y : 4 * y + 4, 3:17] = code + 1
        write_volume(sitk.GetImageFromArray(codes), folder / name / "organs.nii.gz")
        smooth = gaussian_filter(rng.uniform(0, 255, (10, 20, 20)), 1).astype(np.uint8)
        write_volume(sitk.GetImageFromArray(smooth), folder / name / "t2.nii.gz")
    assert summary(guess_cohort(folder)) == {"T2": "*/t2.nii.gz", "T1": "*/t1.nii.gz", "label": "*/organs.nii.gz"}
    cohort, _ = written(folder)
    assert cohort.regions == {"target": list(range(1, 26))}


def test_without_labels_it_asks(tmp_path: Path) -> None:
    folder = write(tmp_path / "scans", *[f"{i}/{end}.nii.gz" for i in IDS for end in ("t1", "t2")])
    said = asked(folder)
    assert "which files are the labels?" in said
    assert f"mcd init-cohort {folder} --modality 'T2=*/t2.nii.gz' --modality 'T1=*/t1.nii.gz'" in said
    cohort, read = written(folder, Answers(label="none"))
    assert cohort.regions == {"target": [1]}
    assert [one.label for one in read] == [None] * 3


def test_two_files_of_one_modality_are_asked_about(tmp_path: Path) -> None:
    names = [f"{i}/{end}.nii.gz" for i in IDS for end in ("t1_a", "t1_b", "t2", "seg")]
    folder = write(tmp_path / "scans", *names)
    assert "which files are T1? 3 patients have two, such as P01/t1_a.nii.gz and P01/t1_b.nii.gz" in asked(folder)
    cohort, read = written(folder, Answers({"T1": "*/t1_b.nii.gz", "T2": "*/t2.nii.gz"}, "*/seg.nii.gz"))
    assert cohort.modalities == ["T1", "T2"]
    assert read[0].images["T1"].name == "t1_b.nii.gz"


def test_label_maps_of_which_none_is_nearer_are_asked_about(tmp_path: Path) -> None:
    """A file for each organ: one of them would be as wrong as another."""
    names = [f"{i}/{i}_{end}.nii.gz" for i in IDS for end in ("ct", "t1", "seg_brainstem", "seg_parotid")]
    folder = write(tmp_path / "scans", *names)
    assert "which files are the labels? */*_seg_brainstem.nii.gz or */*_seg_parotid.nii.gz, or another" in asked(folder)


def test_files_that_no_two_patients_share_are_asked_about(tmp_path: Path) -> None:
    names = [f"{n:03d}/scan_{n * 37 % 1000}_{'abc'[n % 3]}{n}.nii.gz" for n in range(20)]
    folder = write(tmp_path / "scans", *names, "x1/ct.nii.gz", "x2/ct.nii.gz", "x1/seg.nii.gz", "x2/seg.nii.gz")
    said = asked(folder)
    assert "only 4 of 24 volumes are called alike in several patients" in said


def test_folders_that_are_no_patients_are_not_taken_for_some(tmp_path: Path) -> None:
    """`anat` and `dwi` have the same names in them; the patient is in the name."""
    names = [
        f"{place}/{i}_{end}.nii.gz" for place in ("anat", "dwi") for i in ("p1", "p2") for end in ("a", "b", "seg")
    ]
    guess = guess_cohort(write(tmp_path / "scans", *names))
    assert {subject.id for subject in guess.subjects} == {"p1", "p2"}
    write(tmp_path / "only", "anat/t1.nii.gz", "func/t1.nii.gz", "anat/seg.nii.gz", "func/seg.nii.gz")
    with pytest.raises(McdError, match="no pattern that two patients share"):
        guess_cohort(tmp_path / "only")


def test_few_complete_patients_are_asked_about(tmp_path: Path) -> None:
    names = [f"{n}/t1.nii.gz" for n in range(10, 20)] + [f"{n}/seg.nii.gz" for n in range(10, 20)]
    names += [f"{n}/t2.nii.gz" for n in range(16, 25)]
    assert "only 4 of 15 patients have T2, T1" in asked(write(tmp_path / "scans", *names))


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (["--modality", "CT=*/none.nii.gz"], "no volume in .* is called so"),
        (["--modality", "CT=*/t?.nii.gz"], "no volume in .* is called so"),
        (["--modality", "CT=*/*.nii.gz"], "P01/.*nii.gz and P01/.*nii.gz are both of P01; give a pattern of one"),
        (["--modality", "CT"], "not NAME=PATTERN"),
        (["--modality", "label=*/t1.nii.gz"], "modality name 'label' is not allowed"),
        (["--label", "nothing"], "no volume in .* is called so"),
    ],
)
def test_an_answer_that_no_file_fits_is_refused(
    tmp_path: Path, answers: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "scans", *[f"{i}/{end}.nii.gz" for i in IDS for end in ("t1", "t2", "seg")])
    assert main(["init-cohort", str(folder), "--output", str(tmp_path / "mine"), *answers]) == 1
    assert re.search(message, capsys.readouterr().err)
