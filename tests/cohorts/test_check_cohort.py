"""One pass finds every fault that was planted, and nothing in a cohort that is good."""

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from dicom_files import write_structures
from pydicom import dcmread

from mcd.cli import main
from mcd.cohorts.fit import LEAST_GAIN, gain
from mcd.imaging.geometry import Grid
from mcd.imaging.preprocess import Preprocessed
from mcd.imaging.write_volume import write_volume

GRID = Grid((48, 48, 40), (4.0, 4.0, 4.0), (-96.0, -96.0, -80.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))


def scans(seed: int, grid: Grid = GRID) -> dict[str, np.ndarray]:
    """Two modalities of one body, whose tissues they show differently, and a label with codes 1 and 2."""
    rng = np.random.default_rng(seed)
    z, y, x = (np.indices(grid.shape).T * 4.0 - np.asarray(grid.shape) * 2.0).T  # mm around the middle
    body = (z / 70) ** 2 + (y / 80) ** 2 + (x / 70) ** 2 < 1
    tissue = np.zeros(grid.shape, dtype=int)
    for number in range(1, 30):
        centre = rng.uniform(-50, 50, 3)
        near = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 < rng.uniform(8, 25) ** 2
        tissue[near] = number
    label = np.where((z**2 + y**2 + x**2) < 15**2, 2, 0)
    label[(z**2 + y**2 + x**2) < 8**2] = 1
    first, second = rng.uniform(50, 200, (2, 30))
    noise = rng.normal(0, 3, (2, *grid.shape))
    return {
        "A": np.where(body, first[tissue] + noise[0], 0).astype(np.float32),
        "B": np.where(body, second[tissue] + noise[1], 0).astype(np.float32),
        "label": (label * body).astype(np.uint8),
    }


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five patients with nothing wrong, a sheet and a configuration."""
    folder = tmp_path_factory.mktemp("good")
    for number in range(5):
        for name, array in scans(number).items():
            write_volume(GRID.image(array), folder / f"p{number}_{name}.nii.gz")
    write_sheet(folder, [f"p{number}" for number in range(5)])
    write_config(folder)
    return folder


def write_sheet(folder: Path, names: list[str]) -> None:
    rows = [f"{name}\t{name}_A.nii.gz\t{name}_B.nii.gz\t{name}_label.nii.gz\n" for name in names]
    (folder / "sheet.tsv").write_text("subject\tA\tB\tlabel\n" + "".join(rows))


def write_config(folder: Path, regions: dict[str, list[int]] | None = None, **more: object) -> None:
    cohort = {
        "layout": "samplesheet",
        "sheet": str(folder / "sheet.tsv"),
        "modalities": ["A", "B"],
        "pairs": ["A-B"],
        "regions": regions or {"all": [1, 2]},
        "preprocessing": {"size": [48, 48], "spacing": [4, 4, 4]},
        **more,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump({"cohorts": {"mine": cohort}}))


def check(folder: Path, *arguments: str) -> tuple[int, list[dict[str, str]]]:
    table = folder / "found.csv"
    status = main(["check-cohort", "--config", str(folder / "config.yaml"), "--output", str(table), *arguments])
    with open(table, newline="") as stream:
        return status, list(csv.DictReader(stream))


@pytest.fixture
def cohort(good: Path, tmp_path: Path) -> Path:
    shutil.copytree(good, tmp_path, dirs_exist_ok=True)
    write_config(tmp_path)
    write_sheet(tmp_path, [f"p{number}" for number in range(5)])
    return tmp_path


def test_a_good_cohort_passes(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(good, "--jobs", "2") == (0, [])
    assert "5 patients checked, 5 without a finding: 0 errors, 0 warnings" in capsys.readouterr().out


def test_every_planted_fault_is_found_in_one_pass(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cohort / "p0_B.nii.gz").unlink()
    content = (cohort / "p1_A.nii.gz").read_bytes()
    (cohort / "p1_A.nii.gz").write_bytes(content[: len(content) // 2])
    elsewhere = Grid(GRID.size, GRID.spacing, (2000.0, 0, 0), GRID.direction)
    write_volume(elsewhere.image(scans(2)["B"]), cohort / "p2_B.nii.gz")
    write_volume(GRID.image(np.zeros(GRID.shape, np.uint8)), cohort / "p3_label.nii.gz")
    write_volume(GRID.image(scans(4)["label"] + 0.5), cohort / "p4_label.nii.gz")
    write_volume(GRID.image(np.full(GRID.shape, 7.0, np.float32)), cohort / "p4_B.nii.gz")
    for name in ("A", "B", "label"):
        shutil.copy(cohort / f"p3_{name}.nii.gz", cohort / f"p5_{name}.nii.gz")
    write_sheet(cohort, ["p0", "p1", "p2", "p3", "p4", "p5", "p6 x", "p3"])
    status, found = check(cohort)
    assert status == 1
    assert all(row["problem"] and row["remedy"] for row in found), found

    def said(patient: str, file: str, problem: str, severity: str = "error") -> bool:
        return any(
            (row["patient"], row["severity"]) == (patient, severity)
            and file in row["file"]
            and problem in row["problem"]
            for row in found
        )

    assert said("p0", "sheet.tsv, line 2, column B", "p0_B.nii.gz does not exist")
    assert said("p1", "p1_A.nii.gz", "not a readable volume")
    assert said("p2", "p2_B.nii.gz", "does not overlap the crop")
    assert said("p3", "p3_label.nii.gz", "the label is empty", "warning")
    assert said("p4", "p4_label.nii.gz", "not every voxel is a whole number")
    assert said("p4", "p4_B.nii.gz", "constant over its region")  # although the label had failed before
    assert said("p5", "p5_A.nii.gz", "the same voxels as A of p3")
    assert said("p6 x", "line 8, column subject", "'p6 x' is not allowed")
    assert said("p6 x", "column label", "p6 x_label.nii.gz does not exist")
    assert said("p3", "line 9, column subject", "p3 appears twice")
    printed = capsys.readouterr()
    assert printed.out.index("errors: patient") < printed.out.index("warnings: patient")
    assert printed.err.splitlines()[-1].startswith("error: mine: ")


def test_codes_and_labels_are_compared_over_the_cohort(cohort: Path) -> None:
    write_config(cohort, {"core": [1], "rim": [3, 4]})
    text = (cohort / "sheet.tsv").read_text()
    (cohort / "sheet.tsv").write_text(text.replace("p1_label.nii.gz", ""))
    status, found = check(cohort)
    assert status == 1
    assert [(row["severity"], row["problem"]) for row in found] == [
        ("warning", "code 2 is in no region, and in 4 labels: p0, p2, p3 and 1 more"),
        ("error", "region rim: none of its codes (3, 4) is in any label"),
    ]


def test_patients_without_a_label_are_counted_and_never_test(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header, *rows = (cohort / "sheet.tsv").read_text().splitlines()
    rows = [row.replace(f"p{number}_label.nii.gz", "") if number > 2 else row for number, row in enumerate(rows)]
    (cohort / "sheet.tsv").write_text("\n".join([header, *rows]) + "\n")
    assert check(cohort) == (0, [])
    assert "5 patients checked (2 of them without a label), 5 without a finding" in capsys.readouterr().out
    parts = ["train", "test", "train", "", "test"]
    rows = [f"{row}\t{part}" for row, part in zip(rows, parts, strict=True)]
    (cohort / "sheet.tsv").write_text("\n".join([f"{header}\tsplit", *rows]) + "\n")
    status, found = check(cohort)
    assert status == 1
    assert [row["problem"] for row in found] == ["the split column has p4 test, without a label"]


@pytest.mark.parametrize(
    ("ids", "alike"),
    [
        (["G-00-000", "G-00-001", "G-01-000", "G-02-000", "G-03-000"], "2 patients differ .*: G-00-000, G-00-001"),
        (["h2022_1", "h2022_2", "h2022_3", "h2022_4", "h2022_5"], None),
        (["lung_1", "lung_2", "head_1", "head_2", "head_3"], None),
        (["SIM0001", "SIM0002", "SIM0003", "SIM0004", "SIM0005"], None),
    ],
)
def test_ids_that_look_like_scans_of_one_person_are_named(cohort: Path, ids: list[str], alike: str | None) -> None:
    header, *rows = (cohort / "sheet.tsv").read_text().splitlines()
    rows = [f"{name}\t{row.partition(chr(9))[2]}" for name, row in zip(ids, rows, strict=True)]
    (cohort / "sheet.tsv").write_text("\n".join([header, *rows]) + "\n")
    status, found = check(cohort)
    assert status == 0
    assert [bool(re.search(alike, row["problem"])) for row in found] == [True] if alike else not found
    if alike:
        rows = [f"{row}\t{name[:4]}" for name, row in zip(ids, rows, strict=True)]
        (cohort / "sheet.tsv").write_text("\n".join([f"{header}\tpatient", *rows]) + "\n")
        assert check(cohort) == (0, [])


def test_a_patient_in_another_unit_and_masks_for_some_are_warnings(cohort: Path) -> None:
    write_volume(GRID.image(scans(3)["A"] / 1000 - 0.1), cohort / "p3_A.nii.gz")
    write_volume(GRID.image((scans(0)["A"] > 0).astype(np.uint8)), cohort / "p0_mask.nii.gz")
    header, first, *rest = (cohort / "sheet.tsv").read_text().splitlines()
    lines = [f"{header}\tmask", f"{first}\tp0_mask.nii.gz", *(f"{line}\t" for line in rest)]
    (cohort / "sheet.tsv").write_text("\n".join(lines) + "\n")
    status, found = check(cohort)
    assert status == 0
    ((unit, *_), (masks, *_)) = ([row for row in found if word in row["problem"]] for word in ("unit", "mask"))
    assert (unit["patient"], unit["severity"], Path(unit["file"]).name) == ("p3", "warning", "p3_A.nii.gz")
    assert masks["problem"].startswith("4 of 5 patients have no mask (p1, p2, p3 and 1 more)")
    assert len(found) == 2


def test_a_label_that_lost_its_header_is_noticed(cohort: Path) -> None:
    bare = Grid(GRID.size, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), GRID.direction)
    write_volume(bare.image(scans(0)["label"]), cohort / "p0_label.nii.gz")
    status, found = check(cohort)
    assert status == 0
    assert [(row["patient"], row["severity"]) for row in found] == [("p0", "warning")]
    assert "the label has the size of A, but a corner lies" in found[0]["problem"]


@pytest.mark.parametrize("second", ["Gtv ", "BODY"])
def test_a_number_that_means_two_things_is_noticed(cohort: Path, second: str) -> None:
    """A clinic numbers its regions of interest anew for each patient."""
    corners = np.array([[3, 3], [9, 3], [9, 9], [3, 9]])
    outlines = [GRID.world(np.column_stack([corners, np.full(4, z)]).astype(float)) for z in range(2, 6)]
    for patient, name in (("p0", "GTV"), ("p1", second)):
        write_structures(cohort / f"{patient}_label.dcm", {1: outlines})
        made = dcmread(cohort / f"{patient}_label.dcm")
        made.StructureSetROISequence[0].ROIName = name
        made.save_as(cohort / f"{patient}_label.dcm")
        sheet = (cohort / "sheet.tsv").read_text()
        (cohort / "sheet.tsv").write_text(sheet.replace(f"{patient}_label.nii.gz", f"{patient}_label.dcm"))
    status, found = check(cohort)
    assert status == 0
    said = [row["problem"] for row in found if "several names" in row["problem"]]
    assert said == (["code 1 of the labels has several names: gtv in p0; body in p1"] if second == "BODY" else [])
    write_config(cohort, {"other": [2]})
    _, found = check(cohort)
    called = "GTV, BODY" if second == "BODY" else "GTV, Gtv"
    assert any(row["problem"].startswith(f"code 1 ({called}) is in no region, and in 5 labels") for row in found)


def test_with_names_each_patient_s_numbers_are_its_own(cohort: Path) -> None:
    """What is outlined has another number in each patient; one patient has none of the names."""
    corners = np.array([[3, 3], [9, 3], [9, 9], [3, 9]])
    outlines = [GRID.world(np.column_stack([corners, np.full(4, z)]).astype(float)) for z in range(2, 6)]
    for number in range(5):
        write_structures(cohort / f"p{number}_label.dcm", {number + 1: outlines, 9: [outlines[0] + 1]})
        made = dcmread(cohort / f"p{number}_label.dcm")
        made.StructureSetROISequence[0].ROIName = "GTV" if number < 4 else "tumour"
        made.save_as(cohort / f"p{number}_label.dcm")
    (cohort / "sheet.tsv").write_text((cohort / "sheet.tsv").read_text().replace("_label.nii.gz", "_label.dcm"))
    preprocessing = {"size": [48, 48], "spacing": [4, 4, 4], "label_names": {"gtv": 1, "GTV_2": 1}}
    write_config(cohort, {"tumour": [1]}, preprocessing=preprocessing)
    status, found = check(cohort)
    assert status == 1
    assert [(row["patient"], row["problem"]) for row in found] == [
        ("p4", "has none of GTV_2, gtv, but tumour, region 9")
    ]


def test_a_label_that_lost_its_header_and_has_another_size_is_noticed(cohort: Path) -> None:
    voxels = scans(0)["label"][:-1, :, :-2]
    bare = Grid(voxels.shape[::-1], (1.0, 1.0, 1.0), GRID.origin, GRID.direction)
    write_volume(bare.image(voxels), cohort / "p0_label.nii.gz")
    status, found = check(cohort)
    assert status == 0
    assert [(row["patient"], row["severity"]) for row in found] == [("p0", "warning")]
    assert re.match(r"the label covers \d+% of the crop, A 96%", found[0]["problem"])


@pytest.mark.parametrize("fault", ["flipped", "shifted", "swapped"])
def test_modalities_that_do_not_fit_are_a_warning(cohort: Path, fault: str) -> None:
    second = scans(0)["B"]
    if fault == "flipped":
        write_volume(GRID.image(second[::-1].copy()), cohort / "p0_B.nii.gz")
    elif fault == "shifted":
        write_volume(GRID.image(np.roll(second, 8, axis=1)), cohort / "p0_B.nii.gz")
    else:
        shutil.move(cohort / "p1_B.nii.gz", cohort / "x")
        shutil.move(cohort / "p0_B.nii.gz", cohort / "p1_B.nii.gz")
        shutil.move(cohort / "x", cohort / "p0_B.nii.gz")
    status, found = check(cohort)
    assert status == 0
    assert {row["patient"] for row in found} == ({"p0", "p1"} if fault == "swapped" else {"p0"})
    assert all(row["severity"] == "warning" and "fits A hardly better" in row["problem"] for row in found)


def test_modalities_are_compared_as_they_are_registered(cohort: Path) -> None:
    moved = GRID.cropped((-6, 0, 0), GRID.size)
    for number in range(2):
        write_volume(moved.image(scans(number)["B"]), cohort / f"p{number}_B.nii.gz")
    write_sheet(cohort, ["p0", "p1", "p2"])
    (cohort / "p2_B.nii.gz").unlink()
    preprocessing = {"size": [48, 48], "spacing": [4, 4, 4]}
    write_config(cohort, preprocessing=preprocessing)
    _, found = check(cohort)
    assert [row["patient"] for row in found] == ["p2", "p0", "p1"]  # a missing file, and two that do not fit
    write_config(cohort, preprocessing={**preprocessing, "registration": {"B": "rigid"}})
    _, found = check(cohort)
    assert [row["patient"] for row in found] == ["p2"]


def test_a_small_field_of_view_is_a_warning(cohort: Path) -> None:
    part = GRID.cropped((0, 0, 0), (48, 48, 15))
    write_volume(part.image(scans(0)["B"][:15]), cohort / "p0_B.nii.gz")
    _, found = check(cohort)
    assert {row["patient"] for row in found} == {"p0"}
    assert any(re.fullmatch(r"covers 3\d% of the crop, A 9\d%", row["problem"]) for row in found)


def test_the_split_column_and_the_number_of_patients_are_checked(cohort: Path) -> None:
    rows = (cohort / "sheet.tsv").read_text().splitlines()[:3]
    (cohort / "sheet.tsv").write_text(f"{rows[0]}\tsplit\n{rows[1]}\ttrain\n{rows[2]}\t\n")
    status, found = check(cohort)
    assert status == 1
    assert "the split column is empty for p1" in found[0]["problem"]


def test_gain_is_about_one_for_images_that_share_nothing() -> None:
    rng = np.random.default_rng(0)
    volumes = {name: rng.normal(size=GRID.shape).astype(np.float32) for name in ("A", "B")}
    regions = {name: np.ones(GRID.shape, dtype=bool) for name in volumes}
    pre = Preprocessed(volumes, None, regions, GRID)
    assert gain(pre, "A", "B") == pytest.approx(1, abs=0.15)
    assert gain(pre, "A", "A") > 10
    few = Preprocessed({name: volume[:2] for name, volume in volumes.items()}, None, regions, GRID)
    few = Preprocessed(few.volumes, None, {name: region[:2] for name, region in regions.items()}, GRID)
    assert np.isnan(gain(few, "A", "B")) or gain(few, "A", "B") < LEAST_GAIN


def test_mistakes_of_the_command_are_one_line(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(cohort / "config.yaml")
    assert main(["check-cohort", "--config", config, "--cohort", "yours"]) == 1
    assert "--cohort yours" in capsys.readouterr().err
    assert main(["check-cohort", "--config", str(cohort / "none.yaml")]) == 1
    assert "no such file" in capsys.readouterr().err


@pytest.mark.real
@pytest.mark.parametrize("name", ["brats_2013", "sarcoma_pet_ct"])
def test_real_patients_pass(name: str, real_patients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REAL_PATIENTS", str(real_patients))
    root = Path(__file__).parents[2]
    content = yaml.safe_load((root / f"configs/real/{name}.yaml").read_text())
    for cohort in content["cohorts"].values():
        cohort["sheet"] = str(root / cohort["sheet"])
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    assert check(tmp_path) == (0, [])
