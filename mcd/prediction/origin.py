"""Where a segmentation network comes from, and whether a new image is like its training data.

A network is valid only for images that are preprocessed like its training data, and that look like them. Both are known from
the shards, so fine-tuning records them in the checkpoint's description (`mcd.slices.preparation`). No torch and no image
library, so that training and prediction can both use this module.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mcd.imaging.alike import anatomical_spacing, another_unit, other_range, other_voxels, voxel_words
from mcd.methods import METHODS
from mcd.seeding import seed_words

INTENSITY_MARGIN = 0.5
"""Our choice: how far a percentile may lie outside the training data's, as a share of the distance between their percentiles.
It tolerates differences between scanners, and detects another modality. Another unit is named
(`mcd.imaging.alike.another_unit`, as between the patients of a cohort)."""


def unlike_training(description: Mapping[str, Any], info: Mapping[str, Any]) -> list[str]:
    """How a new image differs from the training data, one sentence per difference; empty if it is like them.

    Args:
        description: a segmentation checkpoint's.
        info: of the preprocessed new patient (docs/reference/formats.md, "Preprocessed subject").
    """
    modality = description["modality"]
    found = []
    smallest, largest = np.array(description["raw_spacing"])
    spacing = anatomical_spacing(info["raw_grids"][modality])
    if other_voxels(spacing, smallest, largest):
        known = " × ".join(_range(*bounds) for bounds in zip(smallest, largest, strict=True))
        found.append(f"{modality}: voxels of {voxel_words(spacing)}; in the training data {known}")
    known_low, known_high = (description["raw_intensity"][key] for key in ("p_low", "p_high"))
    margin = INTENSITY_MARGIN * (np.mean(known_high) - np.mean(known_low))
    numbers = info["statistics"][modality]
    own = numbers["p_low"], numbers["p_high"]
    training = list(zip(known_low, known_high, strict=True))
    if all(other_range(own, known) for known in training) or any(
        not bounds[0] - margin <= numbers[key] <= bounds[1] + margin
        for key, bounds in (("p_low", known_low), ("p_high", known_high))
    ):
        units = [another_unit(own, known) for known in training]
        found.append(
            f"{modality}: intensities from {numbers['p_low']:.4g} to {numbers['p_high']:.4g}; in the training data from "
            f"{_range(*known_low)} to {_range(*known_high)}"
            + (f": another unit, with {units[0]}" if all(units) else "")
        )
    return found


LEARNED = {
    "labelled": "its label was given away in training; what is found in it says nothing of other patients",
    "unlabelled": "the network was trained on it without its label; it is no new patient",
    "pretraining": "the network was pre-trained on it, without its label; it is no new patient",
}
"""Key of a checkpoint's `learned_from` -> what that means for an image among them."""


def among_training(description: Mapping[str, Any], info: Mapping[str, Any]) -> list[str]:
    """A sentence where the patient's image is one that the network has learned from, by its voxels, whatever it is called.

    Empty, too, for networks and patients of earlier versions, which have no digests. Arguments as `unlike_training`.
    """
    modality = description["modality"]
    own = info.get("raw_digests", {}).get(modality)
    learned = description.get("learned_from", {})
    words = next((words for how, words in LEARNED.items() if own in learned.get(how, ())), None)
    return [f"{modality}: this image was among the training data: {words}"] if words else []


def _range(low: float, high: float) -> str:
    one, other = f"{low:.3g}", f"{high:.3g}"
    return one if one == other else f"{one}..{other}"


def summary_line(description: Mapping[str, Any]) -> str:
    """A network in one line: the method, what it was trained on, and what it must not be used for."""
    method = description.get("method")
    name = METHODS[method].label if method in METHODS else description["algorithm"]
    cohort = description.get("cohort_title") or description.get("cohort", "an unnamed cohort")
    ratio = f"{100 * description['label_ratio']:g} % of the labels"
    simulated = ", simulated patients" if description.get("simulated") else ""
    patients = _patients(description)
    return (
        f"{description['modality']}: {name}, trained on {ratio} of {cohort}{simulated}{patients}, {seed_words(description)}. "
        "Not for clinical use."
    )


def _patients(description: Mapping[str, Any]) -> str:
    """How many patients a network learned from, such as ": 2 patients, and 31 without labels"; empty where it does not say."""
    labelled = description.get("card", {}).get("training", {}).get("labelled")
    if labelled is None:
        return ""
    learned = description.get("learned_from", {})
    others = len({*learned.get("unlabelled", ()), *learned.get("pretraining", ())} - {*learned.get("labelled", ())})
    return f": {labelled} patient{'' if labelled == 1 else 's'}" + (f", and {others} without labels" if others else "")
