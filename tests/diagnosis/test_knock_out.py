"""A U-Net without its innermost layers, and what a fine-tuned one loses by it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mcd.diagnosis.knock_out import knocked_out, segmentation_without, with_region
from mcd.diagnosis.numbers import INNERMOST
from mcd.errors import McdError
from mcd.models.unet import UNet
from mcd.prediction.slices import load_network
from mcd.slices.shards import Shards
from mcd.slices.splits import read_split
from mcd.slices.write_shards import write_subjects
from mcd.testing.cohort import TinyCohort, tiny_volumes
from mcd.training.schedule import Compute

CPU = torch.device("cpu")


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_nothing_of_the_innermost_layers_gets_through(layers: int) -> None:
    """Whatever their weights and their other inputs are, only the mean of what they hand on counts; afterwards all is back."""
    torch.manual_seed(0)
    network = UNet(2).eval()
    images = torch.randn(3, 1, 32, 32) * torch.tensor([1.0, 30.0, 300.0])[:, None, None, None]  # of different means
    handed_on = []
    handle = network.upsample[layers].register_forward_hook(lambda module, given, output: handed_on.append(output))
    whole = network(images)
    handle.remove()
    mean = handed_on[0].mean((0, 2, 3))
    with knocked_out(network, layers):
        without = network(images)
    assert not torch.allclose(without, whole)
    assert torch.equal(network(images), whole)
    # a transposed convolution without weights hands on its bias, whatever comes in
    state = network.upsample[layers].state_dict()
    network.upsample[layers].load_state_dict({"weight": torch.zeros_like(state["weight"]), "bias": mean.detach()})
    torch.testing.assert_close(network(images), without)


def dice(truth: np.ndarray, found: np.ndarray) -> float:
    return 2 * (truth & found).sum() / (truth.sum() + found.sum())


def test_what_segmentation_loses_is_measured_on_patients_whose_labels_were_not_used(
    tiny_cohort: TinyCohort, finetuned: Path, regions: dict[str, list[int]]
) -> None:
    split = read_split(tiny_cohort.split)
    network, _ = load_network(finetuned, CPU)
    expected: dict[str, list[float]] = {"DSC": [], "DSC_without": []}
    with Shards(tiny_cohort.shards) as shards:
        numbers = segmentation_without(finetuned, 3, INNERMOST, shards, split, Compute(device="cpu"), CPU)
        for subject in split.train[2:]:
            images = torch.from_numpy(shards.read(subject, "images")[:, :1].astype(np.float32))
            labels = shards.read(subject, "labels")
            truth = np.stack([np.isin(labels, codes) for codes in regions.values()], axis=1)
            with torch.inference_mode():
                whole = network(images).numpy() >= 0
                with knocked_out(network, 3):
                    without = network(images).numpy() >= 0
            for measure, found in (("DSC", whole), ("DSC_without", without)):
                expected[measure].append(float(np.mean([dice(truth[:, r], found[:, r]) for r in range(2)])))
    assert {number.measure: number.value for number in numbers} == pytest.approx(
        {measure: np.mean(values) for measure, values in expected.items()}
    )
    assert {(number.modality, number.method, number.label_ratio, number.layers) for number in numbers} == {
        ("A", "multi_condos", 0.5, INNERMOST)
    }
    assert np.mean(expected["DSC"]) > 0.1  # the network finds something, else this shows nothing
    assert np.mean(expected["DSC"]) != np.mean(expected["DSC_without"])


def test_patients_without_a_region_or_a_label_are_left_out(tmp_path: Path) -> None:
    made = {name: tiny_volumes(seed) for seed, name in enumerate(("whole", "empty", "core"))}
    for name, kept in (("empty", [3]), ("core", [1])):
        label = made[name].label
        assert label is not None
        made[name].label = np.where(np.isin(label, kept), label, 0).astype(np.uint8)
    write_subjects(tmp_path / "0.h5", list(made.items()))
    with Shards([tmp_path / "0.h5"]) as shards:
        assert with_region(shards, list(made), {"WT": [1, 2]}) == ["whole", "core"]
        assert with_region(shards, list(made), {"ED": [2]}) == ["whole"]
        shards.close()
        (tmp_path / "0.h5").write_bytes(b"damaged since")
        with pytest.raises(McdError, match=r"0\.h5"):
            with_region(shards, list(made), {"WT": [1, 2]})
    for subject in made.values():
        subject.label = subject.info["label"] = None
    write_subjects(tmp_path / "1.h5", list(made.items()))
    with Shards([tmp_path / "1.h5"]) as shards:
        assert with_region(shards, list(made), {"WT": [1, 2]}) == []
