"""Transfer of pre-trained weights to a segmentation network (Sec. IV-D, Table VIII)."""

from torch import Tensor

from mcd.errors import McdError
from mcd.models.unet import LEVELS, UNet, layer_keys
from mcd.training.checkpoint import Checkpoint


def transfer(checkpoint: Checkpoint, unet: UNet, modality: str, depth: int, name: str = "checkpoint") -> list[str]:
    """Load the encoder, the shared layers and the first `depth` further up layers into `unet`; the rest stays random.

    The output layer is never transferred: it belongs to the task. `depth` counts from the shared layers or, if nothing is
    shared, from up layer 1, so that a row of Table VIII means the same for every variant. What the method did not
    pre-train (the decoder, for most baselines) stays random, too.

    Args:
        checkpoint: of kind `pretraining`.
        modality: whose branch to take.
        depth: 0 to 3; 3 is the paper's.
        name: of the checkpoint in error messages.

    Returns:
        The keys that were transferred, in the U-Net's order.

    Raises:
        McdError: naming the modality, or a key that is missing or has the wrong shape.
    """
    if modality not in checkpoint.weights:
        raise McdError(f"{name}: was pre-trained on {', '.join(checkpoint.weights)}, not on {modality}")
    source, target = checkpoint.weights[modality], unet.state_dict()
    trained = set(checkpoint.description["trained"])
    last_up_layer = min(max(checkpoint.description.get("shared", 1), 1) + depth, LEVELS - 1)
    keys = [key for key in layer_keys(target, last_up_layer) if key in trained]
    state: dict[str, Tensor] = {}
    for key in keys:
        if key not in source:
            raise McdError(f"{name}: {key} is missing for {modality}; pre-train again")
        if source[key].shape != target[key].shape:
            raise McdError(
                f"{name}: {key} has shape {tuple(source[key].shape)}, the network needs {tuple(target[key].shape)}; "
                "were `filters` changed since? pre-train again"
            )
        state[key] = source[key]
    strangers = trained - set(target)
    if strangers:
        raise McdError(f"{name}: {sorted(strangers)[0]} is not a layer of the U-Net; pre-train again")
    unet.load_state_dict(state, strict=False)
    return keys
