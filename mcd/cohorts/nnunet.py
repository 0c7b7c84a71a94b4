"""The layout of nnU-Net, v1 and v2: `imagesTr/<id>_0000.nii.gz`, one file per channel, and `labelsTr/<id>.nii.gz`.

`dataset.json` names channels, labels and regions, and in v2 the ending of the files. Who tests: the patients of `imagesTs`,
if they have labels (`labelsTs`), else the validation patients of the first fold of `splits_final.json`, beside
`dataset.json` or where nnU-Net writes it (`nnUNet_preprocessed/<dataset>`). Test patients without labels are left out.
"""

import re
from dataclasses import replace
from pathlib import Path

from mcd.cohorts.dataset_json import NAME, channels_in, read_dataset_json, regions_in
from mcd.cohorts.layout import Fault, Layout, Regions, choose_modalities, faults, patients_by_name, refuse
from mcd.errors import McdError
from mcd.files import read_json
from mcd.subject import Subject

_SPLITS = "splits_final.json"


def subjects(folder: Path, modalities: list[str] | None = None, fault: Fault = refuse) -> list[Subject]:
    """Return the patients with labels, of training and of test, sorted by id."""
    folder = Path(folder)
    content = read_dataset_json(folder)
    channels, ending = channels_in(content), str(content.get("file_ending", ".nii.gz"))
    chosen = choose_modalities(modalities, tuple(channels), "nnunet")

    def found_in(part: str) -> list[Subject]:
        def place(one: str, what: str) -> Path:
            if what == "label":
                return folder / f"labels{part}" / f"{one}{ending}"
            return folder / f"images{part}" / f"{one}_{channels[what]:04d}{ending}"

        names = (path.name for path in (folder / f"images{part}").glob(f"*{ending}"))
        numbered = (re.fullmatch(rf"(.+)_\d{{4}}{re.escape(ending)}", name) for name in names)
        return patients_by_name({match[1] for match in numbered if match}, place, chosen, fault)

    train = found_in("Tr")
    if not train:
        raise McdError(f"{folder}: no imagesTr/<id>_0000{ending} in it; give the folder that holds {NAME} and imagesTr")
    test = [one for one in found_in("Ts") if one.label] if (folder / "labelsTs").is_dir() else []
    if test:
        train, test = [replace(one, split="train") for one in train], [replace(one, split="test") for one in test]
    else:
        held_out: set[str] = set()
        with faults(fault):
            held_out = _validation(folder, {one.id for one in train})
        train = [replace(one, split="test" if one.id in held_out else "train") for one in train] if held_out else train
    return sorted([*train, *test], key=lambda subject: subject.id)


def _validation(folder: Path, patients: set[str]) -> set[str]:
    """The validation patients of the first fold; none where there is no file of splits, or one of other patients."""
    name = folder.resolve().name
    places = [folder, *(above / "nnUNet_preprocessed" / name for above in folder.resolve().parents[1:3])]
    path = next((place / _SPLITS for place in places if (place / _SPLITS).is_file()), None)
    if path is None:
        return set()
    try:
        fold = read_json(path)[0]
        train, validation = set(map(str, fold["train"])), set(map(str, fold["val"]))
    except (IndexError, KeyError, TypeError):
        raise McdError(f"{path}: not a list of folds with train and val; correct or remove it") from None
    if train | validation != patients or train & validation:
        raise McdError(f"{path}: the first fold does not divide the patients of {folder}; correct or remove it")
    return validation


def regions(folder: Path) -> Regions:
    """Return the regions that `dataset.json` names."""
    return regions_in(read_dataset_json(folder))


LAYOUT = Layout(subjects, regions=regions)
