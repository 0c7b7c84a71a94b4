"""Every method sees labelled slices with a target as often as every other, whatever its batches hold."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcd.errors import McdError
from mcd.segmentation.options import FinetuningTask
from mcd.segmentation.registry import REGISTRY, segmentation_class
from mcd.segmentation.run import finetune, training_slices
from mcd.segmentation.supervised import Segmentation
from mcd.slices.batches import Batch
from mcd.slices.shards import Shards
from mcd.slices.splits import Split, write_split
from mcd.slices.write_shards import write_subjects
from mcd.testing.cohort import TinyCohort, tiny_volumes
from mcd.training.checkpoint import load_checkpoint
from mcd.training.method import Losses
from mcd.training.schedule import Schedule

REGIONS = {"WT": [1, 2], "TC": [1]}
ROWS: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in REGISTRY if name != "sass"} | {
    "sass": ("sass", {"discriminator_filters": 4}),
    "supervised_content": ("supervised", {"slices": "content"}),
    "mt_control": ("mean_teacher", {"consistency": 0.0}),
}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> TinyCohort:
    """Eight patients of 24 slices, most of them without a target."""
    folder = tmp_path_factory.mktemp("deep")
    names = [f"p{number}" for number in range(8)]
    write_subjects(folder / "0.h5", ((name, tiny_volumes(number, depth=24)) for number, name in enumerate(names)))
    write_split(Split(train=names[:7], test=names[7:]), folder / "split.json")
    return TinyCohort(folder, names, [folder / "0.h5"], folder / "split.json", depth=24)


@pytest.mark.parametrize("steps", [None, 7], ids=["epochs", "steps"])
@pytest.mark.parametrize("row", ROWS)
def test_a_method_sees_as_many_labelled_slices_with_a_target_as_fully_supervised(
    row: str, steps: int | None, cohort: TinyCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    algorithm, options = ROWS[row]
    epochs, batch_size = 3, 6
    schedule = Schedule(epochs=epochs, batch_size=batch_size, learning_rate=1e-3, steps_per_epoch=steps)
    settings: dict[str, Any] = {"modality": "A", "regions": REGIONS, "label_ratio": 0.4, "filters": 2}
    task = FinetuningTask(**settings, algorithm=algorithm, options=options, schedule=schedule)
    with Shards(cohort.shards) as shards:
        targets = sum(
            int((shards.read(name, "labels") > 0).any((1, 2)).sum()) for name in cohort.subjects[:3]
        )  # 40 % of seven patients
    wanted = epochs * batch_size * (steps or targets // batch_size)

    shown: list[int] = []
    method_class = segmentation_class(algorithm)
    losses = method_class.losses

    def count(self: Segmentation, batch: Batch, player: str) -> Losses:
        if player == next(iter(self.players())):
            assert batch.targets is not None
            shown.append(int(batch.targets.nan_to_num().flatten(1).any(1).sum()))
        return losses(self, batch, player)

    monkeypatch.setattr(method_class, "losses", count)
    history = finetune(task, shards=cohort.shards, split=cohort.split, output=tmp_path / "model.pt")
    seen = sum(row["targets_seen"] for row in history)
    assert (sum(shown), len(shown)) == (seen, sum(row["steps"] for row in history))
    assert abs(seen - wanted) <= 0.07 * wanted  # a step more or less
    if algorithm == "supervised" and not options:
        assert seen == wanted
        assert sum(row["steps"] for row in history) == wanted / batch_size
    else:
        assert sum(row["steps"] for row in history) > wanted / batch_size
    description = load_checkpoint(tmp_path / "model.pt").description
    assert (description["steps"], description["targets_seen"]) == (sum(row["steps"] for row in history), seen)


def test_the_count_is_of_the_labels_themselves(cohort: TinyCohort) -> None:
    schedule = Schedule(epochs=1, batch_size=4)
    settings: dict[str, Any] = {"modality": "A", "regions": REGIONS, "label_ratio": 0.4, "filters": 2}
    parts = Split(train=cohort.subjects[:7], test=cohort.subjects[7:])
    with Shards(cohort.shards) as shards:
        task = FinetuningTask(**settings, algorithm="mean_teacher", schedule=schedule)
        slices = training_slices(shards, parts, task, "cpu", 1e9)  # type: ignore[arg-type]
        batch = slices.batch(np.arange(len(slices)))
        assert batch.targets is not None
        held = batch.targets.nan_to_num().flatten(1).any(1).numpy()
        assert slices.has_target.tolist() == held.tolist()
        assert 0 < held.sum() < len(held) / 4


def test_labelled_patients_without_any_target_teach_nothing(tmp_path: Path) -> None:
    volumes = [tiny_volumes(number) for number in range(4)]
    assert volumes[0].label is not None
    volumes[0].label[:] = 0
    write_subjects(tmp_path / "0.h5", ((f"p{number}", one) for number, one in enumerate(volumes)))
    write_split(Split(train=["p0", "p1", "p2"], test=["p3"]), tmp_path / "split.json")
    task = FinetuningTask(
        algorithm="mean_teacher",
        modality="A",
        regions=REGIONS,
        label_ratio=0.3,
        filters=2,
        schedule=Schedule(epochs=1, batch_size=4),
    )
    with pytest.raises(McdError, match="no slice of p0 has a target"):
        finetune(task, shards=[tmp_path / "0.h5"], split=tmp_path / "split.json", output=tmp_path / "model.pt")
