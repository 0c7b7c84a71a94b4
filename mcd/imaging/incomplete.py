"""Folders of preprocessed patients from which a file has vanished. No image library: the workflow asks when it is read."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from mcd.errors import McdError
from mcd.files import read_json


def clear_incomplete(folders: Iterable[Path]) -> Iterator[str]:
    """Remove folders of preprocessed patients in which a file is missing, so that they are made again; say which.

    To Snakemake a folder is made as long as it is there, whatever vanished from it.
    """
    for folder in folders:
        if missing := _missing(folder):
            shutil.rmtree(folder)
            yield f"{folder}: {missing} is missing; removed, so that the patient is preprocessed again"


def _missing(folder: Path) -> str | None:
    """The first file that a preprocessed patient's folder lacks; None where it is whole, or not there."""
    if not folder.is_dir():
        return None
    if not (folder / "info.json").is_file():
        return "info.json"
    try:
        info = read_json(folder / "info.json")
        names = [f"{modality}.nii.gz" for modality in info["modalities"]]
        names += ["label.nii.gz"] * (info["label"] is not None)
    except (McdError, KeyError, TypeError):  # whoever reads the folder says so
        return None
    return next((name for name in names if not (folder / name).is_file()), None)
