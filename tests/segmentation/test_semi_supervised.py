"""What holds for every semi-supervised method: it runs, resumes, sees no label it must not, and ramps as it says."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mcd.errors import McdError
from mcd.models.unet import UNet
from mcd.prediction.masks import predicted_subjects
from mcd.prediction.run import predict_test
from mcd.prediction.slices import load_network
from mcd.segmentation.options import FinetuningTask, SemiSupervisedOptions
from mcd.segmentation.registry import BASELINES, REGISTRY, options_class, segmentation_class
from mcd.segmentation.run import finetune, training_slices
from mcd.segmentation.semi_supervised import SemiSupervised, sigmoid_ramp
from mcd.slices.batches import Batch, MixedSlices, SliceSet
from mcd.slices.options import Augmentation
from mcd.slices.shards import Shards
from mcd.slices.splits import read_split
from mcd.testing.cohort import TinyCohort
from mcd.testing.interruption import epochs_begun, killed_in
from mcd.training.checkpoint import load_checkpoint
from mcd.training.device import torch_device
from mcd.training.loop import train
from mcd.training.method import Method
from mcd.training.schedule import Compute, Schedule

REGIONS = {"core": [1], "whole": [1, 2]}
ALGORITHMS = [name for name in REGISTRY if REGISTRY[name].unlabelled]
RAMPED = [name for name in ALGORITHMS if issubclass(options_class(name), SemiSupervisedOptions)]
SMALL: dict[str, dict[str, Any]] = {"sass": {"discriminator_filters": 4}}

Make = Callable[..., SemiSupervised]


@pytest.fixture(scope="module")
def compute(device: str) -> Compute:
    return Compute(device=device, precision="fp32")


def task(algorithm: str, **more: Any) -> FinetuningTask:
    settings: dict[str, Any] = {
        "modality": "A",
        "regions": REGIONS,
        "label_ratio": 0.25,
        "filters": 2,
        "schedule": Schedule(epochs=2, batch_size=4, learning_rate=1e-3, steps_per_epoch=3),
        "algorithm": algorithm,
        "options": SMALL.get(algorithm, {}),
    }
    return FinetuningTask(**{**settings, **more})


def places(cohort: TinyCohort, output: Path) -> dict[str, Any]:
    return {"shards": cohort.shards, "split": cohort.split, "output": output}


def test_the_three_of_the_paper_are_there_and_ramp() -> None:
    assert RAMPED == ["mean_teacher", "dtml", "sass"]
    assert [name for name in ALGORITHMS if name not in BASELINES] == RAMPED


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_it_trains_saves_a_plain_unet_and_is_scored(
    algorithm: str, tiny_cohort: TinyCohort, tmp_path: Path, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: set[tuple[str, str]] = set()
    original, counts = Shards.read, Shards.code_voxels

    def spy(self: Shards, name: str, dataset: str, *rest: Any, **named: Any) -> np.ndarray:
        read.add((name, dataset))
        return original(self, name, dataset, *rest, **named)

    def spy_counts(self: Shards, name: str) -> dict[int, np.ndarray]:
        read.add((name, "labels"))
        return counts(self, name)

    with monkeypatch.context() as patch:
        patch.setattr(Shards, "read", spy)
        patch.setattr(Shards, "code_voxels", spy_counts)
        history = finetune(task(algorithm), **places(tiny_cohort, tmp_path / "model.pt"), compute=compute)
    assert {name for name, dataset in read if dataset == "labels"} == {"p0"}
    assert {name for name, dataset in read if dataset == "images"} == {"p0", "p1", "p2", "p3"}
    assert len(history) == 2
    assert all(math.isfinite(value) for row in history for value in row.values() if isinstance(value, float))

    checkpoint = load_checkpoint(tmp_path / "model.pt", "segmentation")
    assert checkpoint.weights["network"].keys() == UNet(2, out_channels=2).state_dict().keys()
    assert checkpoint.description["options"].get("ramp") == (1.0 if algorithm in RAMPED else None)
    load_network(tmp_path / "model.pt", torch.device("cpu"))
    predict_test(
        shards=tiny_cohort.shards,
        split=tiny_cohort.split,
        model=tmp_path / "model.pt",
        predictions=tmp_path / "masks.h5",
        compute=compute,
    )
    assert predicted_subjects(tmp_path / "masks.h5") == ["p4", "p5"]


def test_both_halves_are_drawn_from_all_slices_with_content(tiny_cohort: TinyCohort, compute: Compute) -> None:
    """With targets in one half alone, what tells labelled from unlabelled would be the target."""
    with Shards(tiny_cohort.shards) as shards:
        slices = training_slices(
            shards,
            read_split(tiny_cohort.split),
            task("dtml", label_ratio=0.5, modality="B"),
            torch_device(compute),
            memory_limit=1e9,
        )
        assert isinstance(slices, MixedSlices)
        content = tiny_cohort.depth - 2  # the outer slices are black in B
        assert (len(slices.labelled), len(slices.unlabelled)) == (2 * content, 2 * content)
        targets = slices.labelled.batch(np.arange(2 * content)).targets
        assert targets is not None
        assert not targets.flatten(1).any(1).all()
        assert slices.labelled.regions == REGIONS


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_killed_training_ends_with_the_weights_of_one_that_was_not(
    algorithm: str, tiny_cohort: TinyCohort, tmp_path: Path, make_method: Make, compute: Compute
) -> None:
    schedule = Schedule(epochs=4, batch_size=4, learning_rate=1e-3, steps_per_epoch=2)

    def run(resume: Path | None) -> Method:
        method = make_method(algorithm, Augmentation(), **SMALL.get(algorithm, {}))
        with Shards(tiny_cohort.shards) as shards:
            labelled = SliceSet(shards, ["p0"], ["A"], regions=REGIONS, select="target")
            slices = MixedSlices(labelled, SliceSet(shards, ["p1", "p2"], ["A"]))
            train(method, slices, schedule, compute, seed=1, resume=resume, save_every=0)
        return method

    whole = run(None)

    resume = tmp_path / "resume.pt"
    with killed_in(2, segmentation_class(algorithm)):
        run(resume)
    with epochs_begun(segmentation_class(algorithm)) as begun:
        again = run(resume)
    assert begun == [2, 3]
    state = again.state_dict()
    assert all(torch.equal(state[key], value) for key, value in whole.state_dict().items())
    if algorithm in RAMPED:
        assert state["progress"] == 1
    if algorithm != "unimatch":  # a teacher, a second network, a discriminator
        assert len([key for key in state if not key.startswith("unet.")]) > 1


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_losses_fall_on_one_batch(algorithm: str, make_method: Make, batch: Batch) -> None:
    method = make_method(algorithm, **SMALL.get(algorithm, {}))
    player, parameters = next(iter(method.players().items()))
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    values = []
    for _ in range(25):
        optimizer.zero_grad()
        losses = method.losses(batch, player)
        losses["total"].backward()
        optimizer.step()
        values.append(losses["total" if algorithm in RAMPED else method.levels(5).falling[0]].item())
    assert values[-1] < 0.9 * values[0]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_stands_in_the_unlabelled_targets_changes_nothing(algorithm: str, make_method: Make, batch: Batch) -> None:
    assert batch.targets is not None
    filled = Batch(
        batch.images, batch.targets.nan_to_num(1.0), batch.subjects, batch.heights, batch.ranges, batch.labelled
    )
    for other in (batch, filled):
        method = make_method(algorithm, **SMALL.get(algorithm, {}))
        player = next(iter(method.players()))
        torch.manual_seed(0)
        total = method.losses(other, player)["total"]
        assert total.isfinite()
        if other is batch:
            expected = total
    assert torch.equal(total, expected)


@pytest.mark.parametrize("algorithm", RAMPED)
def test_the_unlabelled_images_teach_and_at_first_hardly(algorithm: str, make_method: Make, batch: Batch) -> None:
    """Without what is learnt from them, the gradient of the total with respect to an unlabelled image is that of batch norm."""
    weight = {"mean_teacher": "consistency", "dtml": "consistency", "sass": "adversarial"}[algorithm]

    def gradient(strength: float, progress: float) -> torch.Tensor:
        method = make_method(algorithm, **{weight: strength}, **SMALL.get(algorithm, {}))
        method.progress.fill_(progress)
        images = batch.images.clone().requires_grad_()
        torch.manual_seed(0)
        losses = method.losses(
            Batch(images, batch.targets, batch.subjects, batch.heights, batch.ranges, batch.labelled),
            next(iter(method.players())),
        )
        losses["total"].backward()
        assert images.grad is not None
        return images.grad[3:]

    without = gradient(0.0, 1.0)
    late, early = ((gradient(1.0, progress) - without).norm() for progress in (1.0, 0.1))
    assert late > 0
    torch.testing.assert_close(early / late, torch.tensor(math.exp(-5 * 0.9**2)), rtol=0.02, atol=1e-4)


@pytest.mark.parametrize(("algorithm", "switch"), [("bcp", {"unlabelled": 0.0}), ("unimatch", {"confidence": 1.0})])
def test_the_unlabelled_images_of_those_without_a_ramp_teach_from_the_first(
    algorithm: str, switch: dict[str, float], make_method: Make, batch: Batch
) -> None:
    def gradient(**options: float) -> torch.Tensor:
        method = make_method(algorithm, **options)
        torch.manual_seed(0)
        method.losses(batch, next(iter(method.players())))["total"].backward()
        return torch.cat(
            [parameter.grad.flatten() for parameter in method.unet.parameters() if parameter.grad is not None]
        )

    with_all = gradient(**({} if algorithm == "bcp" else {"confidence": 0.5}))
    assert (with_all - gradient(**switch)).norm() > 0.05 * with_all.norm()


def test_the_ramp_rises_from_e_to_the_minus_five_to_one() -> None:
    progress = torch.linspace(0, 1, 11)
    ramp = sigmoid_ramp(progress)
    assert ramp[0].item() == pytest.approx(math.exp(-5))
    assert ramp[5].item() == pytest.approx(math.exp(-1.25))
    assert ramp[-1].item() == 1
    assert (ramp.diff() > 0).all()
    assert (sigmoid_ramp(progress, 0.4)[4:] == 1).all()
    assert sigmoid_ramp(torch.tensor(0.2), 0.4).item() == pytest.approx(math.exp(-1.25))


@pytest.mark.parametrize("algorithm", RAMPED)
@pytest.mark.parametrize("steps", [7, 30_000])
def test_the_ramp_ends_with_the_training_whatever_its_length(algorithm: str, steps: int, make_method: Make) -> None:
    method = make_method(algorithm, **SMALL.get(algorithm, {}))
    assert method.ramp().item() == pytest.approx(math.exp(-5))
    method.after_step(steps // 2, steps)
    assert method.ramp().item() == pytest.approx(math.exp(-5 * (1 - (steps // 2) / steps) ** 2), rel=1e-5)
    method.after_step(steps, steps)
    assert method.ramp().item() == 1


@pytest.mark.parametrize(
    ("algorithm", "options", "message"),
    [
        ("mean_teacher", {"consistncy": 1}, "options of mean_teacher: .*consistncy"),
        ("supervised", {"ramp": 1}, "options of supervised: .*ramp"),
        ("mean_teacher", {"decay": 1.5}, "decay: .*given: 1.5"),
        ("mean_teacher", {"start": -1}, "start: .*given: -1"),
        ("dtml", {"sharpness": 0}, "sharpness: .*given: 0"),
        ("sass", {"ramp": 0}, "ramp: .*given: 0"),
    ],
)
def test_an_impossible_option_is_named(
    algorithm: str, options: dict[str, Any], message: str, tiny_cohort: TinyCohort, tmp_path: Path, compute: Compute
) -> None:
    with pytest.raises(McdError, match=message) as error:
        finetune(task(algorithm, options=options), **places(tiny_cohort, tmp_path / "model.pt"), compute=compute)
    assert "\n" not in str(error.value)


def test_without_unlabelled_subjects_it_says_so(tiny_cohort: TinyCohort, tmp_path: Path, compute: Compute) -> None:
    with pytest.raises(McdError, match="label_ratio 1: labels every training subject"):
        finetune(task("dtml", label_ratio=1.0), **places(tiny_cohort, tmp_path / "model.pt"), compute=compute)


def test_the_ramp_of_no_option_is_the_whole_training() -> None:
    assert SemiSupervisedOptions().ramp == 1.0


@pytest.mark.parametrize(
    ("algorithm", "falling"),
    [("supervised", "total"), ("mean_teacher", "supervised"), ("dtml", "segmentation"), ("sass", "segmentation")],
)
def test_the_guards_watch_a_loss_whose_weight_does_not_rise(algorithm: str, falling: str, make_method: Make) -> None:
    method = make_method(algorithm, **SMALL.get(algorithm, {}))
    assert tuple(method.levels(4).falling) == (falling,)
    assert method.levels(4).chance == {}


def test_the_two_sets_of_a_mixed_training_share_the_memory(tiny_cohort: TinyCohort, compute: Compute) -> None:
    """Either set fits by itself, but the memory is for both."""
    with Shards(tiny_cohort.shards) as shards:
        split = read_split(tiny_cohort.split)

        def slices(memory: float) -> MixedSlices:
            found = training_slices(shards, split, task("dtml", label_ratio=0.5), torch_device(compute), memory)
            assert isinstance(found, MixedSlices)
            return found

        plenty = slices(1e9)
        assert len(plenty.labelled) == len(plenty.unlabelled)
        height, width = plenty.labelled.size
        one_set = len(plenty.labelled) * height * width * 2  # bytes, in half precision
        assert slices(2 * one_set).in_memory
        scarce = slices(2 * one_set - 2)
        assert not scarce.labelled.in_memory
        assert not scarce.unlabelled.in_memory
