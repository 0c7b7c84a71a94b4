"""A user's sample sheet: read as written, and every slip named by line and column."""

import csv
import re
from pathlib import Path

import pytest

from mcd.cohorts import samplesheet
from mcd.errors import McdError
from mcd.slices.splits import Origin, make_split


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    for name in ("a_ct.nii.gz", "a_pet.nrrd", "a_label.nii.gz", "b_ct.mha"):
        (tmp_path / name).touch()
    (tmp_path / "b_pet").mkdir()
    return tmp_path / "sheet.tsv"


HEADER = "subject\tCT\tPET\tlabel\tsplit\tage\n"
ROW_B = "b\tb_ct.mha\tb_pet\t\ttest\t61\n"
ROW_A = "a\ta_ct.nii.gz\ta_pet.nrrd\ta_label.nii.gz\t\t\n"


def test_reads_files_folders_labels_and_splits(sheet: Path) -> None:
    sheet.write_text(HEADER + ROW_B + "\n" + ROW_A)
    a, b = samplesheet.subjects(sheet, ["PET", "CT"])
    assert (a.id, b.id) == ("a", "b")
    assert list(a.images.items()) == [("PET", sheet.parent / "a_pet.nrrd"), ("CT", sheet.parent / "a_ct.nii.gz")]
    assert (a.label, a.split, a.mask) == (sheet.parent / "a_label.nii.gz", None, None)
    assert (b.images["PET"], b.label, b.split) == (sheet.parent / "b_pet", None, "test")


def test_relative_paths_count_from_the_root_and_absolute_ones_stand(sheet: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "sheet.tsv"
    elsewhere.parent.mkdir()
    elsewhere.write_text(f"subject\tCT\na\ta_ct.nii.gz\nb\t{tmp_path / 'b_ct.mha'}\n")
    subjects = samplesheet.subjects(elsewhere, ["CT"], root=tmp_path)
    assert [subject.images["CT"] for subject in subjects] == [tmp_path / "a_ct.nii.gz", tmp_path / "b_ct.mha"]
    with pytest.raises(McdError, match="line 2, column CT"):
        samplesheet.subjects(elsewhere, ["CT"])


def test_a_spreadsheet_s_byte_order_mark_and_line_ends_are_understood(sheet: Path) -> None:
    sheet.write_bytes(("\ufeff" + HEADER + ROW_A).replace("\n", "\r\n").encode())
    assert samplesheet.subjects(sheet, ["CT", "PET"])[0].id == "a"


def test_without_a_choice_every_other_column_is_a_modality(sheet: Path) -> None:
    sheet.write_text("subject\tCT\tPET\tlabel\n" + "a\ta_ct.nii.gz\ta_pet.nrrd\ta_label.nii.gz\n")
    assert list(samplesheet.subjects(sheet)[0].images) == ["CT", "PET"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (HEADER, "no row"),
        (HEADER.replace("\t", ","), "tab-separated, not comma"),
        (HEADER.replace("subject", "patient") + ROW_A, "no column 'subject'"),
        (HEADER.replace("PET", "PT") + ROW_A, r"no column 'PET' \(there are: .*PT"),
        (HEADER.replace("\t", "   ") + ROW_A, "blanks and no tab"),
        (HEADER.replace("age", "ct") + ROW_A, "'CT' appears twice"),
        (HEADER.replace("label", "labels") + ROW_A, "'labels' is nearly 'label'"),
        (HEADER.replace("split", "spilt") + ROW_A, "'spilt' is nearly 'split'"),
        (HEADER.replace("age", "masks") + ROW_A, "'masks' is nearly 'mask'"),
        (HEADER.replace("age", "patients") + ROW_A, "'patients' is nearly 'patient'"),
        (HEADER.replace("age", "boxes") + ROW_A, "'boxes' is nearly 'box'"),
        (HEADER.replace("age", "CT") + ROW_A, "'CT' appears twice"),
        (HEADER + ROW_A + ROW_A, "line 3, column subject: a appears twice"),
        (HEADER + ROW_A.replace("a\t", "../a\t", 1), "line 2, column subject.*'../a'"),
        (HEADER + ROW_A.replace("a\t", "Anna Ö\t", 1), "line 2, column subject"),
        (HEADER + ROW_B.replace("test", "Testing"), "line 2, column split: 'Testing'"),
        (HEADER + ROW_B.replace("b_pet", ""), "line 2, column PET: empty"),
        (HEADER + ROW_B + ROW_A.replace("a_label", "a_labels"), r"line 3, column label: .*a_labels\.nii\.gz does not"),
        (HEADER + "a\ta_ct.nii.gz\n", "line 2: 2 cells for 6 columns"),
        (HEADER.replace("age", "Center") + ROW_A, "'Center' is nearly 'centre'"),
        (HEADER.replace("age", "Patient") + ROW_B.replace("61", "Anna Ö"), "line 2, column patient.*'Anna Ö'"),
    ],
)
def test_names_the_line_the_column_and_the_remedy(sheet: Path, text: str, message: str) -> None:
    sheet.write_text(text, encoding="utf-8")
    with pytest.raises(McdError, match=message) as caught:
        samplesheet.subjects(sheet, ["CT", "PET"])
    assert str(caught.value).startswith(str(sheet))
    assert "\n" not in str(caught.value)


