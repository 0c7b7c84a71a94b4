"""From a trained U-Net to probabilities, slice by slice."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mcd.models.unet import UNet
from mcd.slices.batches import SliceSet
from mcd.training.checkpoint import load_checkpoint
from mcd.training.device import autocast
from mcd.training.schedule import Compute

BATCH_SIZE = 64
"""Slices predicted at a time."""


def load_network(path: str | Path, device: torch.device) -> tuple[UNet, dict[str, Any]]:
    """The U-Net of a segmentation checkpoint, ready to predict, and the checkpoint's description."""
    checkpoint = load_checkpoint(path, "segmentation")
    description = checkpoint.description
    network = UNet(description["filters"], out_channels=len(description["regions"]))
    network.load_state_dict(checkpoint.weights["network"])
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval(), description


@torch.inference_mode()
def probabilities(network: nn.Module, images: Tensor, compute: Compute) -> np.ndarray:
    """The sigmoid outputs (N, regions, H, W) float32 for slices (N, 1, H, W) on the network's device."""
    with autocast(compute, images.device):
        logits = network(images)
    return torch.sigmoid(logits.float()).cpu().numpy()


def predict_slices(network: nn.Module, slices: SliceSet, batch_size: int, compute: Compute) -> np.ndarray:
    """The predicted probabilities (regions, slices, H, W) float32 of every slice."""
    predicted = [
        probabilities(network, slices.batch(np.arange(start, min(start + batch_size, len(slices)))).images, compute)
        for start in range(0, len(slices), batch_size)
    ]
    return np.concatenate(predicted).swapaxes(0, 1)


def predict_volume(network: nn.Module, volume: np.ndarray, device: torch.device, compute: Compute) -> np.ndarray:
    """The probabilities (regions, z, y, x) float32 of a preprocessed volume (z, y, x).

    Values pass through half precision, as in a shard, so that a patient's prediction does not depend on where it comes from.
    """
    slices = torch.from_numpy(volume.astype(np.float16).astype(np.float32)).unsqueeze(1)
    predicted = [
        probabilities(network, slices[start : start + BATCH_SIZE].to(device), compute)
        for start in range(0, len(slices), BATCH_SIZE)
    ]
    return np.concatenate(predicted).swapaxes(0, 1)
