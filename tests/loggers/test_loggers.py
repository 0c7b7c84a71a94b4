"""What trackers are given of a training, and that a training is the same with them as without."""

import os
import stat
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
import torch

from mcd.errors import McdError
from mcd.loggers.base import Logged, Watches, logged, logged_job, sheet
from mcd.pretraining import registry as pretraining_registry
from mcd.pretraining.options import PretrainingTask
from mcd.pretraining.run import pretrain
from mcd.segmentation import registry as segmentation_registry
from mcd.segmentation.options import FinetuningTask
from mcd.segmentation.run import finetune
from mcd.testing.cohort import TinyCohort
from mcd.training.checkpoint import load_checkpoint
from mcd.training.history import MEASURED, History, Watch
from mcd.training.schedule import Compute, Schedule

LOGGERS = get_args(get_args(Compute.model_fields["logger"].annotation)[0])


def pretrained(
    algorithm: str, cohort: TinyCohort, output: Path, watch: Watch | None = None, epochs: int = 2, **more: Any
) -> History:
    task = PretrainingTask(
        algorithm=algorithm,
        options={"discriminator_filters": 2} if algorithm == "dsgan" else {},
        modalities=("A", "B"),
        filters=2,
        epochs=epochs,
        batch_size=4,
        steps_per_epoch=1,
    )
    return pretrain(task, shards=cohort.shards, split=cohort.split, output=output, watch=watch, **more)


def finetuned(algorithm: str, cohort: TinyCohort, output: Path, watch: Watch | None = None) -> History:
    task = FinetuningTask(
        algorithm=algorithm,
        modality="A",
        regions={"core": [1], "whole": [1, 2]},
        label_ratio=0.5,
        filters=2,
        schedule=Schedule(epochs=2, batch_size=4, steps_per_epoch=1),
    )
    return finetune(task, shards=cohort.shards, split=cohort.split, output=output, watch=watch)


@pytest.mark.parametrize(
    ("train", "algorithm"),
    [
        *((pretrained, name) for name in pretraining_registry.REGISTRY),
        *((finetuned, name) for name in segmentation_registry.REGISTRY),
    ],
)
def test_pictures_of_every_method_change_no_bit(
    train: Any, algorithm: str, tiny_cohort: TinyCohort, tmp_path: Path
) -> None:
    made: list[dict[str, np.ndarray]] = []
    train(algorithm, tiny_cohort, tmp_path / "watched.pt", watch=lambda _, pictures: made.append(pictures()))
    history = train(algorithm, tiny_cohort, tmp_path / "alone.pt")
    watched, alone = (load_checkpoint(tmp_path / f"{name}.pt") for name in ("watched", "alone"))
    for part, state in alone.weights.items():
        for key, value in state.items():
            assert torch.equal(watched.weights[part][key], value), f"{part} {key}"
    assert len(made) == len(history)
    for pictures in made:
        assert {len(images) for images in pictures.values()} == {4}
        assert {images.shape[2:] for images in pictures.values()} == {(32, 32)}
        assert all(np.isfinite(images).all() for images in pictures.values())


def test_pictures_are_the_method_s_own(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    """A pair's slices and translations, modality below modality; a segmentation's target, and what is predicted of it."""
    made: list[dict[str, np.ndarray]] = []
    pretrained("dsgan", tiny_cohort, tmp_path / "c.pt", watch=lambda _, pictures: made.append(pictures()))
    assert list(made[0]) == ["image", "translation", "reconstruction"]
    assert np.array_equal(made[0]["image"], made[1]["image"]), "the same slices each time"
    assert not np.array_equal(made[0]["translation"], made[1]["translation"]), "as the networks are now"
    made.clear()
    finetuned("supervised", tiny_cohort, tmp_path / "m.pt", watch=lambda _, pictures: made.append(pictures()))
    assert made[0]["target"].shape == made[0]["probability"].shape == (4, 2, 32, 32)
    assert (made[0]["target"].max((1, 2, 3)) == 1).all(), "slices with a target"


def test_a_sheet_has_a_column_per_slice_and_a_row_per_channel() -> None:
    images = np.zeros((3, 2, 4, 4), np.float32)
    images[1, 0], images[2, 1] = 0.5, 7.0
    drawn = sheet(images)
    assert drawn.shape == (8, 12)
    assert (drawn[:4, 4:8] == 128).all(), "from 0 to 1 as it is"
    assert (drawn[4:, 8:] == 255).all(), "anything else as bright as its brightest"
    assert drawn.sum() == 16 * (128 + 255)


class Kept:
    """A writer that keeps what it is given."""

    made: list["Kept"]

    def __init__(self, folder: Path, run: str) -> None:
        self.folder, self.run, self.closed = folder, run, False
        self.rows: dict[int, Mapping[str, float]] = {}
        self.shown: dict[tuple[int, str], np.ndarray] = {}
        self.made.append(self)

    def losses(self, epoch: int, values: Mapping[str, float]) -> None:
        assert not self.closed
        self.rows[epoch] = values

    def picture(self, epoch: int, name: str, pixels: np.ndarray) -> None:
        self.shown[epoch, name] = pixels

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Kept]:
    Kept.made = []
    stand_in = ModuleType("mcd.loggers.tensorboard")
    stand_in.Writer = Kept  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mcd.loggers.tensorboard", stand_in)
    monkeypatch.setattr("mcd.loggers.base.find_spec", lambda name: object())
    return Kept.made


