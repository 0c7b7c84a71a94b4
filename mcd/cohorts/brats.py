"""The official layouts of BraTS 2019 to 2024: one folder per patient, which the names of its files repeat.

Until 2021 `<id>/<id>_{t1,t1ce,t2,flair,seg}.nii.gz` with enhancing tumour as code 4; since 2023
`<id>/<id>-{t1n,t1c,t2w,t2f,seg}.nii.gz` with enhancing tumour as code 3. An id tells the year: `BraTS19_...`, `BraTS20_...`,
`BraTS2021_00000`, and since 2023 `BraTS-GLI-00000-000`, a person's number and the number of the scan. Scans after treatment,
the glioma data of 2024, count from 100 and have the resection cavity as code 4. Patients may lie in the folder itself, or one
or two levels below (`HGG`, `LGG`, `training_data1_v2`).
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mcd.cohorts.layout import Fault, Layout, Regions, choose_modalities, patients_by_name, refuse
from mcd.errors import McdError
from mcd.subject import Subject

_UNTIL_2021 = {"T1": "_t1", "T1CE": "_t1ce", "T2": "_t2", "FLAIR": "_flair", "label": "_seg"}
_SINCE_2023 = {"T1": "-t1n", "T1CE": "-t1c", "T2": "-t2w", "FLAIR": "-t2f", "label": "-seg"}
_CODES_UNTIL_2021 = {"WT": (1, 2, 4), "TC": (1, 4), "ET": (4,)}
_CODES_2023 = {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)}
_CODES_2024 = {**_CODES_2023, "RC": (4,)}
_SCAN = re.compile(r"(BraTS-[A-Z]+-\d+)-(\d{3})")


def _layout(year: int, ids: str, endings: Mapping[str, str], regions: Regions) -> Layout:
    name, modalities = f"brats{year}", tuple(endings)[:-1]

    def find(folder: Path, asked: list[str] | None = None, fault: Fault = refuse) -> list[Subject]:
        """Return every patient of the year, sorted by id; one without a `seg` file has no label."""
        chosen = choose_modalities(asked, modalities, name)
        folders = {
            path.name: path
            for pattern in ("*", "*/*", "*/*/*")
            for path in sorted(folder.glob(pattern))
            if re.fullmatch(ids, path.name) and path.is_dir()
        }
        if not folders:
            raise McdError(f"{folder}: no folder of a patient of BraTS {year} in it; give the one that holds them")

        def place(patient: str, what: str) -> Path:
            path = folders[patient] / f"{patient}{endings[what]}.nii.gz"
            if what == "label" and not path.is_file():  # patient 355 of 2020 was published with a name of its own
                return next(folders[patient].glob("*_Segm.nii*"), path)
            return path

        found = patients_by_name(folders, place, chosen, fault)
        return [replace(one, person=_scan(one.id)[0]) for one in found] if year >= 2023 else found

    return Layout(find, modalities, regions=lambda folder: regions)


def _scan(patient: str) -> tuple[str, str]:
    """The person's id and the number of the scan."""
    found = _SCAN.fullmatch(patient)
    assert found, "the year's ids say so"
    return found[1], found[2]


BRATS2019 = _layout(2019, r"BraTS19_\w+", _UNTIL_2021, _CODES_UNTIL_2021)
BRATS2020 = _layout(2020, r"BraTS20_\w+", _UNTIL_2021, _CODES_UNTIL_2021)
BRATS2021 = _layout(2021, r"BraTS2021_\d+", _UNTIL_2021, _CODES_UNTIL_2021)
BRATS2023 = _layout(2023, r"BraTS-(GLI|MEN|MET|SSA)-\d+-0\d\d", _SINCE_2023, _CODES_2023)
BRATS2024 = _layout(2024, r"BraTS-GLI-\d+-\d{3}", _SINCE_2023, _CODES_2024)
