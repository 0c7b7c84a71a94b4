"""`mcd init-cohort` on trees in official forms: the layout is recognised, and what is written needs no correction."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import yaml
from official_trees import brats, dataset_json, image, label, msd, nnunet

from mcd.cli import main
from mcd.cohorts import find_layout
from mcd.cohorts.find import find_subjects
from mcd.config import load_config
from mcd.config.cohort import Cohort
from mcd.errors import McdError
from mcd.imaging.io import read_volume
from mcd.subject import Subject
from mcd.testing import check_layout

BRATS = ("_t1", "_t1ce", "_t2", "_flair")
BRATS_2023 = ("-t1n", "-t1c", "-t2w", "-t2f")
BRATS_CHANNELS = {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}  # of Task01_BrainTumour
BRATS_LABELS = {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"}
UNTIL_2021 = {"WT": [1, 2, 4], "TC": [1, 4], "ET": [4]}
SINCE_2023 = {"WT": [1, 2, 3], "TC": [1, 3], "ET": [3]}
MR = ["T1", "T1CE", "T2", "FLAIR"]
GTV = {"GTVp": [1], "GTVn": [2]}


@dataclass(frozen=True)
class Case:
    """A tree, and what is to be found in it."""

    make: Callable[[Path], None]
    layout: str
    modalities: list[str]
    regions: dict[str, list[int]]
    patients: list[str]
    columns: dict[str, list[str]] = field(default_factory=dict)  # of the sheet, in the order of the patients
    place: str = ""  # where the layout begins, below the folder that is given


def brats2018(root: Path) -> None:
    brats(root, ["HGG/Brats18_2013_2_1", "HGG/Brats18_CBICA_AAB_1", "LGG/Brats18_TCIA_1_1"], BRATS, "_seg", (1, 2, 4))
    (root / "survival_data.csv").write_text("Brats18ID,Age,Survival,ResectionStatus\n")


def brats2019(root: Path) -> None:
    folder = root / "MICCAI_BraTS_2019_Data_Training"
    brats(folder, ["HGG/BraTS19_2013_2_1", "LGG/BraTS19_TCIA10_130_1"], BRATS, "_seg", (1, 2, 4))
    (folder / "name_mapping.csv").write_text("Grade\n")


def brats2020(root: Path) -> None:
    folder = root / "MICCAI_BraTS2020_TrainingData"
    ids = ["BraTS20_Training_001", "BraTS20_Training_002", "BraTS20_Training_355"]
    brats(folder, ids, BRATS, "_seg", (1, 2, 4))
    odd = folder / ids[2]
    (odd / f"{ids[2]}_seg.nii.gz").rename(odd / "W39_1998.09.19_Segm.nii.gz")  # as it was published


def brats2021(root: Path) -> None:
    brats(root, ["BraTS2021_00000", "BraTS2021_00002"], BRATS, "_seg", (1, 2, 4))


def brats2023(root: Path) -> None:
    folder = root / "ASNR-MICCAI-BraTS2023-GLI-Challenge-TrainingData"
    brats(
        folder, [f"BraTS-GLI-{who}" for who in ("00000-000", "00000-001", "00002-000")], BRATS_2023, "-seg", (1, 2, 3)
    )


def brats2024(root: Path) -> None:
    folder = root / "training_data1_v2"
    brats(
        folder,
        [f"BraTS-GLI-{who}" for who in ("00005-100", "00005-101", "00020-100")],
        BRATS_2023,
        "-seg",
        (1, 2, 3, 4),
    )


def hecktor2020(root: Path) -> None:
    for patient in ("CHGJ007", "CHUS001"):
        _hecktor(root / "hecktor_nii" / patient, patient, ("_ct", "_pt", "_ct_gtvt"), (1,))
    _boxes(root / "hecktor_nii" / "bbox.csv", ["CHGJ007", "CHUS001"])


def hecktor2021(root: Path) -> None:
    for patient in ("CHGJ007", "CHUP028"):
        _hecktor(root / "hecktor2021_train/hecktor_nii", patient, ("_ct", "_pt", "_gtvt"), (1,))
    _boxes(root / "hecktor2021_train/hecktor2021_bbox_training.csv", ["CHGJ007", "CHUP028"])
    _boxes(root / "hecktor2021_train/hecktor2021_bbox_testing.csv", ["CHUP099"])


def hecktor2022(root: Path) -> None:
    folder = root / "hecktor2022_training/hecktor2022"
    for patient in ("CHUM-001", "MDA-010", "USZ-003"):
        image(folder / f"imagesTr/{patient}__CT.nii.gz", -1000)
        image(folder / f"imagesTr/{patient}__PT.nii.gz")
        label(folder / f"labelsTr/{patient}.nii.gz", (1, 2))
    (folder / "hecktor2022_endpoint_training.csv").write_text("PatientID\n")


def hecktor2025(root: Path) -> None:
    for task in (1, 2):
        for patient in ("CHUM-001", "MDA-010"):
            place = root / f"Task {task}" / patient
            _hecktor(place, patient, ("__CT", "__PT", "" if task == 1 else "__RTDOSE"), (1, 2))
        (root / f"Task {task}/HECKTOR_2025_Training_Task_{task}.csv").write_text("PatientID\n")


def hecktor2026(root: Path) -> None:
    for patient in ("CHUM-001", "MDA-010"):
        _hecktor(root / patient, patient, ("__CT", "__PT", ""), (1, 2))
    (root / "HECKTOR_2026_Training_Task.csv").write_text("PatientID\n")


def _hecktor(folder: Path, patient: str, endings: tuple[str, str, str], codes: tuple[int, ...]) -> None:
    image(folder / f"{patient}{endings[0]}.nii.gz", -1000)
    image(folder / f"{patient}{endings[1]}.nii.gz")
    label(folder / f"{patient}{endings[2]}.nii.gz", codes)


def _boxes(path: Path, patients: list[str]) -> None:
    rows = "".join(f"{name},3,19,-4,12,5,17\n" for name in patients)
    path.write_text(f"PatientID,x1,x2,y1,y2,z1,z2\n{rows}")


def msd_brain(root: Path) -> None:
    msd(root / "Task01_BrainTumour", ["BRATS_002", "BRATS_001"], BRATS_CHANNELS, BRATS_LABELS)


def msd_heart(root: Path) -> None:
    msd(root, ["la_003", "la_004"], {"0": "MRI"}, {"0": "background", "1": "left atrium"})


def nnunet_v1(root: Path) -> None:
    folder = root / "nnUNet_raw_data/Task500_Mine"
    nnunet(folder, ["case_01", "case_02"], 2)
    nnunet(folder, ["case_90"], 2, "Ts", labelled=False)
    entries = [{"image": f"./imagesTr/case_0{n}.nii.gz", "label": f"./labelsTr/case_0{n}.nii.gz"} for n in (1, 2)]
    labels = {"0": "background", "1": "edema", "2": "core", "3": "rim"}
    dataset_json(folder, {"modality": {"0": "PET", "1": "CT"}, "labels": labels, "training": entries, "test": []})


def nnunet_v2(root: Path) -> None:
    folder = root / "nnUNet_raw/Dataset501_Mine"
    nnunet(folder, ["P_1", "P_2", "P_3", "P_4"], 2)
    labels = {"background": 0, "whole_tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing": 3}
    names = {"channel_names": {"0": "T1-weighted", "1": "T2-FLAIR"}, "labels": labels, "regions_class_order": [1, 2, 3]}
    dataset_json(folder, {**names, "numTraining": 4, "file_ending": ".nii.gz"})
    folds = [{"train": ["P_1", "P_3", "P_4"], "val": ["P_2"]}, {"train": ["P_2"], "val": ["P_1", "P_3", "P_4"]}]
    preprocessed = root / "nnUNet_preprocessed/Dataset501_Mine/splits_final.json"
    preprocessed.parent.mkdir(parents=True)
    preprocessed.write_text(json.dumps(folds))


def nnunet_with_test(root: Path) -> None:
    nnunet(root, ["P_1", "P_2"], 1)
    nnunet(root, ["P_7"], 1, "Ts")
    labels = {"background": 0, "organ": 1, "lesion": 2, "cyst": 3, "ignore": 4}
    dataset_json(root, {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": 2, "file_ending": ".nii.gz"})


def bids(root: Path) -> None:
    for person, sessions in (("01", ("pre", "post")), ("02", ("pre",)), ("03", ("pre",))):
        for session in sessions:
            stem = f"sub-{person}_ses-{session}"
            anat = f"sub-{person}/ses-{session}/anat"
            for suffix in ("ce-gd_T1w", "T2w", "FLAIR"):
                image(root / anat / f"{stem}_{suffix}.nii.gz")
            (root / anat / f"{stem}_T2w.json").write_text("{}")
            image(root / f"sub-{person}/ses-{session}/fmap/{stem}_magnitude1.nii.gz")
            derived = root / "derivatives/manual" / anat / stem
            label(derived.with_name(f"{stem}_space-orig_label-lesion_mask.nii.gz"))
            label(derived.with_name(f"{stem}_desc-brain_mask.nii.gz"))
    (root / "dataset_description.json").write_text('{"Name": "X", "BIDSVersion": "1.8.0"}')
    (root / "participants.tsv").write_text("participant_id\tage\tsite\nsub-01\t60\tA\nsub-02\t61\tB\nsub-03\t62\tn/a\n")


def bids_dseg(root: Path) -> None:
    for person in ("a", "b"):
        for suffix in ("T1w", "T2w"):
            image(root / f"sub-{person}/anat/sub-{person}_{suffix}.nii.gz")
        label(root / f"derivatives/seg/sub-{person}/anat/sub-{person}_dseg.nii.gz", (1, 2))
    (root / "dataset_description.json").write_text("{}")
    (root / "derivatives/seg/dseg.tsv").write_text("index\tname\n0\tbackground\n1\tgrey matter\n2\twhite matter\n")


def isles2022(root: Path) -> None:
    for number in ("0001", "0002"):
        stem = f"sub-strokecase{number}"
        for place, kind in (("dwi", "dwi"), ("dwi", "adc"), ("anat", "FLAIR")):
            image(root / f"{stem}/ses-0001/{place}/{stem}_ses-0001_{kind}.nii.gz")
        label(root / f"derivatives/{stem}/ses-0001/{stem}_ses-0001_msk.nii.gz")
    (root / "dataset_description.json").write_text("{}")


CASES = {
    "brats2018": Case(brats2018, "brats2018", MR, UNTIL_2021, ["Brats18_2013_2_1", "Brats18_CBICA_AAB_1"]),
    "brats2019": Case(
        brats2019,
        "brats2019",
        MR,
        UNTIL_2021,
        ["BraTS19_2013_2_1", "BraTS19_TCIA10_130_1"],
        place="MICCAI_BraTS_2019_Data_Training",
    ),
    "brats2020": Case(
        brats2020, "brats2020", MR, UNTIL_2021, [f"BraTS20_Training_{number}" for number in ("001", "002", "355")]
    ),
    "brats2021": Case(brats2021, "brats2021", MR, UNTIL_2021, ["BraTS2021_00000", "BraTS2021_00002"]),
    "brats2023": Case(
        brats2023,
        "brats2023",
        MR,
        SINCE_2023,
        ["BraTS-GLI-00000-000", "BraTS-GLI-00000-001", "BraTS-GLI-00002-000"],
        {"patient": ["BraTS-GLI-00000", "BraTS-GLI-00000", "BraTS-GLI-00002"]},
    ),
    "brats2024": Case(
        brats2024,
        "brats2024",
        MR,
        {**SINCE_2023, "RC": [4]},
        ["BraTS-GLI-00005-100", "BraTS-GLI-00005-101", "BraTS-GLI-00020-100"],
        {"patient": ["BraTS-GLI-00005", "BraTS-GLI-00005", "BraTS-GLI-00020"]},
    ),
    "hecktor2020": Case(
        hecktor2020,
        "hecktor2020",
        ["CT", "PET"],
        {"GTVt": [1]},
        ["CHGJ007", "CHUS001"],
        {"box": ["3.0 19.0 -4.0 12.0 5.0 17.0"] * 2, "centre": ["CHGJ", "CHUS"]},
        "hecktor_nii",
    ),
    "hecktor2021": Case(
        hecktor2021,
        "hecktor2021",
        ["CT", "PET"],
        {"GTVt": [1]},
        ["CHGJ007", "CHUP028"],
        {"box": ["3.0 19.0 -4.0 12.0 5.0 17.0"] * 2, "centre": ["CHGJ", "CHUP"]},
        "hecktor2021_train",
    ),
    "hecktor2022": Case(
        hecktor2022,
        "hecktor2022",
        ["CT", "PET"],
        GTV,
        ["CHUM-001", "MDA-010", "USZ-003"],
        {"centre": ["CHUM", "MDA", "USZ"]},
        "hecktor2022_training/hecktor2022",
    ),
    "hecktor2025": Case(hecktor2025, "hecktor2025", ["CT", "PET"], GTV, ["CHUM-001", "MDA-010"]),
    "hecktor2026": Case(hecktor2026, "hecktor2025", ["CT", "PET"], GTV, ["CHUM-001", "MDA-010"]),
    "msd_brain": Case(
        msd_brain,
        "msd",
        ["FLAIR", "T1", "T1CE", "T2"],
        {"edema": [1], "non_enhancing_tumor": [2], "enhancing_tumour": [3]},
        ["BRATS_001", "BRATS_002"],
        {"T1CE": [f"Task01_BrainTumour/imagesTr/BRATS_00{number}.nii.gz[2]" for number in (1, 2)]},
        "Task01_BrainTumour",
    ),
    "msd_heart": Case(msd_heart, "msd", ["MRI"], {"left_atrium": [1]}, ["la_003", "la_004"]),
    "nnunet_v1": Case(
        nnunet_v1,
        "nnunet",
        ["PET", "CT"],
        {"edema": [1], "core": [2], "rim": [3]},
        ["case_01", "case_02"],
        {"CT": [f"nnUNet_raw_data/Task500_Mine/imagesTr/case_0{number}_0001.nii.gz" for number in (1, 2)]},
        "nnUNet_raw_data/Task500_Mine",
    ),
    "nnunet_with_test": Case(
        nnunet_with_test,
        "nnunet",
        ["CT"],
        {"organ": [1], "lesion": [2], "cyst": [3]},
        ["P_1", "P_2", "P_7"],
        {"split": ["train", "train", "test"]},
    ),
    "bids": Case(
        bids,
        "bids",
        ["T1CE", "T2", "FLAIR"],
        {"lesion": [1]},
        ["sub-01_ses-post", "sub-01_ses-pre", "sub-02_ses-pre", "sub-03_ses-pre"],
        {"patient": ["sub-01", "sub-01", "sub-02", "sub-03"], "centre": ["A", "A", "B", ""]},
    ),
    "isles2022": Case(
        isles2022,
        "bids",
        ["FLAIR", "ADC", "DWI"],
        {"lesion": [1]},
        ["sub-strokecase0001_ses-0001", "sub-strokecase0002_ses-0001"],
    ),
    "bids_dseg": Case(
        bids_dseg, "bids", ["T2", "T1"], {"grey_matter": [1], "white_matter": [2]}, ["sub-a", "sub-b"], {}
    ),
}


def initialised(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Cohort, list[dict[str, str]]]:
    """The cohort that init-cohort writes without a question, and the sheet's rows; the check finds no error in it."""
    stem = folder.parent / "mine"
    assert main(["init-cohort", str(folder), "--output", str(stem)]) == 0, capsys.readouterr()
    assert main(["check-cohort", "--config", f"{stem}.yaml"]) == 0, capsys.readouterr().out
    (cohort,) = load_config(yaml.safe_load(stem.with_suffix(".yaml").read_text())).cohorts.values()
    rows = list(csv.DictReader(stem.with_suffix(".tsv").read_text().splitlines(), delimiter="\t"))
    return cohort, rows


