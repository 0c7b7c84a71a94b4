"""The official layouts: found as published, and every gap named."""

from pathlib import Path

import numpy as np
import pytest

from mcd.cohorts import LAYOUTS, brats2018, find_layout, hecktor2020
from mcd.cohorts.find import find_subjects
from mcd.cohorts.layout import Fault, Layout, refuse
from mcd.cohorts.recognise import recognise
from mcd.config import load_config
from mcd.errors import McdError
from mcd.imaging.geometry import Grid
from mcd.imaging.write_volume import write_volume
from mcd.subject import Subject


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.fixture
def brats(tmp_path: Path) -> Path:
    for patient in ("Brats18_CBICA_B", "Brats18_2013_A"):
        subject = brats2018.files(tmp_path, patient)
        assert subject.label
        touch(*subject.images.values(), subject.label)
    touch(tmp_path / "LGG" / "low" / "low_t1.nii.gz", tmp_path / "survival_data.csv")
    return tmp_path


@pytest.fixture
def hecktor(tmp_path: Path) -> Path:
    for patient in ("CHGJ007", "CHUS001"):
        subject = hecktor2020.files(tmp_path / "nii", patient)
        assert subject.label
        touch(*subject.images.values(), subject.label)
    boxes = {"CHUS001": (-1.5, 142.5, 0, 144, 10, 154), "CHGJ007": (0, 144, 0, 144, -200.25, -56.25)}
    hecktor2020.write_boxes(boxes, tmp_path / hecktor2020.BOXES)
    return tmp_path / "nii"


def test_brats_finds_high_grade_patients_in_order(brats: Path) -> None:
    subjects = brats2018.subjects(brats)
    assert [subject.id for subject in subjects] == ["Brats18_2013_A", "Brats18_CBICA_B"]
    assert subjects[0] == brats2018.files(brats, "Brats18_2013_A")
    assert list(subjects[0].images) == ["T1", "T1CE", "T2", "FLAIR"]
    assert subjects[0].label == brats / "HGG/Brats18_2013_A/Brats18_2013_A_seg.nii.gz"


def test_brats_keeps_the_order_of_modalities_asked_for(brats: Path) -> None:
    assert list(brats2018.subjects(brats, ["FLAIR", "T1"])[0].images) == ["FLAIR", "T1"]


def test_brats_takes_t1_not_t1ce_with_another_prefix_and_no_compression(tmp_path: Path) -> None:
    folder = tmp_path / "HGG" / "renamed"
    touch(*(folder / f"Brats18_X_1_{ending}.nii" for ending in ("t1", "t1ce", "t2", "flair", "seg")))
    (subject,) = brats2018.subjects(tmp_path)
    assert subject.images["T1"].name == "Brats18_X_1_t1.nii"
    assert subject.label == folder / "Brats18_X_1_seg.nii"


def test_brats_without_seg_is_unlabelled(brats: Path) -> None:
    (brats / "HGG/Brats18_2013_A/Brats18_2013_A_seg.nii.gz").unlink()
    assert [subject.label is None for subject in brats2018.subjects(brats)] == [True, False]


def test_brats_names_the_missing_modality(brats: Path) -> None:
    (brats / "HGG/Brats18_CBICA_B/Brats18_CBICA_B_t2.nii.gz").unlink()
    with pytest.raises(McdError, match=r"Brats18_CBICA_B_t2\.nii\.gz: no such file.*T2"):
        brats2018.subjects(brats)
    assert len(brats2018.subjects(brats, ["T1", "FLAIR"])) == 2


