"""A pre-trained encoder in other libraries' networks: by the recipe that is printed, with the very same features."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mcd.cli import main
from mcd.errors import McdError
from mcd.models.unet import UNet, encoder_keys
from mcd.prediction.encoder import encoder_state, load_encoder
from mcd.prediction.other_libraries import LIBRARIES, export_encoder, recipe, renamed
from mcd.training.checkpoint import Checkpoint, save_checkpoint

FILTERS = 4


def trained_unet(seed: int) -> UNet:
    """A U-Net with batch-norm statistics and weights that are not those that it began with."""
    torch.manual_seed(seed)
    unet = UNet(FILTERS)
    for name, value in unet.named_parameters():
        value.data += 0.1 * torch.randn_like(value) if name.endswith("bias") else 0
    for _ in range(3):
        unet(3 * torch.randn(4, 1, 32, 32) + 1)
    return unet.eval()


@pytest.fixture(scope="module")
def unets() -> dict[str, UNet]:
    return {"CT": trained_unet(0), "PET": trained_unet(1)}


@pytest.fixture
def pretrained(unets: dict[str, UNet], tmp_path: Path) -> Path:
    weights = {modality: unet.state_dict() for modality, unet in unets.items()}
    about = {"filters": FILTERS, "modalities": ["CT", "PET"], "trained": encoder_keys(weights["CT"])}
    save_checkpoint(Checkpoint("pretraining", about, weights), tmp_path / "pretrained.pt")
    return tmp_path / "pretrained.pt"


def monai_features(network: Any, images: Tensor) -> list[Tensor]:
    found = [network.conv_0(images)]
    for level in range(1, 5):
        found.append(getattr(network, f"down_{level}")(found[-1]))
    return found


FEATURES: dict[str, tuple[str, Callable[[Any, Tensor], list[Tensor]]]] = {
    "monai": ("monai", monai_features),
    "smp": ("segmentation_models_pytorch", lambda network, images: network.encoder(images)),
    "nnunet": ("dynamic_network_architectures", lambda network, images: network.encoder(images)),
}
"""Library -> the package, and the five levels' features of its network."""


@pytest.mark.parametrize("library", FEATURES)
def test_the_features_are_the_same(
    library: str, pretrained: Path, unets: dict[str, UNet], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package, features = FEATURES[library]
    pytest.importorskip(package)
    output = str(tmp_path / "encoder.pt")
    command = ["export", str(pretrained), "--encoder", "--to", library, "--modality", "PET", "--output", output]
    assert main(command) == 0
    code = capsys.readouterr().out
    ran: dict[str, Any] = {}
    exec(code, ran)
    network = ran["network"].eval()
    state = torch.load(output, weights_only=True)
    torch.manual_seed(2)
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert not unexpected
    encoder = [key for key in network.state_dict() if key.startswith(("encoder.", "conv_0.", "down_"))]
    assert not set(encoder) & set(missing)
    images = torch.randn(2, 1, 48, 32)
    with torch.inference_mode():
        theirs, ours = features(network, images), unets["PET"].encode(images)
        assert network(images).shape[2:] == images.shape[2:]
    assert len(theirs) == len(ours) == 5
    for their, our in zip(theirs, ours, strict=True):
        assert our.abs().max() > 0
        assert (their - our).abs().max() == 0.0


def test_each_of_70_tensors_has_one_place_in_monais_network(unets: dict[str, UNet]) -> None:
    state = {key: value for key, value in unets["CT"].state_dict().items() if key.startswith("encoder.")}
    assert len(state) == 70
    for library in LIBRARIES:
        assert len(renamed(state, library)) == 70 * (2 if library == "nnunet" else 1)  # each layer has two names there


@pytest.mark.parametrize(
    ("library", "ours", "theirs"),
    [  # of segmentation_models_pytorch 0.6.0 and dynamic_network_architectures 0.4.4, which need a torchvision that fits torch
        ("smp", "encoder.0.0.weight", ["encoder.features.0.weight"]),
        ("smp", "encoder.1.1.running_mean", ["encoder.features.8.running_mean"]),
        ("smp", "encoder.4.4.bias", ["encoder.features.32.bias"]),
        (
            "nnunet",
            "encoder.0.3.weight",
            ["encoder.stages.0.0.convs.1.conv.weight", "encoder.stages.0.0.convs.1.all_modules.0.weight"],
        ),
        (
            "nnunet",
            "encoder.4.1.running_var",
            ["encoder.stages.4.1.convs.0.norm.running_var", "encoder.stages.4.1.convs.0.all_modules.1.running_var"],
        ),
    ],
)
def test_layers_have_their_librarys_names(library: str, ours: str, theirs: list[str]) -> None:
    assert list(renamed({ours: torch.zeros(1)}, library)) == theirs


def test_the_documentation_shows_the_recipes() -> None:
    page = (Path(__file__).parents[2] / "docs/how_to/encoders.md").read_text()
    for library in LIBRARIES:
        assert f"```python\n{recipe(library, 8, 'encoder.pt')}```" in page


def test_an_encoder_is_loaded_by_its_modality(pretrained: Path, unets: dict[str, UNet], tmp_path: Path) -> None:
    images = torch.randn(3, 1, 32, 32)
    encoder = load_encoder(pretrained, "CT")
    assert not encoder.training
    with torch.inference_mode():
        levels = unets["CT"].encode(images)
        for ours, theirs in zip(encoder.encode(images), levels, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
        torch.testing.assert_close(encoder(images), levels[-1].mean((2, 3)))
    about = {"filters": FILTERS, "modality": "PET", "regions": {"GTV": [1]}}
    model = tmp_path / "model.pt"
    save_checkpoint(Checkpoint("segmentation", about, {"network": unets["PET"].state_dict()}), model)
    state, filters = encoder_state(model)
    assert filters == FILTERS
    torch.testing.assert_close(state["encoder.4.0.weight"], unets["PET"].state_dict()["encoder.4.0.weight"])


def test_what_cannot_be_taken_is_refused(pretrained: Path, unets: dict[str, UNet], tmp_path: Path) -> None:
    with pytest.raises(McdError, match=r"was pre-trained on CT, PET; name one of them"):
        encoder_state(pretrained)
    with pytest.raises(McdError, match=r"was pre-trained on CT, PET, not on MR; name one of them"):
        load_encoder(pretrained, "MR")
    weights = {"CT": unets["CT"].state_dict()}
    about = {"filters": FILTERS, "trained": encoder_keys(weights["CT"])[:-7]}
    save_checkpoint(Checkpoint("pretraining", about, weights), tmp_path / "part.pt")
    with pytest.raises(McdError, match=r"part\.pt: its pre-training left encoder\.4\.3\.weight as it was drawn"):
        encoder_state(tmp_path / "part.pt")
    with pytest.raises(McdError, match="library keras: is not known; use one of monai, smp, nnunet"):
        export_encoder(pretrained, "keras", tmp_path / "x.pt", "CT")
    assert not (tmp_path / "x.pt").exists()
