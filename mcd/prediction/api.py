"""`mcd.predict`: new patients from Python."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from mcd.prediction.patient import Model, PatientPrediction, load_models, predict_patient
from mcd.prediction.postprocess import PostProcessing
from mcd.training.schedule import Compute


def load_model(path: str | Path, device: str = "auto") -> Model:
    """Return a fine-tuned model, to be used for several patients.

    Args:
        path: checkpoint of a fine-tuning.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.

    Raises:
        McdError: for a file that is no such checkpoint, and a device that is not there.
    """
    (model,) = load_models([path], Compute(device=device))
    return model


def predict(
    models: str | Path | Model | Sequence[str | Path | Model],
    images: Mapping[str, str | Path],
    *,
    mask: str | Path | None = None,
    box: Sequence[float] | None = None,
    fuse: str = "mean",
    largest_component: Collection[str] = (),
    fill_holes: Collection[str] = (),
    device: str = "auto",
) -> PatientPrediction:
    """Segment a new patient, as `mcd predict` does; nothing is written.

    Args:
        models: one or several, fused, each a checkpoint of a fine-tuning, or loaded by `load_model`.
        images: modality -> file or DICOM folder; the first one gives the grid. A model without an image is left out.
        mask: where intensities count; required if the training patients had one.
        box: (x1, x2, y1, y2, z1, z2) in mm, LPS: what is cropped to.
        fuse: `mean` of the probabilities, or `staple`.
        largest_component: regions of which only the largest component is kept.
        fill_holes: regions whose holes are filled.
        device: as of `load_model`.

    Returns:
        `masks` and `probabilities`, region -> (z, y, x) on the grid of the first image; `millilitres`, region -> volume;
        `warnings`, how the images differ from the training data; `save(path)` writes the label map.

    Raises:
        McdError: for models that do not fit together, an image without a model, and whatever cannot be read.
    """
    given = [models] if isinstance(models, str | Path | Model) else models
    loaded = [model if isinstance(model, Model) else load_model(model, device) for model in given]
    after = PostProcessing(tuple(largest_component), tuple(fill_holes))
    return predict_patient(loaded, images, mask=mask, box=box, how=fuse, after=after, compute=Compute(device=device))