@pytest.mark.parametrize("name", CASES)
def test_an_official_tree_needs_no_correction(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcd.cohorts.head_box.head_box", lambda subject: None)  # has tests of its own
    case = CASES[name]
    root = tmp_path / "data"
    root.mkdir()
    case.make(root)
    cohort, rows = initialised(root, capsys)
    assert f"has the official layout {case.layout}" in (tmp_path / "mine.yaml").read_text()
    assert cohort.modalities == case.modalities
    assert cohort.regions == case.regions
    assert [row["subject"] for row in rows] == case.patients
    assert all(row["label"] for row in rows)
    for column, cells in case.columns.items():
        assert [row[column] for row in rows] == cells
    check_layout(case.layout, root / case.place)
    asked = find_subjects(case.layout, root / case.place, None, case.modalities[-1:])
    assert [subject.id for subject in asked] == case.patients


def test_splits_of_nnunet_are_taken_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nnunet_v2(tmp_path)
    cohort, rows = initialised(tmp_path / "nnUNet_raw/Dataset501_Mine", capsys)
    assert cohort.modalities == ["T1", "FLAIR"]
    assert cohort.regions == {"whole_tumor": [1, 2, 3], "tumor_core": [2, 3], "enhancing": [3]}
    assert [row["split"] for row in rows] == ["train", "test", "train", "train"]
    place = tmp_path / "nnUNet_preprocessed/Dataset501_Mine/splits_final.json"
    place.write_text('[{"train": ["P_1"], "val": ["P_2"]}]')
    with pytest.raises(McdError, match=r"splits_final\.json: the first fold does not divide the patients"):
        find_layout("nnunet").find(tmp_path / "nnUNet_raw/Dataset501_Mine")
    (tmp_path / "nnUNet_raw/mine.yaml").unlink()
    (tmp_path / "nnUNet_raw/mine.tsv").unlink()
    _, rows = initialised(tmp_path / "nnUNet_raw/Dataset501_Mine", capsys)
    assert "split" not in rows[0]
    assert "the first fold does not divide the patients" in (tmp_path / "nnUNet_raw/mine.yaml").read_text()


def test_channels_of_a_decathlon_image_are_told_apart(tmp_path: Path) -> None:
    msd_brain(tmp_path)
    one = find_subjects("msd", tmp_path / "Task01_BrainTumour", None, ["T2", "FLAIR"])[0]
    means = [float(np.mean(_inside(read_volume(path)))) for path in one.images.values()]
    assert 340 < means[0] < 370  # channel 3 holds 310 to 400
    assert 40 < means[1] < 70


def _inside(volume: object) -> np.ndarray:
    from mcd.imaging.geometry import array_of

    values = array_of(volume)  # type: ignore[arg-type]
    return values[values > 0]


def test_labels_with_codes_that_the_layout_has_not_go_by_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    brats(tmp_path / "data", [f"BraTS-GLI-0000{n}-000" for n in (1, 2)], BRATS_2023, "-seg", (1, 2, 4))
    cohort, _ = initialised(tmp_path / "data", capsys)
    assert cohort.regions == {"target": [1, 2, 4], "code1": [1], "code2": [2], "code4": [4]}
    assert "the labels have other codes" in (tmp_path / "mine.yaml").read_text()


def test_a_patient_who_lacks_a_file_is_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    brats2021(tmp_path / "data")
    brats(tmp_path / "data", ["BraTS2021_00003"], BRATS[:3], "_seg", (1, 2, 4))
    _, rows = initialised(tmp_path / "data", capsys)
    assert [row["subject"] for row in rows] == ["BraTS2021_00000", "BraTS2021_00002"]
    said = (
        "# left out of the sheet: BraTS2021_00003/BraTS2021_00003_flair.nii.gz: no such file; add the patient's FLAIR"
    )
    assert said in (tmp_path / "mine.yaml").read_text()
    with pytest.raises(McdError, match=r"BraTS2021_00003_flair\.nii\.gz: no such file; add the patient's FLAIR"):
        find_layout("brats2021").find(tmp_path / "data")


def test_a_cohort_without_any_label_is_asked_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    brats2021(tmp_path / "data")
    for path in (tmp_path / "data").glob("*/*_seg.nii.gz"):
        path.unlink()
    command = ["init-cohort", str(tmp_path / "data"), "--output", str(tmp_path / "mine")]
    assert main(command) == 1
    assert "which files are the labels?" in capsys.readouterr().out
    assert not (tmp_path / "mine.tsv").exists()
    assert main([*command, "--label", "none"]) == 0


@pytest.mark.parametrize(("codes", "regions"), [((1, 2, 3, 4), {**SINCE_2023, "RC": [4]}), ((1, 2, 3), SINCE_2023)])
def test_the_two_forms_since_2023_are_told_apart_by_their_codes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], codes: tuple[int, ...], regions: dict[str, list[int]]
) -> None:
    brats(tmp_path / "data", [f"BraTS-GLI-0000{n}-000" for n in (1, 2)], BRATS_2023, "-seg", codes)
    cohort, _ = initialised(tmp_path / "data", capsys)
    assert cohort.regions == regions


