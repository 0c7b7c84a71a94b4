"""A pre-training of the tiny cohort, with a network that was fine-tuned from it."""

from pathlib import Path

import pytest

from mcd.pretraining.options import PretrainingTask
from mcd.pretraining.run import pretrain
from mcd.segmentation.options import FinetuningTask
from mcd.segmentation.run import finetune
from mcd.testing.cohort import TinyCohort
from mcd.training.history import write_history
from mcd.training.schedule import Compute, Schedule


@pytest.fixture(scope="session")
def regions() -> dict[str, list[int]]:
    return {"WT": [1, 2], "TC": [1]}


@pytest.fixture(scope="session")
def pretrained(tiny_cohort: TinyCohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a DSGAN with one shared layer; its losses.csv is beside it."""
    folder = tmp_path_factory.mktemp("pretraining")
    task = PretrainingTask(
        algorithm="dsgan",
        options={"discriminator_filters": 2},
        modalities=tiny_cohort.modalities,
        filters=2,
        epochs=2,
        steps_per_epoch=1,
        batch_size=4,
    )
    history = pretrain(
        task,
        shards=tiny_cohort.shards,
        split=tiny_cohort.split,
        output=folder / "checkpoint.pt",
        compute=Compute(device="cpu"),
    )
    write_history(history, folder / "losses.csv")
    return folder / "checkpoint.pt"


@pytest.fixture(scope="session")
def finetuned(
    tiny_cohort: TinyCohort, pretrained: Path, regions: dict[str, list[int]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The checkpoint of a fine-tuning of modality A with two of the four training patients' labels."""
    path = tmp_path_factory.mktemp("finetuning") / "model.pt"
    task = FinetuningTask(
        modality="A",
        regions=regions,
        label_ratio=0.5,
        filters=2,
        schedule=Schedule(epochs=3, steps_per_epoch=10, batch_size=4, learning_rate=0.02),
    )
    finetune(
        task,
        shards=tiny_cohort.shards,
        split=tiny_cohort.split,
        pretrained=pretrained,
        output=path,
        compute=Compute(device="cpu"),
        about={"method": "multi_condos"},
    )
    return path