def test_modalities_that_are_trained_in_turn_are_runs_of_their_own(
    kept: list[Kept], tiny_cohort: TinyCohort, tmp_path: Path
) -> None:
    watch = Logged("tensorboard", tmp_path / "tb", "tiny/simclr", 2)
    history = pretrained("simclr", tiny_cohort, tmp_path / "c.pt", watch)
    assert [writer.run for writer in kept] == ["tiny/simclr/A", "tiny/simclr/B"]
    assert all(writer.closed for writer in kept)
    for writer, modality in zip(kept, "AB", strict=True):
        rows = {row["epoch"]: row for row in history if row["modality"] == modality}
        assert writer.rows.keys() == rows.keys()
        for epoch, values in writer.rows.items():
            assert values == {name: rows[epoch][name] for name in values}
            assert set(values) == {"total", "accuracy", "embedding_sd", "learning_rate"}


def test_a_resumed_training_gives_all_its_losses(kept: list[Kept], tmp_path: Path) -> None:
    rows = [{"epoch": epoch, "total": 1 / epoch, "learning_rate": 1e-3} for epoch in range(1, 31)]
    asked: list[int] = []

    def pictures() -> dict[str, np.ndarray]:
        asked.append(epoch)
        return {"image": np.zeros((1, 1, 2, 2))}

    watch = Logged("tensorboard", tmp_path, "x", 30)
    for epoch in range(11, 31):
        watch(rows[:epoch], pictures)
    (writer,) = kept
    assert list(writer.rows) == list(range(1, 31))
    assert asked == [12, 15, 18, 21, 24, 27, 30]
    assert writer.closed


