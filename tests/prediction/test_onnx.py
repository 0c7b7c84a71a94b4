"""A model as ONNX gives torch's probabilities at every size, says what it is, and is written only if it does."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from mcd.cli import main
from mcd.evaluation.metrics import METRIC_KEYS
from mcd.evaluation.score_rows import write_scores
from mcd.models.unet import UNet
from mcd.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def network() -> UNet:
    """A small U-Net whose batch-norm statistics are not those that it began with."""
    torch.manual_seed(0)
    unet = UNet(2, out_channels=2)
    for _ in range(3):
        unet(torch.randn(4, 1, 32, 32))
    unet.output.weight.data *= 20  # far from one probability everywhere
    return unet.eval()


@pytest.fixture(scope="module")
def model(network: UNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "model.pt"
    description = {
        "modality": "CT",
        "regions": {"WT": [1, 2], "TC": [1]},
        "filters": 2,
        "algorithm": "supervised",
        "transferred": ["encoder.0.0.weight"],
        "label_ratio": 0.05,
        "seed": 0,
    }
    save_checkpoint(Checkpoint("segmentation", description, {"network": network.state_dict()}), path)
    return path


@pytest.fixture(scope="module")
def exported(model: Path) -> Path:
    output = model.parent / "model.onnx"
    assert main(["export", str(model), "--output", str(output)]) == 0
    assert sorted(path.name for path in model.parent.iterdir()) == ["model.onnx", "model.pt"]
    return output


def session(path: Path) -> "onnxruntime.InferenceSession":
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (1, 1, 32, 48), (5, 1, 64, 32), (2, 1, 144, 144)])
def test_onnxruntime_gives_torchs_probabilities(
    shape: tuple[int, int, int, int], network: UNet, exported: Path
) -> None:
    images = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = torch.sigmoid(network(images)).numpy()
    (found,) = session(exported).run(["probability"], {"image": images.numpy()})
    assert found.shape == (shape[0], 2, *shape[2:])
    assert expected.std() > 0.05
    assert abs(found - expected).max() < 1e-5


def test_the_file_says_what_it_is(exported: Path) -> None:
    opened = session(exported)
    (image,), (probability,) = opened.get_inputs(), opened.get_outputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(float)", ["batch", 1, "16*height", "16*width"])
    assert (probability.name, probability.shape) == ("probability", ["batch", 2, "16*height", "16*width"])
    facts = opened.get_modelmeta().custom_metadata_map
    assert facts["modality"] == "CT"
    assert json.loads(facts["regions"]) == {"WT": [1, 2], "TC": [1]}
    assert json.loads(facts["description"])["label_ratio"] == 0.05
    assert "must not be used for clinical decisions" in facts["card"]
    assert "Not tested" in facts["card"]


def test_the_card_in_the_file_has_the_scores_that_are_named(model: Path, tmp_path: Path) -> None:
    run = {"cohort": "", "pair": "", "modality": "CT", "method": "", "label_ratio": 0.05, "seed": 0}
    rows = [{**run, "subject": "p", "region": region, **dict.fromkeys(METRIC_KEYS, 0.25)} for region in ("WT", "TC")]
    write_scores(rows, tmp_path / "scores.csv")
    arguments = ["export", str(model), "--output", str(tmp_path / "m.onnx"), "--scores", str(tmp_path / "scores.csv")]
    assert main(arguments) == 0
    assert "| WT | 0.2500 (one patient) |" in session(tmp_path / "m.onnx").get_modelmeta().custom_metadata_map["card"]


def test_what_differs_is_not_written(
    model: Path,
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An exporter that takes the weights of another network."""
    other = load_checkpoint(model)
    other.weights["network"]["output.bias"] += 0.01
    save_checkpoint(other, tmp_path / "other.pt")
    monkeypatch.setattr(torch.onnx, "export", lambda network, images, path, **_: shutil.copy(exported, path))
    assert main(["export", str(tmp_path / "other.pt"), "--output", str(tmp_path / "model.onnx")]) == 1
    assert "other.pt: onnxruntime's probabilities differ from torch's by 0.0" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["other.pt"]


def test_without_the_packages_the_remedy_is_named(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert main(["export", str(model), "--output", str(tmp_path / "model.onnx")]) == 1
    error = capsys.readouterr().err
    assert error == "error: export: the package onnxruntime is missing; pip install 'mcd[export]'\n"
