"""One pre-training from shards to checkpoint: what its watcher is shown."""

from pathlib import Path

from mcd.pretraining.options import PretrainingTask
from mcd.pretraining.run import pretrain
from mcd.testing.cohort import TinyCohort
from mcd.training.history import History


def test_a_watcher_sees_the_modalities_one_behind_the_other(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    task = PretrainingTask(
        algorithm="rotation", modalities=("A", "B"), filters=2, epochs=2, batch_size=4, steps_per_epoch=1
    )
    shown: list[History] = []
    history = pretrain(
        task,
        shards=tiny_cohort.shards,
        split=tiny_cohort.split,
        output=tmp_path / "checkpoint.pt",
        watch=lambda rows, _: shown.append(rows),
    )
    assert [[(row["modality"], row["epoch"]) for row in rows] for rows in shown] == [
        [("A", 1)],
        [("A", 1), ("A", 2)],
        [("A", 1), ("A", 2), ("B", 1)],
        [("A", 1), ("A", 2), ("B", 1), ("B", 2)],
    ]
    assert shown[-1] == history