def test_what_is_written_is_for_the_user_alone(
    kept: list[Kept], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Libraries give their files any mode, so the folder keeps others out; of a job, it is among the logs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MCD_FILE_ACCESS", raising=False)
    monkeypatch.setenv("MCD_LOGGER", "tensorboard")
    (watch,) = logged_job("work/tiny/A-B/pretraining/x/seed0/checkpoint.pt", 1)
    watch([{"epoch": 1, "total": 1.0, "learning_rate": 1e-3}], dict)
    (writer,) = kept
    assert (writer.folder, writer.run) == (Path("logs/tensorboard"), "tiny/A-B/pretraining/x/seed0")
    assert stat.S_IMODE(os.stat("logs/tensorboard").st_mode) == 0o700
    monkeypatch.setenv("MCD_LOGGER", "")
    assert logged_job("work/tiny/model.pt", 1) == []


@pytest.mark.parametrize("logger", LOGGERS)
def test_one_that_is_not_installed_is_one_line(logger: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("mcd.loggers.base.find_spec", lambda name: None)
    with pytest.raises(McdError, match=rf"^compute.logger: {logger} is not installed; pip install {logger}, or"):
        logged(logger, tmp_path, "run", 1)
    assert find_spec(f"mcd.loggers.{logger}")


def test_tensorboard_shows_losses_and_pictures(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    """Of a training that was begun before, with losses that it no longer has."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = tmp_path / "tensorboard"
    killed = Logged("tensorboard", folder, "run", 30)
    killed([{"epoch": epoch, "total": 99.0, "gone": 1.0, "learning_rate": 1e-3} for epoch in range(1, 10)], dict)
    assert killed._writer
    killed._writer.close()
    watch = Watches(logged("tensorboard", tmp_path, "run", 3))
    history = pretrained("dsgan", tiny_cohort, tmp_path / "c.pt", watch, epochs=3)
    events = accumulator.EventAccumulator(str(folder / "run")).Reload()
    names = set(history[0]) - {"epoch", "steps", "images", "targets_seen", *MEASURED}
    assert events.Scalars("gone") == events.Scalars("total") == []
    assert set(events.Tags()["scalars"]) - {"gone", "total"} == names
    for name in names:
        found = [(event.step, event.value) for event in events.Scalars(name)]
        assert found == [(row["epoch"], pytest.approx(row[name])) for row in history]
    assert [event.step for event in events.Images("translation")] == [1, 2, 3]
    image = events.Images("translation")[0]
    assert (image.height, image.width) == (2 * 32, 4 * 32)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Any, ...]]]:
    """What stand-ins for wandb and MLflow are called with; their modules are loaded anew, and forgotten at the end."""
    made: list[tuple[Any, ...]] = []

    class Run:
        def log(self, values: dict[str, Any], step: int) -> None:
            made.append(("log", step, values))

        def finish(self) -> None:
            made.append(("finish",))

    class Client:
        def __init__(self, uri: str) -> None:
            made.append(("uri", uri))

        def get_experiment_by_name(self, name: str) -> None:
            return None

        def create_experiment(self, name: str, place: str | None) -> str:
            made.append(("artifacts", place))
            return f"number of {name}"

        def create_run(self, experiment: str, run_name: str) -> SimpleNamespace:
            made.append(("run", experiment, run_name))
            return SimpleNamespace(info=SimpleNamespace(run_id="r1"))

        def log_metric(self, run: str, name: str, value: float, step: int) -> None:
            made.append(("metric", run, step, name, value))

        def log_image(self, run: str, pixels: np.ndarray, key: str, step: int) -> None:
            made.append(("image", run, step, key, pixels.shape))

        def set_terminated(self, run: str) -> None:
            made.append(("end", run))

    wandb, mlflow = ModuleType("wandb"), ModuleType("mlflow")
    wandb.init = lambda **given: made.append(("init", given)) or Run()  # type: ignore[attr-defined, func-returns-value]
    wandb.Image = lambda pixels: pixels.shape  # type: ignore[attr-defined]
    mlflow.MlflowClient = Client  # type: ignore[attr-defined]
    for module in (wandb, mlflow):
        monkeypatch.setitem(sys.modules, module.__name__, module)
        sys.modules.pop(f"mcd.loggers.{module.__name__}", None)
    monkeypatch.setattr("mcd.loggers.base.find_spec", lambda name: object())
    for variable in ("WANDB_MODE", "WANDB_PROJECT", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(variable, raising=False)
    yield made
    for module in (wandb, mlflow):
        sys.modules.pop(f"mcd.loggers.{module.__name__}", None)


def show_two_epochs(logger: str, folder: Path) -> None:
    rows = [{"epoch": epoch, "total": 0.5 * epoch, "device": "cpu", "learning_rate": 0.1} for epoch in (1, 2)]
    watch = Logged(logger, folder, "tiny/run", 2)
    for count in (1, 2):
        watch(rows[:count], lambda: {"image": np.zeros((3, 1, 4, 4))})


def test_wandb_is_given_losses_and_pictures_and_stays_on_this_machine(
    calls: list[tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show_two_epochs("wandb", tmp_path)
    assert calls == [
        ("init", {"project": "multi-condos", "name": "tiny/run", "dir": str(tmp_path), "mode": "offline"}),
        ("log", 1, {"total": 0.5, "learning_rate": 0.1}),
        ("log", 1, {"image": (4, 12)}),
        ("log", 2, {"total": 1.0, "learning_rate": 0.1}),
        ("log", 2, {"image": (4, 12)}),
        ("finish",),
    ]
    calls.clear()
    monkeypatch.setenv("WANDB_MODE", "online")
    show_two_epochs("wandb", tmp_path)
    assert calls[0][1]["mode"] == "online"


def test_mlflow_is_given_losses_and_pictures_and_stays_on_this_machine(
    calls: list[tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show_two_epochs("mlflow", tmp_path)
    assert calls == [
        ("uri", f"sqlite:///{tmp_path}/runs.db"),
        ("artifacts", f"file://{tmp_path}/artifacts"),
        ("run", "number of multi-condos", "tiny/run"),
        ("metric", "r1", 1, "total", 0.5),
        ("metric", "r1", 1, "learning_rate", 0.1),
        ("image", "r1", 1, "image", (4, 12)),
        ("metric", "r1", 2, "total", 1.0),
        ("metric", "r1", 2, "learning_rate", 0.1),
        ("image", "r1", 2, "image", (4, 12)),
        ("end", "r1"),
    ]
    calls.clear()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    show_two_epochs("mlflow", tmp_path)
    assert calls[:2] == [("uri", "http://server"), ("artifacts", None)]


def test_a_tracker_that_fails_ends_no_training(
    kept: list[Kept], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(self: Kept, epoch: int, values: Mapping[str, float]) -> None:
        raise ConnectionError("the server is gone\nand more")

    monkeypatch.setattr(Kept, "losses", gone)
    show_two_epochs("tensorboard", tmp_path)
    assert [record.getMessage() for record in caplog.records] == [
        "tensorboard: given up for this training (the server is gone)"
    ]
