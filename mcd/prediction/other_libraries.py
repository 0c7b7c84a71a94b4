"""A pre-trained encoder as the state of another library's network, layer by layer, so that the features are the same.

Each library has a network whose encoder is the U-Net's of Table I: twice convolution (3x3, with bias), batch normalisation and
ReLU per level, and maximum pooling between levels. Only names differ, and how such a network is built: `RECIPES`.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from mcd.errors import McdError
from mcd.files import atomic_path
from mcd.models.unet import LEVELS
from mcd.prediction.encoder import encoder_state

_KEY = re.compile(r"encoder\.(\d)\.(\d)\.(\w+)")
_CONVOLUTIONS, _NORMS = (0, 3), (1, 4)  # places in a `ConvBlock`

_RECIPES = {
    "monai": """\
import torch
from monai.networks.nets import BasicUNet

network = BasicUNet(
    spatial_dims=2,
    in_channels=1,
    out_channels=1,
    features=({widths}, {filters}),
    act="relu",
    norm="batch",
    upsample="deconv",
)
network.load_state_dict(torch.load({file}, weights_only=True), strict=False)
""",
    "smp": """\
import segmentation_models_pytorch as smp
import torch
from segmentation_models_pytorch.encoders.vgg import VGGEncoder

smp.encoders.encoders["multi_condos"] = {{
    "encoder": VGGEncoder,
    "pretrained_settings": {{}},
    "params": {{
        "out_channels": [{widths}],
        "config": [{config}],
        "batch_norm": True,
    }},
}}
network = smp.Unet(
    "multi_condos", encoder_depth=4, encoder_weights=None, decoder_channels=({decoder}), in_channels=1, classes=1
)
network.load_state_dict(torch.load({file}, weights_only=True), strict=False)
""",
    "nnunet": """\
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from dynamic_network_architectures.building_blocks.plain_conv_encoder import PlainConvEncoder
from torch import nn

options = dict(
    input_channels=1,
    n_stages=5,
    features_per_stage=[{widths}],
    conv_op=nn.Conv2d,
    kernel_sizes=3,
    strides=[1, 2, 2, 2, 2],
    n_conv_per_stage=2,
    conv_bias=True,
    norm_op=nn.BatchNorm2d,
    nonlin=nn.ReLU,
)
network = PlainConvUNet(**options, num_classes=2, n_conv_per_stage_decoder=2)
network.encoder = network.decoder.encoder = PlainConvEncoder(**options, return_skips=True, pool="max")
network.load_state_dict(torch.load({file}, weights_only=True), strict=False)
""",
}


def recipe(library: str, filters: int, file: str | Path) -> str:
    """Return Python code that builds a library's network with the encoder of a file of `export_encoder`."""
    widths = [filters * 2**level for level in range(LEVELS)]
    config = [place for width in widths for place in (width, width, '"M"')][:-1]
    return _RECIPES[library].format(
        filters=filters,
        widths=", ".join(map(str, widths)),
        config=", ".join(map(str, config)),
        decoder=", ".join(map(str, widths[-2::-1])),
        file=json.dumps(str(file)),
    )


def _monai(level: int, place: int) -> Iterator[str]:
    block = f"down_{level}.convs" if level else "conv_0"
    number, part = (place // 3, "conv" if place in _CONVOLUTIONS else "adn.N")
    yield f"{block}.conv_{number}.{part}"


def _smp(level: int, place: int) -> Iterator[str]:
    yield f"encoder.features.{7 * level + place}"  # six modules per level, and the pooling


def _nnunet(level: int, place: int) -> Iterator[str]:
    block = f"encoder.stages.{level}.{min(level, 1)}.convs.{place // 3}"  # behind the pooling, except for the first
    yield f"{block}.{'conv' if place in _CONVOLUTIONS else 'norm'}"
    yield f"{block}.all_modules.{int(place in _NORMS)}"  # the same layer's second name


LIBRARIES: dict[str, Callable[[int, int], Iterator[str]]] = {"monai": _monai, "smp": _smp, "nnunet": _nnunet}
"""Library -> the names that a layer, of a level and at a place of its `ConvBlock`, has there."""


def renamed(state: dict[str, Tensor], library: str) -> dict[str, Tensor]:
    """Return an encoder's weights, given by a `UNet`'s names, by another library's."""
    found = {}
    for key, value in state.items():
        match = _KEY.fullmatch(key)
        assert match, f"{key} is no weight of an encoder"
        for name in LIBRARIES[library](int(match[1]), int(match[2])):
            found[f"{name}.{match[3]}"] = value
    return found


def export_encoder(path: str | Path, library: str, output: str | Path, modality: str | None = None) -> str:
    """Write a checkpoint's encoder as the state dict of another library's network, for `torch.load`; return the recipe.

    Raises:
        McdError: for an unknown library, and as `encoder_state`.
    """
    if library not in LIBRARIES:
        raise McdError(f"library {library}: is not known; use one of {', '.join(LIBRARIES)}")
    state, filters = encoder_state(path, modality)
    with atomic_path(output) as temporary, open(temporary, "wb") as file:
        torch.save(renamed(state, library), file)
    return recipe(library, filters, output)
