"""One step of every method on a pretend device (`pretend_device`), in a process of its own, since the device stays registered.

    python tests/one_step.py

prints a line of JSON: algorithm -> "" or what went wrong; `forgetful` is a method that forgets a tensor on the host.
"""

import json
from collections.abc import Callable
from typing import Any

import torch
from pretend_device import PretendDevice, set_up
from torch import Tensor, nn

from mcd.models.unet import UNet
from mcd.pretraining import registry as pretraining
from mcd.pretraining.options import RotationOptions
from mcd.pretraining.rotation import Rotation
from mcd.segmentation import registry as segmentation
from mcd.slices.batches import Batch
from mcd.slices.options import Augmentation
from mcd.training.adam import Adam, last_move
from mcd.training.loop import only
from mcd.training.method import Losses, Method

SIZE, FILTERS, SLICES, REGIONS = (64, 64), 4, 8, 2


class Forgetful(Rotation):
    """Has a tensor that is no buffer, and so stays behind."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.weights = torch.ones(4)

    def losses(self, batch: Batch, player: str) -> Losses:
        losses = super().losses(batch, player)
        return {**losses, "total": (losses["total"] * self.weights).mean()}


def batch(channels: int, *, targets: bool, mixed: bool, device: torch.device) -> Batch:
    images = torch.randn(SLICES, channels, *SIZE)
    images[..., :4] = 0
    masks = (images[:, :1] > 1).float().repeat(1, REGIONS, 1, 1)
    labelled = torch.arange(SLICES) < SLICES // 2
    if mixed:
        masks[~labelled] = torch.nan
    return Batch(
        images=images.to(device),
        targets=masks.to(device) if targets else None,
        subjects=torch.arange(SLICES).to(device),
        heights=torch.linspace(0, 1, SLICES).to(device),
        ranges=torch.full((SLICES, channels), 4.0).to(device),
        labelled=labelled.to(device) if mixed else None,
    )


def pretraining_step(algorithm: str, device: torch.device) -> None:
    modalities = ("A", "B") if pretraining.REGISTRY[algorithm].multimodal else ("A",)
    options = pretraining.options_class(algorithm)()
    method = pretraining.pretraining_class(algorithm)(options, FILTERS, modalities, SIZE)
    step(method, batch(len(modalities), targets=False, mixed=False, device=device), device)


def segmentation_step(algorithm: str, device: torch.device) -> None:
    unet, options = UNet(FILTERS, out_channels=REGIONS), segmentation.options_class(algorithm)()
    method = segmentation.segmentation_class(algorithm)(unet, Augmentation(), options)
    mixed = segmentation.REGISTRY[algorithm].unlabelled
    step(method, batch(1, targets=True, mixed=mixed, device=device), device)


def forgetful_step(_: str, device: torch.device) -> None:
    method = Forgetful(RotationOptions(), FILTERS, ("A",), SIZE)
    step(method, batch(1, targets=False, mixed=False, device=device), device)


def move(method: Method, device: torch.device) -> None:
    """What `Module.to` does: torch swaps no tensor for one of another class. What is shared stays so."""
    moved: dict[int, Tensor] = {}
    for module in method.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is None:
                    continue
                if id(tensor) not in moved:
                    there = tensor.detach().to(device)
                    moved[id(tensor)] = nn.Parameter(there) if isinstance(tensor, nn.Parameter) else there
                tensors[name] = moved[id(tensor)]  # type: ignore[assignment]


def step(method: Method, seen: Batch, device: torch.device) -> None:
    """Let every player step, as `mcd.training.loop` does, and make example images."""
    move(method, device)
    method.train()
    method.before_epoch(1, 2)  # when every loss counts
    players = {name: list(parameters) for name, parameters in method.players().items()}
    for name, parameters in players.items():
        optimizer = Adam(parameters, lr=1e-3)
        with only(name, players):
            method.losses(seen, name)["total"].backward()
        optimizer.step()
        last_move(optimizer)
    method.after_step(1, 2)
    method.eval()
    with torch.no_grad():
        method.pictures(seen)


def main() -> None:
    device = set_up()
    cases: list[tuple[Callable[[str, torch.device], None], str]] = [
        *((pretraining_step, name) for name in pretraining.REGISTRY),
        *((segmentation_step, name) for name in segmentation.REGISTRY),
        (forgetful_step, "forgetful"),
    ]
    said = {}
    for take, name in cases:
        torch.manual_seed(0)
        try:
            with PretendDevice():  # type: ignore[no-untyped-call]
                take(name, device)
            said[name] = ""
        except Exception as error:
            said[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(said))


if __name__ == "__main__":
    main()
