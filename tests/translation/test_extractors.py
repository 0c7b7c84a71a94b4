"""FID's networks: what they are given and what they give."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mcd.errors import McdError
from mcd.evaluation.image_quality import frechet_distance
from mcd.translation.extractors import find_extractor

CPU = torch.device("cpu")


class StandIn(nn.Module):
    """Called as the published TorchScript file is; its features are what it was given."""

    def forward(self, images: Tensor, return_features: bool = False) -> Tensor:
        assert images.dtype == torch.uint8
        assert return_features
        return images.float().mean(dim=3)


def test_the_inception_file_is_given_bytes_in_three_channels(tmp_path: Path) -> None:
    torch.jit.script(StandIn()).save(tmp_path / "inception.pt")
    extractor = find_extractor(tmp_path / "inception.pt", CPU)
    assert extractor is not None
    assert extractor.name == "Inception"
    images = torch.tensor([0.0, 0.5, 1.0, 1.2]).reshape(4, 1, 1, 1).expand(4, 1, 2, 5)
    features = extractor.features(images)
    assert features.shape == (4, 6)
    assert features[:, 0].tolist() == [0, 128, 255, 255]
    assert torch.equal(features, features[:, :1].expand(4, 6))


@pytest.mark.parametrize("content", [None, b"not a network"])
def test_another_file_is_one_line_that_names_it(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "inception.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(McdError, match=r"inception\.pt: .*translation\.inception") as error:
        find_extractor(path, CPU)
    assert "\n" not in str(error.value)


def test_the_default_orders_sets_by_how_much_they_differ() -> None:
    torch.set_num_threads(1)
    extractor = find_extractor(None, CPU)
    assert extractor is not None
    assert extractor.name == "EfficientNet-Lite0"
    draw = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    rings = torch.stack([torch.sin(((x - 24) ** 2 + (y - 24 - i) ** 2).sqrt() / (2 + i / 6)) for i in range(12)])
    real = (rings[:, None] + 1) / 2
    noise = torch.randn(real.shape, generator=draw)
    with torch.inference_mode():
        found = [extractor.features((real + level * noise).clamp(0, 1)).numpy() for level in (0, 0.05, 0.4)]
    assert found[0].shape == (12, 1280)
    assert np.isfinite(found[0]).all()
    assert 0 < frechet_distance(found[0], found[1]) < frechet_distance(found[0], found[2])


def test_without_any_network_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert find_extractor(None, CPU) is None