def test_a_region_that_no_label_has_is_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    brats(tmp_path / "data", [f"BraTS-GLI-0000{n}-100" for n in (1, 2)], BRATS_2023, "-seg", (1, 2, 3))
    cohort, _ = initialised(tmp_path / "data", capsys)
    assert cohort.regions == SINCE_2023
    assert "regions left out, since no label has their codes: RC" in (tmp_path / "mine.yaml").read_text()


def test_archives_unpacked_beside_other_files_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hecktor2026(tmp_path / "data/download/hecktor2026_training")
    (tmp_path / "data/readme.txt").write_text("x")
    (tmp_path / "data/download/archive.zip").write_bytes(b"PK")
    _, rows = initialised(tmp_path / "data", capsys)
    assert [row["subject"] for row in rows] == ["CHUM-001", "MDA-010"]


def test_a_folder_of_several_data_sets_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    msd_brain(tmp_path)
    msd_heart(tmp_path / "Task02_Heart")
    assert main(["init-cohort", str(tmp_path)]) == 1
    assert "several data sets in it (Task01_BrainTumour, Task02_Heart); give one of them" in capsys.readouterr().err


def test_two_kinds_of_labels_are_asked_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bids_dseg(tmp_path / "data")
    for person in ("a", "b"):
        label(tmp_path / f"data/derivatives/other/sub-{person}/anat/sub-{person}_dseg.nii.gz")
    assert main(["init-cohort", str(tmp_path / "data"), "--output", str(tmp_path / "mine")]) == 1
    said = capsys.readouterr().out
    assert "may both be meant" in said
    assert "which files are the labels?" in said


def test_sessions_with_two_runs_of_a_sequence_are_faults(tmp_path: Path) -> None:
    bids(tmp_path)
    anat = tmp_path / "sub-02/ses-pre/anat"
    image(anat / "sub-02_ses-pre_run-2_T2w.nii.gz")
    with pytest.raises(McdError, match=r"anat: 2 files of T2 .*sub-02_ses-pre_run-2_T2w\.nii\.gz.*; keep one"):
        find_layout("bids").find(tmp_path)
    found: list[str] = []
    subjects: list[Subject] = find_layout("bids").find(tmp_path, None, lambda error, subject: found.append(subject))
    assert found == ["sub-02_ses-pre"]
    assert len(subjects) == 4
