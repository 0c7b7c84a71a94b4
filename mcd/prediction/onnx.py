"""A trained model as ONNX, for programs without torch.

Input `image`: (batch, 1, 16 h, 16 w) float32, slices preprocessed as for training. Output `probability`: (batch,
regions, 16 h, 16 w) float32; a pixel with 0.5 or more is in the region. Batch, h and w are free.
"""

import json
import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mcd.errors import McdError
from mcd.files import atomic_path
from mcd.models.unet import SIZE_FACTOR
from mcd.prediction.card import render, scores_of
from mcd.prediction.slices import load_network
from mcd.training.checkpoint import load_checkpoint

TOLERANCE = 1e-4
"""Largest difference of a probability between torch and onnxruntime: a hundred times the observed one (1e-6)."""


class Probabilities(nn.Module):
    """A segmentation network with its sigmoid: (N, 1, H, W) -> (N, regions, H, W) in [0, 1]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return torch.sigmoid(self.network(image))


def export_onnx(model: str | Path, output: str | Path, scores: str | Path | None = None) -> float:
    """Write a segmentation checkpoint as ONNX; nothing is written unless onnxruntime reproduces torch's probabilities.

    The file's metadata are `format`, `version`, `modality`, `regions` (JSON: name -> label codes), `description` (JSON) and
    `card` (Markdown).

    Args:
        scores: the model's test scores, for the card; default `scores.csv` beside the model.

    Returns:
        The largest difference of a probability between the two, on random slices of another size than the traced one.

    Raises:
        McdError: if packages are missing, or the two differ by more than `TOLERANCE`.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  torch's exporter needs it, and its own error would be less clear
    except ImportError as error:
        raise McdError(f"export: the package {error.name} is missing; pip install 'mcd[export]'") from None
    checkpoint = load_checkpoint(model, "segmentation")
    description = checkpoint.description
    card = render(checkpoint, scores_of(model, description, scores))
    unet, _ = load_network(model, torch.device("cpu"))
    network = Probabilities(unet.to(memory_format=torch.contiguous_format)).eval()  # type: ignore[call-overload]
    batch, height, width = torch.export.Dim("batch"), torch.export.Dim("height"), torch.export.Dim("width")
    for verbose in (
        "torch.onnx",
        "onnxscript",
        "onnx_ir",
    ):  # they warn, too, that torchvision is missing, which is not needed
        logging.getLogger(verbose).setLevel(logging.ERROR)
    with atomic_path(output) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch about its own exporter
        torch.onnx.export(
            network,
            (torch.randn(2, 1, 2 * SIZE_FACTOR, 3 * SIZE_FACTOR),),
            temporary,
            input_names=["image"],
            output_names=["probability"],
            dynamic_shapes={"image": {0: batch, 2: SIZE_FACTOR * height, 3: SIZE_FACTOR * width}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        exported = onnx.load(temporary)
        onnx.helper.set_model_props(
            exported,
            {
                "format": "mcd-onnx/1",
                "version": checkpoint.version,
                "modality": description["modality"],
                "regions": json.dumps(description["regions"]),
                "description": json.dumps({key: value for key, value in description.items() if key != "transferred"}),
                "card": card,
            },
        )
        onnx.checker.check_model(exported)
        onnx.save(exported, temporary)
        images = torch.randn(3, 1, 4 * SIZE_FACTOR, 3 * SIZE_FACTOR, generator=torch.Generator().manual_seed(0))
        session = onnxruntime.InferenceSession(temporary, providers=["CPUExecutionProvider"])
        with torch.inference_mode():
            expected = network(images).numpy()
        difference = float(np.abs(session.run(["probability"], {"image": images.numpy()})[0] - expected).max())
        if not difference <= TOLERANCE:
            raise McdError(
                f"{model}: onnxruntime's probabilities differ from torch's by {difference:.2g}; not exported"
            )
    return difference
