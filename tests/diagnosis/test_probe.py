"""The linear probe against one by hand, and on weights that are known."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from mcd.diagnosis.numbers import LAYERS, Number
from mcd.diagnosis.probe import probe
from mcd.models.unet import LEVELS, UNet
from mcd.seeding import derive_seed
from mcd.slices.shards import Shards
from mcd.slices.write_shards import write_subjects
from mcd.testing.cohort import TinyCohort, tiny_volumes
from mcd.training.schedule import Compute

TRAIN = ["p0", "p1", "p2", "p3"]
REGIONS = {"WT": [1, 2], "TC": [1]}


def probed(
    cohort: TinyCohort, state: dict[str, torch.Tensor], subjects: list[str] = TRAIN, modality: str = "B", seed: int = 0
) -> list[Number]:
    with Shards(cohort.shards) as shards:
        return probe(
            state,
            2,
            modality,
            shards,
            subjects,
            REGIONS,
            seed=seed,
            compute=Compute(device="cpu"),
            device=torch.device("cpu"),
        )


def state_of(seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return UNet(2).state_dict()


def auc(scores: np.ndarray, holds: np.ndarray) -> float:
    """The probability that a cell that holds a region has the higher score."""
    return mannwhitneyu(scores[holds], scores[~holds]).statistic / (holds.sum() * (~holds).sum())


def half(cohort: TinyCohort, subjects: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Slices of B with a region (N, 1, H, W), and the regions (N, 2, H, W)."""
    images, regions = [], []
    with Shards(cohort.shards) as shards:
        for subject in subjects:
            labels = shards.read(subject, "labels")
            kept = labels.any((1, 2))
            images.append(shards.read(subject, "images")[kept, 1:].astype(np.float32))
            regions.append(np.stack([np.isin(labels[kept], codes) for codes in REGIONS.values()], axis=1))
    return torch.from_numpy(np.concatenate(images)), torch.from_numpy(np.concatenate(regions)).float()


def test_every_number_is_that_of_a_probe_by_hand(tiny_cohort: TinyCohort) -> None:
    """All cells are asked, since there are fewer than the limit."""
    network = UNet(2)
    network.load_state_dict(state_of(1))
    learned, scored = half(tiny_cohort, TRAIN[:2]), half(tiny_cohort, TRAIN[2:])
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    maps = []
    with torch.inference_mode():
        network.train().encode(learned[0])
        network.eval()
        maps = [network.encode(images) for images, _ in (learned, scored)]
    expected = {}
    for level in range(LEVELS):
        sides = []
        for (images, regions), features in zip((learned, scored), maps, strict=True):
            size = 2**level
            tissue = F.max_pool2d((images != 0).float(), size).flatten().bool().numpy()
            holds = F.max_pool2d(regions, size).permute(1, 0, 2, 3).flatten(1).bool().numpy()[:, tissue]
            sides.append((features[level].permute(1, 0, 2, 3).flatten(1).numpy()[:, tissue].T.astype(float), holds))
        (x, truth), (asked, answers) = sides
        centre, spread = x.mean(0), np.where(x.std(0) > 0, x.std(0), 1)
        for position, region in enumerate(REGIONS):
            if not 0 < truth[position].mean() < 1 or not 0 < answers[position].mean() < 1:
                continue
            fit = LogisticRegression(solver="lbfgs", tol=1e-8, max_iter=10000).fit(
                (x - centre) / spread, truth[position]
            )
            scores = ((asked - centre) / spread) @ fit.coef_[0] + fit.intercept_[0]
            expected[region, LAYERS[level]] = auc(scores, answers[position])
    numbers = probed(tiny_cohort, state_of(1))
    found = {(number.region, number.layers): number.value for number in numbers if number.measure == "pretrained"}
    assert found == pytest.approx(expected, abs=2e-3)
    assert len(found) >= 2 * (LEVELS - 1)
    assert {(number.test, number.modality) for number in numbers} == {("probe", "B")}


def test_random_weights_gain_nothing_over_themselves(tiny_cohort: TinyCohort) -> None:
    numbers = probed(tiny_cohort, state_of(derive_seed(7, "weights")), seed=7)
    by_measure = {
        measure: [number.value for number in numbers if number.measure == measure]
        for measure in ("pretrained", "random")
    }
    assert by_measure["pretrained"] == by_measure["random"]
    assert by_measure["random"]


def test_an_encoder_that_marks_a_region_is_known_by_it(tiny_cohort: TinyCohort) -> None:
    """Its first filter smooths B, in which tumours are dark, upside down; the others are dead."""
    state = {key: torch.zeros_like(value) for key, value in state_of(0).items()}
    state |= {key: torch.ones_like(value) for key, value in state.items() if key.endswith("running_var")}
    for norm in ("encoder.0.1", "encoder.0.4"):
        state[f"{norm}.weight"] += 1
    state["encoder.0.0.weight"][0] = -1 / 9
    state["encoder.0.3.weight"][0, 0, 1, 1] = 1
    values = {
        number.measure: number.value
        for number in probed(tiny_cohort, state)
        if (number.region, number.layers) == ("WT", "input layer")
    }
    assert values["pretrained"] > 0.9
    dead = [n.value for n in probed(tiny_cohort, state) if n.measure == "pretrained" and n.layers == "down layer 2"]
    assert dead == [0.5] * len(dead)


def test_only_the_encoder_of_a_checkpoint_is_read(tiny_cohort: TinyCohort) -> None:
    whole = state_of(1)
    encoder = {key: value for key, value in whole.items() if key.startswith("encoder.")}
    assert probed(tiny_cohort, encoder) == probed(tiny_cohort, whole)


def test_too_few_patients_with_a_region_are_not_probed(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    assert probed(tiny_cohort, state_of(1), subjects=["p0"]) == []
    made = [(name, tiny_volumes(seed)) for seed, name in enumerate(TRAIN)]
    for name, subject in made:
        assert subject.label is not None
        if name in TRAIN[2:]:
            subject.label[subject.label == 1] = 2  # TC in one half alone
    write_subjects(tmp_path / "0.h5", made)
    cohort = TinyCohort(tmp_path, TRAIN, [tmp_path / "0.h5"], tmp_path / "none.json")
    assert {number.region for number in probed(cohort, state_of(1))} == {"WT"}


def test_nobody_is_in_both_halves(tiny_cohort: TinyCohort) -> None:
    """Three scans of one person learn together, though they are more than half."""

    def run(subjects: list[str], person: Callable[[str], str]) -> list[Number]:
        device, compute = torch.device("cpu"), Compute(device="cpu")
        with Shards(tiny_cohort.shards) as shards:
            return probe(
                state_of(1), 2, "B", shards, subjects, REGIONS, seed=0, person=person, compute=compute, device=device
            )

    persons = dict(zip(TRAIN, "aaab", strict=True))
    assert run(TRAIN, persons.__getitem__) == run(["p0", "p1", "p2", "p3"], lambda name: "b" if name == "p3" else "a")
    assert run(TRAIN, persons.__getitem__) != run(TRAIN, str)
    assert run(TRAIN, lambda name: "one") == []
