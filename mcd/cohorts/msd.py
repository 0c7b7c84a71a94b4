"""The layout of the Medical Segmentation Decathlon: `imagesTr/<id>.nii.gz`, `labelsTr/<id>.nii.gz` and `dataset.json`.

An image is four-dimensional where there are several modalities, in the order of `modality`; `imagesTs`, whose labels are
not published, is left out.
"""

from pathlib import Path
from typing import Any

from mcd.cohorts.dataset_json import NAME, channels_in, read_dataset_json, regions_in
from mcd.cohorts.layout import Fault, Layout, Regions, choose_modalities, faults, refuse
from mcd.errors import McdError
from mcd.subject import Subject, check_id


def subjects(folder: Path, modalities: list[str] | None = None, fault: Fault = refuse) -> list[Subject]:
    """Return the training patients that `dataset.json` lists, sorted by id."""
    folder = Path(folder)
    content = read_dataset_json(folder)
    channels = channels_in(content)
    chosen = choose_modalities(modalities, tuple(channels), "msd")
    found = []
    for entry in _listed(content, folder):
        image = folder / entry["image"]
        identifier = image.name.removesuffix(".gz").removesuffix(".nii")
        with faults(fault, identifier):
            check_id(identifier, str(folder / NAME))
        label = folder / entry["label"]
        if image.is_file():
            images = {name: Path(f"{image}[{channels[name]}]") if len(channels) > 1 else image for name in chosen}
        else:
            fault(McdError(f"{image}: no such file; add it, or remove it from {NAME}"), identifier)
            images = {}
        found.append(Subject(identifier, images, label=label if label.is_file() else None))
    return sorted(found, key=lambda subject: subject.id)


def _listed(content: dict[str, Any], folder: Path) -> list[dict[str, str]]:
    """The entries of `training`, each with an image and a label."""
    listed = content.get("training")
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        raise McdError(f"{folder / NAME}: `training` lists no patients; the layout may be nnunet")
    if not all({"image", "label"} <= one.keys() for one in listed):
        raise McdError(f"{folder / NAME}: an entry of `training` is without image and label; correct it")
    if not any((folder / one["image"]).is_file() for one in listed):  # nnU-Net v1 lists images without their channels
        raise McdError(f"{folder / NAME}: none of the images that `training` lists is there; the layout may be nnunet")
    return listed


def regions(folder: Path) -> Regions:
    """Return the regions that `dataset.json` names."""
    return regions_in(read_dataset_json(folder))


LAYOUT = Layout(subjects, regions=regions)
