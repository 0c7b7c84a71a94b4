"""From a trained U-Net to masks, slice by slice, and the file that keeps them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import nn

from mcd.errors import McdError
from mcd.files import atomic_path
from mcd.models.unet import UNet
from mcd.slices.batches import SliceSet
from mcd.training.checkpoint import load_checkpoint
from mcd.training.schedule import Compute

PREDICTIONS_FORMAT = "mcd-predictions/1"
THRESHOLD = 0.5


def load_network(path: str | Path, device: torch.device) -> tuple[UNet, dict[str, Any]]:
    """The U-Net of a segmentation checkpoint, ready to predict, and the checkpoint's description."""
    checkpoint = load_checkpoint(path, "segmentation")
    description = checkpoint.description
    network = UNet(description["filters"], out_channels=len(description["regions"]))
    network.load_state_dict(checkpoint.weights["network"])
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval(), description


@torch.inference_mode()
def predict_slices(
    network: nn.Module, slices: SliceSet, batch_size: int, compute: Compute
) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true masks of every slice, both (regions, slices, H, W) bool; a sigmoid of 0.5 and above is in."""
    predicted, truth = [], []
    for start in range(0, len(slices), batch_size):
        batch = slices.batch(np.arange(start, min(start + batch_size, len(slices))))
        with compute.autocast(slices.device):
            logits = network(batch.images)
        predicted.append((torch.sigmoid(logits.float()) >= THRESHOLD).cpu().numpy())
        assert batch.targets is not None
        truth.append(batch.targets.bool().cpu().numpy())
    return np.concatenate(predicted).swapaxes(0, 1), np.concatenate(truth).swapaxes(0, 1)


def write_predictions(masks: Mapping[str, np.ndarray], regions: Sequence[str], path: str | Path) -> None:
    """Write (regions, slices, H, W) bool masks, one dataset a subject; region r is bit r of a voxel."""
    if len(regions) > 8:
        raise McdError(f"{path}: {len(regions)} regions, and a prediction holds 8; name fewer in `regions`")
    bits = (1 << np.arange(len(regions), dtype=np.uint8)).reshape(-1, 1, 1, 1)
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(format=PREDICTIONS_FORMAT, regions=list(regions))
        for subject, mask in masks.items():
            packed = (mask * bits).sum(axis=0, dtype=np.uint8)
            file.create_dataset(subject, data=packed, compression="gzip", compression_opts=1, fletcher32=True)


def read_predictions(path: str | Path, subject: str) -> dict[str, np.ndarray]:
    """The masks of one subject: region -> (slices, H, W) bool."""
    with h5py.File(path, "r") as file:
        if file.attrs.get("format") != PREDICTIONS_FORMAT:
            raise McdError(f"{path}: not a {PREDICTIONS_FORMAT} file; delete it to have it made again")
        if subject not in file:
            raise McdError(f"{path}: holds no prediction for {subject}")
        packed = file[subject][:]
        return {str(name): (packed >> bit & 1).astype(bool) for bit, name in enumerate(file.attrs["regions"])}


def region_codes(regions: Mapping[str, Sequence[int]], masks: Mapping[str, np.ndarray]) -> np.ndarray:
    """One label volume (z, y, x) uint8 from overlapping region masks, in the label's own codes where that can be.

    A region is painted with those of its codes that no smaller region inside it has, larger regions first: WT {1, 2, 4},
    TC {1, 4}, ET {4} become 2, 1 and 4, as in a BraTS file. Where a region has no code of its own, its place (1, 2, ...) is.
    """
    order = sorted(regions, key=lambda name: -len(regions[name]))
    out: np.ndarray = np.zeros(next(iter(masks.values())).shape, dtype=np.uint8)
    for name in order:
        smaller = [set(regions[other]) for other in order if set(regions[other]) < set(regions[name])]
        own = sorted(set(regions[name]) - set().union(*smaller))
        out[masks[name]] = own[0] if own else list(regions).index(name) + 1
    return out
