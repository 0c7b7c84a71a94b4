"""Few patients with a label beside many without: who is seen by what, up to the table."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mcd.errors import McdError
from mcd.prediction.card import render
from mcd.prediction.run import predict_test
from mcd.prediction.score import score_predictions
from mcd.pretraining.options import PretrainingTask
from mcd.pretraining.run import pretrain
from mcd.reporting.tables.score_tables import write_table
from mcd.reporting.tables.spec import TableSpec
from mcd.segmentation.options import FinetuningTask
from mcd.segmentation.run import finetune
from mcd.slices.shards import Shards
from mcd.slices.splits import Origin, Split, make_split, split_to_test, write_split
from mcd.testing.cohort import TinyCohort, make_tiny_cohort
from mcd.training.checkpoint import load_checkpoint
from mcd.training.schedule import Schedule

NAMES = [f"p{number:02d}" for number in range(80)]
UNLABELLED = [name for number, name in enumerate(NAMES) if number % 4]
METHODS = {"fully_supervised": "supervised", "mt": "mean_teacher", "multi_condos": "supervised"}
REGIONS = {"core": [1], "whole": [1, 2]}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> TinyCohort:
    """20 simulated patients with a label, and 60 without."""
    cohort = make_tiny_cohort(tmp_path_factory.mktemp("few"), NAMES, UNLABELLED)
    write_split(make_split(Origin("few", 0.2, dict.fromkeys(NAMES), UNLABELLED), 0), cohort.split)
    return cohort


@contextmanager
def watched() -> Iterator[dict[str, set[str]]]:
    """Whose images and whose labels are read meanwhile."""
    read: dict[str, set[str]] = {"images": set(), "labels": set()}
    original = Shards.read

    def spy(self: Shards, name: str, dataset: str, *rest: Any, **more: Any) -> np.ndarray:
        read.setdefault("labels" if dataset == "code_voxels" else dataset, set()).add(name)
        return original(self, name, dataset, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shards, "read", spy)
        yield read


@pytest.fixture(scope="module")
def pretrained(cohort: TinyCohort, split: Split) -> Path:
    output = cohort.folder / "pretrained.pt"
    options = {"discriminator_filters": 2}
    task = PretrainingTask(
        algorithm="dsgan", options=options, modalities=("A", "B"), filters=2, epochs=1, batch_size=8, steps_per_epoch=1
    )
    with watched() as read:
        pretrain(task, shards=cohort.shards, split=cohort.split, output=output)
    assert read["images"] == set(split.train + split.unlabelled)
    assert not read["labels"]
    return output


@pytest.fixture(scope="module")
def split(cohort: TinyCohort) -> Split:
    split = make_split(Origin("few", 0.2, dict.fromkeys(NAMES), UNLABELLED), 0)
    assert (len(split.train), len(split.test), len(split.unlabelled)) == (16, 4, 60)
    assert not set(split.test) & set(UNLABELLED)
    return split


def train(cohort: TinyCohort, method: str, ratio: float, pretrained: Path | None) -> tuple[Path, dict[str, set[str]]]:
    """The model, and whose images and labels its training read."""
    output = cohort.folder / f"{method}_{ratio}.pt"
    task = FinetuningTask(
        algorithm=METHODS[method],
        modality="A",
        regions=REGIONS,
        label_ratio=ratio,
        filters=2,
        schedule=Schedule(epochs=1, batch_size=4, learning_rate=1e-3, steps_per_epoch=1),
    )
    about = {"cohort": "few", "method": method, "pair": "A-B", "simulated": True}
    start = pretrained if method == "multi_condos" else None
    with watched() as read:
        finetune(task, shards=cohort.shards, split=cohort.split, output=output, pretrained=start, about=about)
    return output, read


def test_the_unlabelled_teach_what_needs_no_label_and_a_table_is_made(
    cohort: TinyCohort, split: Split, pretrained: Path, tmp_path: Path
) -> None:
    scores = []
    for ratio, labelled in ((0.25, split.train[:4]), (1.0, split.train)):
        for method in METHODS:
            model, read = train(cohort, method, ratio, pretrained)
            assert read["labels"] == set(labelled)
            assert read["images"] == set(split.seen if method == "mt" else labelled)
            card = render(load_checkpoint(model, "segmentation"))
            assert "| training patients | 76 |" in card
            assert "| of them without any label | 60 |" in card
            assert f"| of them with labels | {len(labelled)} (label ratio {100 * ratio:g} %) |" in card
            scores.append(tmp_path / f"{model.stem}.csv")
            where: dict[str, Any] = {
                "shards": cohort.shards,
                "split": cohort.split,
                "predictions": tmp_path / "masks.h5",
            }
            predict_test(**where, model=model)
            columns = {"cohort": "few", "pair": "A-B", "modality": "A", "method": method, "label_ratio": ratio}
            rows = score_predictions(**where, scores=scores[-1], columns={**columns, "seed": 0})
            assert {row["subject"] for row in rows} == set(split.test)
    names = {method: method.upper() for method in METHODS}
    spec = TableSpec(
        name="table2",
        title="Table",
        rows=[(ratio, name) for ratio in (0.25, 1.0) for name in names.values()],
        columns=[("few", "A")],
        metrics=["DSC"],
        methods=names,
    )
    write_table(scores, spec, *(tmp_path / name for name in ("t.csv", "long.csv", "t.html", "t.json")))
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["few_A_DSC"].between(0, 1).all()
    assert len(table) == 6


def test_without_any_label_only_pretraining_works(tmp_path: Path) -> None:
    cohort = make_tiny_cohort(tmp_path, NAMES[:4], NAMES[:4])
    split = make_split(Origin("none", 0.2, dict.fromkeys(NAMES[:4]), NAMES[:4]), 0)
    write_split(split, cohort.split)
    task = PretrainingTask(algorithm="simclr", modalities=("A",), filters=2, epochs=1, batch_size=8, steps_per_epoch=1)
    with watched() as read:
        pretrain(task, shards=cohort.shards, split=cohort.split, output=tmp_path / "pretrained.pt")
    assert read["images"] == set(NAMES[:4])
    with pytest.raises(McdError, match=r"split\.json: no training patient has a label"):
        train(cohort, "fully_supervised", 1.0, None)
    with pytest.raises(McdError, match=r"split\.json: has no test patient, since none has a label"):
        split_to_test(cohort.split)
