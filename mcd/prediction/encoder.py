"""A pre-trained encoder, taken out of its checkpoint."""

from pathlib import Path

from torch import Tensor

from mcd.errors import McdError
from mcd.models.encoder import Encoder
from mcd.models.unet import encoder_keys
from mcd.training.checkpoint import load_checkpoint


def encoder_state(path: str | Path, modality: str | None = None) -> tuple[dict[str, Tensor], int]:
    """Return the encoder's weights, by a `UNet`'s names, and its filters f.

    Args:
        path: a checkpoint of a pre-training or of a fine-tuning.
        modality: whose branch, of a pre-training; may be left out where there is one.

    Raises:
        McdError: for a modality that was not trained on, none where there are several, and a pre-training that left a part of
            the encoder as it was drawn.
    """
    checkpoint = load_checkpoint(path)
    about = checkpoint.description
    if checkpoint.kind == "segmentation":
        if modality not in (None, about["modality"]):
            raise McdError(f"{path}: was trained on {about['modality']}, not on {modality}; leave the modality out")
        state = checkpoint.weights["network"]
        return {key: state[key] for key in encoder_keys(state)}, about["filters"]
    if modality is None and len(checkpoint.weights) == 1:
        modality = next(iter(checkpoint.weights))
    if modality not in checkpoint.weights:
        known = ", ".join(checkpoint.weights)
        raise McdError(
            f"{path}: was pre-trained on {known}{f', not on {modality}' if modality else ''}; name one of them"
        )
    state = checkpoint.weights[modality]
    keys = encoder_keys(state)
    if missed := [key for key in keys if key not in about["trained"]]:
        raise McdError(f"{path}: its pre-training left {missed[0]} as it was drawn; take another method's encoder")
    return {key: state[key] for key in keys}, about["filters"]


def load_encoder(path: str | Path, modality: str | None = None) -> Encoder:
    """Return a pre-trained encoder, ready to be used (in evaluation mode, on the CPU).

    It takes slices (N, 1, H, W), H and W multiples of 16, preprocessed as the training data were, and gives pooled features
    (N, 16f); its method `encode` gives the five levels' feature maps. Arguments and errors are those of `encoder_state`.
    """
    state, filters = encoder_state(path, modality)
    encoder = Encoder(filters)
    encoder.load_state_dict(state)
    return encoder.eval()
