"""A new patient's segmentation: from raw images, preprocessed like the training data, to masks on a raw image's grid.

A network's checkpoint has all that is needed of its cohort (`mcd.prediction.origin`). Needs torch and the image library.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from mcd.errors import McdError
from mcd.imaging.geometry import Grid, array_of, nearest, to_raw_grid
from mcd.imaging.options import PreprocessOptions
from mcd.imaging.preprocess import Preprocessed, preprocess_subject
from mcd.imaging.write_volume import write_volume
from mcd.paths import nifti_suffix
from mcd.prediction.fusion import THRESHOLD, fuse
from mcd.prediction.masks import region_codes
from mcd.prediction.origin import among_training, unlike_training
from mcd.prediction.postprocess import PostProcessing
from mcd.prediction.slices import load_network, predict_volume
from mcd.subject import Subject
from mcd.training.device import prepare
from mcd.training.schedule import Compute


@dataclass(frozen=True)
class Model:
    """A network with its checkpoint's description, and its name in error messages."""

    network: nn.Module
    description: Mapping[str, Any]
    name: str = "model"

    @property
    def modality(self) -> str:
        return self.description["modality"]


@dataclass(frozen=True)
class PatientPrediction:
    """The segmentation of a patient.

    Attributes:
        grid: the first image's own.
        probabilities: region -> (z, y, x) float32 on `grid`.
        masks: region -> (z, y, x) bool on `grid`.
        prepared: what the networks saw, on the common grid.
        seen: region -> the masks on the common grid, for a picture.
        warnings: one sentence for each image that was among the training data, and each way in which one differs from them.
        regions: name -> label codes, as the networks were trained with.
    """

    grid: Grid
    probabilities: dict[str, np.ndarray]
    masks: dict[str, np.ndarray]
    prepared: Preprocessed
    seen: dict[str, np.ndarray]
    warnings: list[str]
    regions: Mapping[str, Sequence[int]]

    @property
    def label(self) -> np.ndarray:
        """One label map (z, y, x) uint8 in the codes of the training labels, see `mcd.prediction.masks.region_codes`."""
        return region_codes(self.regions, self.masks)

    def save(self, path: str | Path) -> None:
        """Write the label map as NIfTI, `.nii.gz` or `.nii`."""
        nifti_suffix(path)
        write_volume(self.grid.image(self.label), path)

    @property
    def millilitres(self) -> dict[str, float]:
        """Region -> volume in ml."""
        return {region: float(mask.sum()) * self.grid.voxel_ml for region, mask in self.masks.items()}


def load_models(paths: Sequence[str | Path], compute: Compute) -> list[Model]:
    """Load checkpoints of fine-tunings; `McdError` for one that does not say how its training data were preprocessed."""
    device = prepare(compute)
    models = []
    for path in paths:
        network, description = load_network(path, device)
        if "preprocessing" not in description:
            raise McdError(
                f"{path}: does not say how its training data were preprocessed; train it again with this version"
            )
        models.append(Model(network, description, str(path)))
    return models


def predict_patient(
    models: Sequence[Model],
    images: Mapping[str, str | Path],
    *,
    mask: str | Path | None = None,
    box: Sequence[float] | None = None,
    how: str = "mean",
    after: PostProcessing = PostProcessing(),  # noqa: B008, it cannot be changed
    compute: Compute | None = None,
) -> PatientPrediction:
    """Segment a patient with the networks of the available modalities, fused if there are several.

    The images are preprocessed as in training: one grid, which follows the first image's axes and field of view; a crop of the
    same in-plane size; intensity statistics over the same region. The crop is centred on `box`, as HECKTOR's is,
    or on the first image's content; a voxel outside it is background. Probabilities are resampled to the
    first image's own grid by linear interpolation, and thresholded at 0.5 there.

    Args:
        models: one or more, with the same regions and the same preprocessing.
        images: modality -> file or DICOM folder; the first one gives the grid. A model without an image is left out.
        mask: where intensities count; required if the training patients had one.
        box: (x1, x2, y1, y2, z1, z2) in mm, LPS; its slices are the ones predicted.
        how: `mean` or `staple`, see `mcd.prediction.fusion.fuse`.
        after: what is done to the masks on the first image's grid; probabilities stay.

    Raises:
        McdError: for models that do not fit together, an image without a model, and whatever preprocessing refuses.
    """
    compute = compute or Compute()
    device = prepare(compute)
    used = [model for model in models if model.modality in images]
    strangers = [modality for modality in images if modality not in {model.modality for model in used}]
    if strangers or not used:
        raise McdError(
            f"no model for {', '.join(strangers) or 'an image'}; the models are for "
            f"{', '.join(model.modality for model in models)}"
        )
    regions = list(used[0].description["regions"])
    _check_together(used)
    after.check(regions)
    if mask is None and (masked := [model.name for model in used if model.description["masked"]]):
        raise McdError(f"{masked[0]}: its training patients all had a mask; give this patient's by --mask")
    subject = Subject(
        "patient",
        {modality: Path(path) for modality, path in images.items()},
        mask=Path(mask) if mask else None,
        box=tuple(box) if box else None,
    )
    rules = {model.modality: model.description["preprocessing"]["statistics_region"] for model in used}
    options = PreprocessOptions(**{**used[0].description["preprocessing"], "statistics_region": rules})
    prepared = preprocess_subject(subject, options)
    found = fuse(
        [predict_volume(model.network, prepared.volumes[model.modality], device, compute) for model in used], how
    )
    raw = Grid.from_json(prepared.info["raw_grids"][next(iter(images))])
    probabilities = {
        region: array_of(to_raw_grid(volume, prepared.grid, raw)) for region, volume in zip(regions, found, strict=True)
    }
    warnings = [sentence for model in used for sentence in among_training(model.description, prepared.info)]
    warnings += prepared.info["warnings"]
    warnings += [sentence for model in used for sentence in unlike_training(model.description, prepared.info)]
    if box is None and all(model.description["boxed"] for model in used):
        warnings.append("no box: each training patient was cropped to a box, this one around the centre of its content")
    masks = {region: probability >= THRESHOLD for region, probability in probabilities.items()}
    seen = {region: volume >= THRESHOLD for region, volume in zip(regions, found, strict=True)}
    if after:  # the picture shows what is written: another component may be the largest on another grid
        masks = after.apply(masks)
        seen = {region: nearest(raw.image(mask), prepared.grid) > 0 for region, mask in masks.items()}
    return PatientPrediction(raw, probabilities, masks, prepared, seen, warnings, used[0].description["regions"])


def _check_together(models: Sequence[Model]) -> None:
    """Raise `McdError` unless the models have the same regions and, except for `statistics_region`, preprocessing."""
    first = models[0]
    for model in models[1:]:
        if model.description["regions"] != first.description["regions"]:
            raise McdError(
                f"{model.name}: predicts {', '.join(model.description['regions'])}, {first.name} "
                f"{', '.join(first.description['regions'])}; fuse models of one kind"
            )
        one, other = (
            {key: value for key, value in each.description["preprocessing"].items() if key != "statistics_region"}
            for each in (first, model)
        )
        if one != other:
            differing = next(key for key in {**one, **other} if one.get(key) != other.get(key))
            raise McdError(
                f"{model.name}: was trained with {differing} {other.get(differing)}, {first.name} with {one.get(differing)}; "
                "fuse models of one cohort"
            )
