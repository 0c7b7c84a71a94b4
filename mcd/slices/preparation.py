"""How the subjects of shards were preprocessed, as recorded in a network's checkpoint. No torch, no image library."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mcd.errors import McdError
from mcd.imaging.alike import anatomical_spacing
from mcd.slices.shards import Shards
from mcd.version import UNKNOWN, lineage


def training_data(shards: Shards, subjects: Sequence[str], modality: str) -> dict[str, Any]:
    """How one modality of the training subjects was preprocessed, and the range of its raw images' voxel sizes and intensities.

    Returns:
        `preprocessing`: the options of `mcd.imaging.preprocess.PreprocessOptions`, with this modality's own
        `statistics_region`. `masked`, `boxed`: whether every subject came with a mask, with a box. `raw_spacing`:
        [smallest, largest] of the raw images in mm along (left-right, front-back, feet-head). `raw_intensity`: `p_low`
        and `p_high`, each [smallest, largest], the clipping bounds in the raw unit.

    Raises:
        McdError: if the subjects were not all preprocessed with the same options.
    """
    infos = [shards.subject(subject).info for subject in subjects]
    options = infos[0]["options"]
    for subject, info in zip(subjects, infos, strict=True):
        if info["options"] != options:
            raise McdError(
                f"{subject} was preprocessed with other options than {subjects[0]}; preprocess the whole cohort with one "
                "configuration"
            )
    rules = options["statistics_region"]
    own_rule = rules.get(modality, "nonzero") if isinstance(rules, Mapping) else rules
    spacings = np.array([anatomical_spacing(info["raw_grids"][modality]) for info in infos])
    statistics = [info["statistics"][modality] for info in infos]
    return {
        "preprocessing": {**options, "statistics_region": own_rule},
        "masked": all(numbers["region"] == "mask" for numbers in statistics),
        "boxed": all(info.get("boxed", False) for info in infos),
        "raw_spacing": [spacings.min(axis=0).tolist(), spacings.max(axis=0).tolist()],
        "raw_intensity": {
            key: [min(numbers[key] for numbers in statistics), max(numbers[key] for numbers in statistics)]
            for key in ("p_low", "p_high")
        },
    }


def raw_digests(shards: Shards, subjects: Sequence[str], modality: str) -> list[str]:
    """Digests of the subjects' raw images, sorted, by which one is known again under any name.

    A subject that was preprocessed by an earlier version has none.
    """
    infos = (shards.subject(subject).info for subject in subjects)
    return sorted(own for info in infos if (own := info.get("raw_digests", {}).get(modality)))


def prepared_by(shards: Shards, subjects: Sequence[str]) -> str:
    """The versions of the code that preprocessed some subjects (`mcd.version.lineage`)."""
    infos = (shards.subject(subject).info for subject in subjects)
    return lineage(*sorted({info.get("mcd_version", UNKNOWN) for info in infos}))
