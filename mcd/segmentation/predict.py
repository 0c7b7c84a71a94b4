"""From a trained U-Net to masks, slice by slice."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mcd.models.unet import UNet
from mcd.slices.batches import SliceSet
from mcd.training.checkpoint import load_checkpoint
from mcd.training.schedule import Compute

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