@pytest.mark.parametrize("layout", ["brats2018", "hecktor2020"])
def test_an_empty_or_absent_folder_is_an_error_naming_it(layout: str, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(McdError, match=str(folder)):
            find_layout(layout).find(folder)


@pytest.mark.parametrize("layout", ["brats2018", "hecktor2020"])
def test_an_unknown_modality_is_an_error_that_lists_the_known(layout: str, tmp_path: Path) -> None:
    with pytest.raises(McdError, match=r"'US'; use one of \w+, \w+"):
        find_layout(layout).find(tmp_path, ["US"])


def test_an_unknown_layout_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(
        McdError, match=r"layout 'dicomdir' is unknown; use one of brats2018, .*hecktor2020, .*samplesheet"
    ):
        find_layout("dicomdir")


def test_hecktor_joins_files_and_boxes(hecktor: Path) -> None:
    subjects = hecktor2020.subjects(hecktor)
    assert [subject.id for subject in subjects] == ["CHGJ007", "CHUS001"]
    assert subjects[1].box == (-1.5, 142.5, 0, 144, 10, 154)
    assert subjects[1].images == hecktor2020.files(hecktor, "CHUS001").images
    assert list(hecktor2020.subjects(hecktor, ["PET"])[0].images) == ["PET"]


def test_hecktor_prefers_a_csv_in_the_folder_and_takes_any_bounding_box_name(hecktor: Path) -> None:
    boxes = dict.fromkeys(("CHGJ007", "CHUS001"), (0.0, 1.0, 0.0, 1.0, 0.0, 1.0))
    hecktor2020.write_boxes(boxes, hecktor / "my_BBox.csv")
    assert hecktor2020.subjects(hecktor)[0].box == boxes["CHGJ007"]
    hecktor2020.write_boxes(boxes, hecktor / "bounding.csv")
    with pytest.raises(McdError, match=r"several.*bounding\.csv, my_BBox\.csv"):
        hecktor2020.subjects(hecktor)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("", "no row for PatientID CHGJ007"),
        ("CHGJ007,0,144,0,144,0,", "line 3: the box of CHGJ007 is not six numbers"),
        ("CHGJ007,144,0,0,144,0,144", "line 3: the box of CHGJ007 is empty"),
        ("CHGJ007,0,inf,0,144,0,144", "line 3: the box of CHGJ007 is not six numbers"),
        ("CHGJ007,0,nan,0,144,0,144", "line 3: the box of CHGJ007 is not six numbers"),
        ("CHGJ007,0,x,0,144,0,144", "line 3: the box of CHGJ007 is not six numbers"),
        ("CHUS001,0,144,0,144,0,144", "line 3: PatientID CHUS001 appears twice"),
    ],
)
def test_hecktor_names_the_broken_row(hecktor: Path, row: str, message: str) -> None:
    table = hecktor.parent / hecktor2020.BOXES
    table.write_text(f"PatientID,x1,x2,y1,y2,z1,z2\nCHUS001,0,144,0,144,0,144\n{row}\n")
    with pytest.raises(McdError, match=message):
        hecktor2020.subjects(hecktor)


def test_hecktor_names_what_is_missing(hecktor: Path) -> None:
    (hecktor / "CHUS001/CHUS001_pt.nii.gz").unlink()
    with pytest.raises(McdError, match=r"CHUS001_pt\.nii\.gz: no such file.*PET"):
        hecktor2020.subjects(hecktor)
    assert len(hecktor2020.subjects(hecktor, ["CT"])) == 2
    (hecktor.parent / hecktor2020.BOXES).write_text("PatientID,x1,x2,y1,y2,z1\n")
    with pytest.raises(McdError, match="no column z2"):
        hecktor2020.subjects(hecktor, ["CT"])
    (hecktor.parent / hecktor2020.BOXES).unlink()
    with pytest.raises(McdError, match="no bounding-box CSV"):
        hecktor2020.subjects(hecktor, ["CT"])


def flat(folder: Path, modalities: list[str] | None = None, fault: Fault = refuse) -> list[Subject]:
    """A layout of somebody's own: `<id>-<modality>.nii.gz`, all in one folder."""
    names = sorted({path.name.split("-")[0] for path in folder.glob("*-ct.nii.gz")})
    if not names:
        raise McdError(f"{folder}: no <id>-ct.nii.gz in it; give another folder")
    return [
        Subject(name, {each: folder / f"{name}-{each.lower()}.nii.gz" for each in modalities or FLAT.modalities})
        for name in names
    ]


FLAT = Layout(flat, ("CT", "PET"))


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_says_what_the_workflow_asks_it(name: str) -> None:
    layout = find_layout(name)
    assert layout.needs_sheet or layout.modalities or layout.regions
    if layout.simulator:
        patterns = layout.simulator.files(Path("data/{cohort}"), "{subject}")
        assert tuple(patterns.images) == layout.modalities
        assert patterns.label
        for path in (*patterns.images.values(), patterns.label):
            assert "{subject}" in str(path.relative_to("data/{cohort}")), "Snakemake knows the patient by its path"


def test_a_layout_takes_a_line_of_the_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found, configured, refused for what it cannot do, and recognised, and nothing else has to know of it."""
    monkeypatch.setitem(LAYOUTS, "flat", f"{__name__}:FLAT")
    volume = np.random.default_rng(0).uniform(-1000, 500, (8, 8, 8)).astype(np.float32)
    grid = Grid((8, 8, 8), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    for name in ("p1-ct", "p1-pet", "p2-ct", "p2-pet"):
        write_volume(grid.image(volume), tmp_path / f"{name}.nii.gz")
    a, b = find_subjects("flat", tmp_path, None, ["PET", "CT"])
    assert (a.id, list(b.images)) == ("p1", ["PET", "CT"])
    cohort = {
        "layout": "flat",
        "folder": str(tmp_path),
        "modalities": ["CT", "PET"],
        "regions": {"tumour": [1]},
        "preprocessing": {"size": [16, 16]},
    }
    assert load_config({"cohorts": {"mine": cohort}}).cohorts["mine"].raw_folder == tmp_path
    with pytest.raises(McdError, match="only brats2018 and hecktor2020 can be simulated"):
        load_config({"cohorts": {"mine": {**cohort, "simulate": {"subjects": 3}}}})
    (found,), _ = recognise(tmp_path)
    assert found.layout == "flat"
