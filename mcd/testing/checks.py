"""Checks for every extension, in seconds and on a CPU. A check that fails raises an `AssertionError` that says why."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

from mcd.cohorts import find_layout
from mcd.evaluation.metrics import METRICS, score_subject
from mcd.methods import METHODS, PRETRAININGS
from mcd.paths import file_and_channel
from mcd.testing.cohort import TinyCohort, make_tiny_cohort

if TYPE_CHECKING:
    from mcd.training.checkpoint import Checkpoint
    from mcd.training.method import Method

FILTERS, EPOCHS = 4, 3


def check_pretraining(algorithm: str, options: Mapping[str, Any] | None = None) -> None:
    """Check a registered self-supervised method on a tiny cohort.

    A configuration can name it as a row. It trains reproducibly, and to other weights with another seed. Killed
    in the middle of its last epoch, it resumes to the weights of an uninterrupted training. Every kernel that it says it
    trained changes while it trains. A fine-tuning that starts from it transfers exactly the layers that it says it trained.

    Args:
        options: such as smaller sizes than the defaults, for speed.
    """
    from mcd.pretraining.options import PretrainingTask
    from mcd.pretraining.registry import pretraining_class
    from mcd.pretraining.run import pretrain
    from mcd.training.checkpoint import load_checkpoint

    named = algorithm in METHODS and METHODS[algorithm].pretraining == algorithm
    assert named, f"{algorithm}: no row of its name pre-trains with it"
    assert PRETRAININGS[algorithm].algorithm == algorithm
    task = PretrainingTask(
        algorithm=algorithm,
        options=dict(options or {}),
        modalities=("A", "B"),
        filters=FILTERS,
        epochs=EPOCHS,
        batch_size=8,
        steps_per_epoch=2,
    )
    with _tiny() as (cohort, folder):
        start = partial(pretrain, task, shards=cohort.shards, split=cohort.split)
        whole = _check_resumes(algorithm, pretraining_class(algorithm), start, "mcd.pretraining.run.train", folder)
        other = task.model_copy(update={"seed": 1})
        pretrain(other, shards=cohort.shards, split=cohort.split, output=folder / "other.pt")
        assert not same_weights(whole, load_checkpoint(folder / "other.pt")), f"{algorithm}: the seed changes nothing"
        pretrain(
            task.model_copy(update={"epochs": 1}), shards=cohort.shards, split=cohort.split, output=folder / "short.pt"
        )
        _check_learns(algorithm, load_checkpoint(folder / "short.pt"), whole)
        _check_transfer(algorithm, cohort, folder / "whole.pt", folder)


def _check_learns(algorithm: str, short: "Checkpoint", whole: "Checkpoint") -> None:
    """Compare the kernels after one epoch with those after all: one that no loss reaches stays as it was at first.

    Biases and the like may stay: before a normalisation nothing depends on them.
    """
    import torch

    still = [
        f"{key} of {modality}"
        for modality, state in whole.weights.items()
        for key in whole.description["trained"]
        if state[key].ndim > 1 and torch.equal(state[key], short.weights[modality][key])
    ]
    assert not still, (
        f"{algorithm}: {len(still)} kernels that it says it trained never change, {still[0]} the first: no loss reaches them"
    )


def _check_transfer(algorithm: str, cohort: TinyCohort, pretrained: Path, folder: Path) -> None:
    from mcd.segmentation.options import FinetuningTask
    from mcd.segmentation.run import finetune
    from mcd.training.checkpoint import load_checkpoint
    from mcd.training.schedule import Schedule

    task = FinetuningTask(
        modality="B",
        regions={"whole": [1, 2]},
        label_ratio=0.5,
        filters=FILTERS,
        schedule=Schedule(epochs=1, batch_size=4, steps_per_epoch=1),
    )
    places: dict[str, Any] = {"shards": cohort.shards, "split": cohort.split, "output": folder / "model.pt"}
    finetune(task, **places, pretrained=pretrained)
    taken = set(load_checkpoint(folder / "model.pt", "segmentation").description["transferred"])
    said = {key for key in load_checkpoint(pretrained).description["trained"] if not key.startswith("output.")}
    assert taken == said, (
        f"{algorithm}: fine-tuning took {sorted(taken ^ said)} differently from what it says it trained"
    )
    assert taken, f"{algorithm}: hands nothing back"


def check_segmentation(algorithm: str, options: Mapping[str, Any] | None = None) -> None:
    """Check a registered method that learns to segment, on a tiny cohort.

    A configuration can name it as a row. It trains reproducibly, resumes to the same weights after a kill, and
    saves a plain U-Net that predicts every test patient.
    """
    from mcd.prediction.masks import predicted_subjects
    from mcd.prediction.run import predict_test
    from mcd.segmentation.options import FinetuningTask
    from mcd.segmentation.registry import segmentation_class
    from mcd.segmentation.run import finetune
    from mcd.training.schedule import Schedule

    named = algorithm in METHODS and METHODS[algorithm].segmentation == algorithm
    assert named, f"{algorithm}: no row of its name trains with it"
    task = FinetuningTask(
        algorithm=algorithm,
        options=dict(options or {}),
        modality="A",
        regions={"whole": [1, 2]},
        label_ratio=0.25,
        filters=FILTERS,
        schedule=Schedule(epochs=EPOCHS, batch_size=4, steps_per_epoch=2, learning_rate=1e-3),
    )
    with _tiny() as (cohort, folder):
        places: dict[str, Any] = {"shards": cohort.shards, "split": cohort.split}
        start = partial(finetune, task, **places)
        _check_resumes(algorithm, segmentation_class(algorithm), start, "mcd.segmentation.run.train", folder)
        predict_test(**places, model=folder / "whole.pt", predictions=folder / "masks.h5")
        assert predicted_subjects(folder / "masks.h5") == cohort.subjects[-2:]


def check_metric(key: str) -> None:
    """Check a registered metric on random, equal and empty masks: within its bounds or NaN, and best for equal masks."""
    (metric,) = [metric for metric in METRICS if metric.key == key]
    low, high = metric.bounds
    rng = np.random.default_rng(0)
    some, other = (rng.random((4, 16, 16)) < share for share in (0.3, 0.1))
    nothing = np.zeros_like(some)
    scores = {
        name: score_subject({"r": truth}, {"r": found}, (2.0, 1.0, 1.0))[0][key]
        for name, truth, found in (
            ("random", some, other),
            ("equal", some, some),
            ("nothing predicted", some, nothing),
            ("nothing there", nothing, some),
            ("nothing at all", nothing, nothing),
        )
    }
    for name, score in scores.items():
        assert math.isnan(score) or low <= score <= high, f"{key}: {score} of {name} is not within {metric.bounds}"
    assert scores["equal"] == (high if metric.higher_is_better else low), f"{key}: {scores['equal']} of equal masks"


def check_layout(name: str, folder: str | Path) -> None:
    """Check a registered layout on a folder that has it: it finds patients whose files exist, for any choice of modalities."""
    subjects = find_layout(name).find(Path(folder))
    assert subjects, f"{name}: finds no patient in {folder}"
    assert [subject.id for subject in subjects] == sorted({subject.id for subject in subjects})
    for subject in subjects:
        files = [*subject.images.values(), subject.label, subject.mask]
        missing = [str(path) for path in files if path is not None and not file_and_channel(path)[0].exists()]
        assert not missing, f"{name}: {subject.id}: {', '.join(missing)} are not there"
        assert subject.images, f"{name}: {subject.id} has no image"
    one = next(iter(subjects[0].images))
    asked = find_layout(name).find(Path(folder), [one])
    assert [list(subject.images) for subject in asked] == [[one]] * len(subjects), f"{name}: {one} alone cannot be had"


@contextmanager
def _tiny() -> Iterator[tuple[TinyCohort, Path]]:
    with TemporaryDirectory() as name:
        yield make_tiny_cohort(Path(name)), Path(name)


def same_weights(one: "Checkpoint", other: "Checkpoint") -> bool:
    """Whether two checkpoints hold the same tensors, to the last bit."""
    import torch

    return one.weights.keys() == other.weights.keys() and all(
        state.keys() == other.weights[part].keys()
        and all(torch.equal(value, other.weights[part][key]) for key, value in state.items())
        for part, state in one.weights.items()
    )


def _check_resumes(
    algorithm: str, method_class: "type[Method]", start: Callable[..., Any], train: str, folder: Path
) -> "Checkpoint":
    """Train twice, and once more with a kill in between: always to the same weights. Return the checkpoint.

    Args:
        start: starts the training, given `output` and `resume`; it calls `mcd.training.loop.train` by the name `train`.
    """
    from mcd.testing.interruption import killed_in
    from mcd.training.checkpoint import load_checkpoint

    for name in ("whole", "again"):
        start(output=folder / f"{name}.pt")
    whole = load_checkpoint(folder / "whole.pt")
    again = load_checkpoint(folder / "again.pt")
    assert same_weights(whole, again), f"{algorithm}: the same seed gave other weights"
    with _keeping_every_epoch(train):
        with killed_in(EPOCHS - 1, method_class):
            start(output=folder / "resumed.pt", resume=folder / "state")
        start(output=folder / "resumed.pt", resume=folder / "state")
    resumed = load_checkpoint(folder / "resumed.pt")
    assert same_weights(whole, resumed), (
        f"{algorithm}: what a resumed training needs is not in its parameters and buffers"
    )
    return whole


@contextmanager
def _keeping_every_epoch(train: str) -> Iterator[None]:
    """Keep the running state after every epoch, as trainings that take hours do."""
    from mcd.training import loop

    with patch(train, partial(loop.train, save_every=0.0)):
        yield
