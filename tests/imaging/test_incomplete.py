"""A preprocessed patient's folder that has lost a file is made again."""

from pathlib import Path

import pytest

from mcd.files import write_json
from mcd.imaging.incomplete import clear_incomplete


@pytest.mark.parametrize("gone", ["A.nii.gz", "label.nii.gz", "info.json"])
def test_a_patient_whose_folder_lacks_a_file_is_made_again(tmp_path: Path, gone: str) -> None:
    for name in ("whole", "without label", "broken"):
        folder = tmp_path / name
        folder.mkdir()
        write_json(folder / "info.json", {"modalities": ["A", "B"], "label": None if "without" in name else {"ml": {}}})
        for volume in ("A", "B", *([] if "without" in name else ["label"])):
            (folder / f"{volume}.nii.gz").write_bytes(b"voxels")
    (tmp_path / "broken" / gone).unlink()
    folders = [tmp_path / name for name in ("whole", "without label", "broken", "not made yet")]
    (said,) = clear_incomplete(folders)
    assert said == f"{tmp_path / 'broken'}: {gone} is missing; removed, so that the patient is preprocessed again"
    assert [folder.name for folder in folders if folder.exists()] == ["whole", "without label"]