def test_columns_are_known_whatever_their_case(sheet: Path) -> None:
    """A `Split` that was overlooked would draw test patients into training."""
    sheet.write_text("SUBJECT\tct\tPet\tLabel\tSplit\n" + "a\ta_ct.nii.gz\ta_pet.nrrd\ta_label.nii.gz\ttest\n")
    (subject,) = samplesheet.subjects(sheet, ["CT", "PET"])
    assert list(subject.images) == ["CT", "PET"]
    assert subject.split == "test"
    assert subject.label == sheet.parent / "a_label.nii.gz"


def test_a_scan_knows_whose_it_is_and_where_it_was_taken(sheet: Path) -> None:
    header = "subject\tCT\tPatient\tcentre\tScanner\n"
    sheet.write_text(header + "a\ta_ct.nii.gz\tanna\tM.D. Anderson\tGE\n" + "b\tb_ct.mha\t\tMontréal\t\n")
    a, b = samplesheet.subjects(sheet)
    assert (a.person, a.centre, a.scanner) == ("anna", "M.D. Anderson", "GE")
    assert (b.person, b.centre, b.scanner) == (None, "Montréal", None)
    assert list(a.images) == ["CT"]


def test_a_column_that_is_not_used_is_named(sheet: Path, caplog: pytest.LogCaptureFixture) -> None:
    sheet.write_text(HEADER + ROW_A)
    samplesheet.subjects(sheet, ["CT"])
    assert [record.getMessage() for record in caplog.records] == [f"{sheet}: columns that are not used: PET, age"]


def test_tabs_at_the_ends_of_lines_are_no_columns(sheet: Path) -> None:
    sheet.write_text(HEADER.replace("\n", "\t\t\n") + ROW_A.replace("\n", "\t\t\n"))
    assert samplesheet.subjects(sheet, ["CT", "PET"])[0].id == "a"
    sheet.write_text(HEADER + ROW_A.replace("\n", "\t\t\n"))
    assert samplesheet.subjects(sheet, ["CT", "PET"])[0].id == "a"


def test_paths_in_a_sheet_are_those_of_a_configuration(sheet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCANS", str(sheet.parent))
    sheet.write_text("subject\tCT\na\t$SCANS/a_ct.nii.gz\n")
    assert samplesheet.subjects(sheet, ["CT"], root=Path("/elsewhere"))[0].images["CT"] == sheet.parent / "a_ct.nii.gz"
    sheet.write_text("subject\tCT\na\t$NOT_SET_AT_ALL/a_ct.nii.gz\n")
    with pytest.raises(McdError, match=r"line 2, column CT: .*the environment variable \$NOT_SET_AT_ALL is not set"):
        samplesheet.subjects(sheet, ["CT"])


def test_a_missing_sheet_a_folder_and_a_binary_are_errors(sheet: Path) -> None:
    with pytest.raises(McdError, match="no such file"):
        samplesheet.subjects(sheet, ["CT"])
    with pytest.raises(McdError, match="a folder, not a file"):
        samplesheet.subjects(sheet.parent, ["CT"])
    sheet.write_bytes(b"\xff\xfe\x00\x01subject")
    with pytest.raises(McdError, match="not a text in UTF-8"):
        samplesheet.subjects(sheet, ["CT"])


@pytest.mark.parametrize("name", ["T1-CE", "label", "Info", "T1 CE", "../CT"])
def test_a_modality_must_be_able_to_name_files_and_pairs(sheet: Path, name: str) -> None:
    sheet.write_text(f"subject\t{name}\na\ta_ct.nii.gz\n")
    with pytest.raises(McdError, match="modality name"):
        samplesheet.subjects(sheet, [name])


def test_the_documentations_sheet_is_read_and_split(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/reference/formats.md").read_text(encoding="utf-8")
    text = re.search(r"```\n(subject\t.*?)```", page, re.DOTALL)
    assert text
    (tmp_path / "sheet.tsv").write_text(text[1])
    for row in csv.DictReader(text[1].splitlines(), delimiter="\t"):
        for name in ("CT", "PET", "label"):
            path = tmp_path / row[name]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch() if path.suffix else path.mkdir()
    read = samplesheet.subjects(tmp_path / "sheet.tsv")
    assert [list(subject.images) for subject in read] == [["CT", "PET"]] * 2
    assert all(subject.label for subject in read)
    split = make_split(Origin("lung", 0.5, {subject.id: subject.split for subject in read}), 0)
    assert (split.train, split.test) == (["lung_01"], ["lung_02"])


def test_a_box_is_six_numbers_of_which_the_second_is_larger(sheet: Path) -> None:
    sheet.write_text("subject\tCT\tBox\na\ta_ct.nii.gz\t-1 143 0 144 5.5 149.5\nb\tb_ct.mha\t\n")
    a, b = samplesheet.subjects(sheet, ["CT"])
    assert (a.box, b.box) == ((-1.0, 143.0, 0.0, 144.0, 5.5, 149.5), None)
    for cell, what in (("1 2 3", "six numbers"), ("0 1 0 1 0 x", "six numbers"), ("1 0 0 1 0 1", "is empty")):
        sheet.write_text(f"subject\tCT\tbox\na\ta_ct.nii.gz\t{cell}\n")
        with pytest.raises(McdError, match=f"line 2, column box: .*{what}"):
            samplesheet.subjects(sheet, ["CT"])
