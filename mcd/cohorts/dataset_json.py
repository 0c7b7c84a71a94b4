"""The `dataset.json` of the Medical Segmentation Decathlon and of nnU-Net: the names of channels and of label codes.

The Decathlon and nnU-Net v1 have `modality` and `labels` by number ("0": "FLAIR", "1": "edema"); nnU-Net v2 has
`channel_names` by number and `labels` by name, of one code or, for regions that overlap, of several.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcd.cohorts.file_names import modality_in, words_of
from mcd.cohorts.layout import Regions
from mcd.errors import McdError
from mcd.files import read_json
from mcd.subject import RESERVED

NAME = "dataset.json"


def read_dataset_json(folder: Path) -> dict[str, Any]:
    """Return the content of `folder`/dataset.json; `McdError` where it is missing or says no channels and labels."""
    path = folder / NAME
    if not path.is_file():
        raise McdError(f"{folder}: no {NAME} in it; give the folder that holds it")
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("labels"), dict) or not _channel_names(content):
        raise McdError(f"{path}: no names of channels and labels; correct it")
    return content


def channels_in(content: Mapping[str, Any]) -> dict[str, int]:
    """Return modality -> number of the channel, in the order of the numbers."""
    found: dict[str, int] = {}
    for number, text in sorted((int(number), str(text)) for number, text in _channel_names(content).items()):
        name = modality_in(words_of(text)) or re.sub(r"[^A-Za-z0-9]+", "", text)
        if not re.match(r"[A-Za-z]", name) or name.lower() in RESERVED:
            name = f"M{name or number}"
        found[f"{name}{number}" if name in found else name] = number
    return found


def regions_in(content: Mapping[str, Any]) -> Regions:
    """Return region -> codes, without the background and what is to be ignored."""
    labels: Mapping[str, Any] = content["labels"]
    if all(re.fullmatch(r"\d+", str(key)) for key in labels):  # code -> name
        labels = {str(name): code for code, name in labels.items()}
    found: dict[str, tuple[int, ...]] = {}
    for text, codes in labels.items():
        numbers = tuple(int(code) for code in (codes if isinstance(codes, list) else [codes]))
        name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")
        if text.lower() not in ("background", "ignore") and any(numbers):
            found[name or f"code{numbers[0]}"] = numbers
    return found


def _channel_names(content: Mapping[str, Any]) -> Mapping[str, Any]:
    names = content.get("channel_names") or content.get("modality")
    if not isinstance(names, dict) or not all(re.fullmatch(r"\d+", str(number)) for number in names):
        return {}
    return names
