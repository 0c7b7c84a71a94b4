"""How far fine-tuning moved the weights, and what each loss weighs, by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mcd.diagnosis.numbers import LAYERS
from mcd.diagnosis.weights import layer_of, loss_terms, moved
from mcd.errors import McdError
from mcd.models.unet import UNet
from mcd.training.checkpoint import Checkpoint
from mcd.training.history import write_history


def model(state: dict[str, torch.Tensor], transferred: list[str]) -> Checkpoint:
    about = {"modality": "A", "method": "m", "label_ratio": 0.1, "transferred": transferred}
    return Checkpoint("segmentation", about, {"network": state})


def values(numbers: list, measure: str) -> dict[str, float]:  # type: ignore[type-arg]
    return {number.layers: number.value for number in numbers if number.measure == measure}


def test_every_tensor_is_in_the_layer_that_table_i_counts_it_to() -> None:
    assert layer_of("encoder.0.0.weight") == "input layer"
    assert layer_of("encoder.4.3.bias") == "down layer 4"
    assert layer_of("upsample.0.weight") == "down layer 4"
    assert layer_of("upsample.3.weight") == layer_of("decoder.2.0.weight") == "up layer 3"
    assert layer_of("decoder.3.0.weight") == "up layer 4"
    assert {layer_of(key) for key in UNet(2).state_dict() if not key.startswith("output")} == set(LAYERS)


def test_norms_and_cosines_are_those_of_a_layers_kernels() -> None:
    torch.manual_seed(0)
    before, after = UNet(2).state_dict(), UNet(2).state_dict()
    keys = [key for key in before if not key.startswith("output")]
    for key in keys:
        if before[key].ndim == 1:
            after[key] = after[key] + 1000  # batch normalisation and biases do not count
    numbers = moved(before, model(after, keys))
    kernels = ["encoder.4.0.weight", "encoder.4.3.weight", "upsample.0.weight"]
    old, new = (np.concatenate([state[key].numpy().ravel() for key in kernels]) for state in (before, after))
    expected = np.linalg.norm(new) / np.linalg.norm(old)
    assert values(numbers, "norm_ratio")["down layer 4"] == pytest.approx(expected)
    assert values(numbers, "cosine")["down layer 4"] == pytest.approx(np.corrcoef(old, new)[0, 1], abs=0.02)
    assert list(values(numbers, "cosine")) == LAYERS
    assert {(number.modality, number.method, number.label_ratio) for number in numbers} == {("A", "m", 0.1)}


def test_weights_that_only_shrank_point_where_they_did() -> None:
    torch.manual_seed(0)
    before = UNet(2).state_dict()
    same = moved(before, model(dict(before), list(before)[:-2]))
    for measure in ("norm_ratio", "cosine"):
        assert values(same, measure) == pytest.approx(dict.fromkeys(LAYERS, 1.0))
    shrunk = moved(before, model({key: value * 0.25 for key, value in before.items()}, list(before)[:-2]))
    assert values(shrunk, "norm_ratio") == pytest.approx(dict.fromkeys(LAYERS, 0.25))
    assert values(shrunk, "cosine") == pytest.approx(dict.fromkeys(LAYERS, 1.0))


def test_what_was_not_transferred_is_not_compared() -> None:
    state = UNet(2).state_dict()
    transferred = [key for key in state if key.startswith("encoder.")]
    assert list(values(moved(state, model(state, transferred)), "cosine")) == LAYERS[:5]


def test_terms_are_weight_times_value_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    rows = [{"epoch": epoch, "translation": 5 / epoch, "contrastive": 1.5, "generator_total": 9} for epoch in (1, 2)]
    write_history(rows, path)
    options = {"adversarial": 0.0, "translation": 10.0, "reconstruction": 0.0, "contrastive": 0.1}
    numbers = loss_terms(path, options, "dsgan")
    assert {number.measure: number.value for number in numbers} == pytest.approx(
        {"translation": 25, "contrastive": 0.15}
    )
    with pytest.raises(McdError, match=r"losses\.csv: not the losses of this training \('adversarial'\)"):
        loss_terms(path, {**options, "adversarial": 1.0}, "dsgan")


def test_a_training_for_each_modality_has_a_total_for_each(tmp_path: Path) -> None:
    rows = [
        {"modality": modality, "epoch": epoch, "total": total}
        for modality, total in (("A", 3.0), ("B", 4.0))
        for epoch in (1, 2)
    ]
    write_history(rows, tmp_path / "losses.csv")
    numbers = loss_terms(tmp_path / "losses.csv", {}, "rotation")
    assert [(number.measure, number.modality, number.value) for number in numbers] == [
        ("total", "A", 3.0),
        ("total", "B", 4.0),
    ]
