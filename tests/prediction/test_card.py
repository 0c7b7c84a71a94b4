"""A model's card: facts in the checkpoint, numbers of the test beside it, and a file that stays whole."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pytest
import torch

from mcd.cli import main
from mcd.errors import McdError
from mcd.evaluation.metrics import METRIC_KEYS
from mcd.evaluation.scores import read_scores
from mcd.prediction.card import MEAN, record_licence, render, scores_of, summary
from mcd.prediction.run import predict_test
from mcd.prediction.score import score_predictions
from mcd.reporting.tables.score_tables import long_table
from mcd.segmentation.options import FinetuningTask
from mcd.segmentation.run import finetune
from mcd.slices.options import Augmentation
from mcd.testing.cohort import TinyCohort
from mcd.training.checkpoint import load_checkpoint
from mcd.training.schedule import Schedule

RUN = {
    "cohort": "tiny",
    "pair": "single",
    "modality": "A",
    "method": "fully_supervised",
    "label_ratio": 0.5,
    "seed": 0,
    "draw": 0,
}


@pytest.fixture(scope="module")
def trained(tiny_cohort: TinyCohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that has not been tested."""
    folder = tmp_path_factory.mktemp("model")
    finetune(
        FinetuningTask(
            modality="A",
            regions={"WT": [1, 2], "TC": [1]},
            label_ratio=0.5,
            filters=4,
            schedule=Schedule(epochs=2, batch_size=4, steps_per_epoch=6, learning_rate=0.01, warmup_epochs=0),
            augmentation=Augmentation(),
        ),
        shards=tiny_cohort.shards,
        split=tiny_cohort.split,
        output=folder / "model.pt",
        about={**RUN, "simulated": True},
    )
    return folder


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "model.pt"
    copy.write_bytes((trained / "model.pt").read_bytes())
    return copy


def run_test(cohort: TinyCohort, model: Path, columns: Mapping[str, object] = RUN) -> Path:
    """Predict and score the test patients; the score file lies beside the model."""
    scores, predictions = model.with_name("scores.csv"), model.with_name("predictions.h5")
    data: dict[str, Any] = {"shards": cohort.shards, "split": cohort.split, "predictions": predictions}
    predict_test(**data, model=model)
    score_predictions(**data, scores=scores, columns=columns)
    return scores


def card_of(model: Path, scores: Path | None = None) -> str:
    checkpoint = load_checkpoint(model, "segmentation")
    return render(checkpoint, scores_of(model, checkpoint.description, scores))


def test_a_card_joins_a_model_with_the_scores_beside_it(model: Path, tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    before = model.read_bytes()
    scores = run_test(tiny_cohort, model)
    assert model.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.pt", "predictions.h5", "scores.csv"]
    training = load_checkpoint(model, "segmentation").description["card"]["training"]
    assert training == {"subjects": 4, "labelled": 2, "slices": training["slices"]}

    table = read_scores([scores])
    rows = {(row["region"], row["metric"]): row for row in summary(table)}
    assert set(rows) == {(region, metric) for region in ("WT", "TC", MEAN) for metric in METRIC_KEYS}
    own = table.loc[table["region"] == "TC", "DSC"]
    assert rows["TC", "DSC"]["value"] == pytest.approx(own.mean(), abs=1e-6)
    assert rows["TC", "DSC"]["low"] == pytest.approx(own.min(), abs=1e-6)  # of two patients a quarter draws one twice
    assert rows["TC", "DSC"]["high"] == pytest.approx(own.max(), abs=1e-6)
    for line in long_table(table).itertuples():  # the mean over regions is the tables' number, with their interval
        row = rows[MEAN, str(line.metric)]
        assert (row["value"], row["low"], row["high"]) == pytest.approx(
            (line.value, line.ci_low, line.ci_high), abs=1e-5
        )
        assert row["patients"] == line.patients

    text = card_of(model)
    assert f"| TC | {own.mean():.4f} ({own.min():.4f} to {own.max():.4f}) |" in text
    assert "2 patients of tiny (simulated patients) that no training saw" in text
    assert "Not tested" not in text


def test_a_card_takes_no_other_models_scores(model: Path, tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    scores = run_test(tiny_cohort, model, {**RUN, "modality": "B"})
    assert "Not tested" in card_of(model)  # what merely lies beside it is not its own
    with pytest.raises(McdError, match=r"scores\.csv: holds scores of tiny, single, B, .*; give its own by --scores$"):
        card_of(model, scores)
    with pytest.raises(McdError, match=r"none\.csv: no such file"):
        card_of(model, tmp_path / "none.csv")


def test_a_card_says_what_the_model_is_and_is_not_for(model: Path) -> None:
    text = render(load_checkpoint(model))
    assert text.startswith("# Model card: WT, TC in A (tiny)\n")
    for words in (
        "must not be used for clinical decisions",
        "its scores say nothing about real ones",
        "| regions | WT (label codes 1, 2); TC (label codes 1) |",
        "| method | Fully Supervised (`fully_supervised`) |",
        "| training patients | 4 |",
        "| of them with labels | 2 (label ratio 50 %) |",
        "| licence | Apache-2.0, as the code |",
        "Not tested: ",
        "## Limits",
    ):
        assert words in text, words


def test_a_card_passes_on_the_warnings_of_its_trainings(model: Path) -> None:
    checkpoint = load_checkpoint(model)
    assert "Warnings" not in render(checkpoint)
    checkpoint.description["warnings"] = ["pre-training, epochs 5 to 9: the features have collapsed"]
    assert "Warnings while it was trained:\n\n- pre-training, epochs 5 to 9: the features" in render(checkpoint)


def test_a_card_of_real_patients_claims_no_licence_and_no_simulation(model: Path) -> None:
    checkpoint = load_checkpoint(model)
    checkpoint.description["simulated"] = False
    text = render(checkpoint)
    assert "| cohort | tiny: real patients |" in text
    assert "simulated" not in text
    assert "| licence | not stated." in text
    del checkpoint.description["simulated"], checkpoint.description["card"], checkpoint.description["method"]
    text = render(checkpoint)  # trained by a call that said nothing about the data
    assert "not known whether simulated" in text
    assert "| training patients | unknown |" in text


def test_a_card_passes_on_the_terms_of_fetched_data(model: Path) -> None:
    checkpoint = load_checkpoint(model)
    checkpoint.description["simulated"] = False
    data = {"title": "Ninety-nine", "licence": "CC BY-SA 4.0", "citation": "Nobody, 2020"}
    checkpoint.description["card"]["data"] = data
    text = render(checkpoint)
    assert "| data | Ninety-nine |\n| their licence | CC BY-SA 4.0 |\n| please cite | Nobody, 2020 |" in text
    assert "depends on the terms of the cohort's data (CC BY-SA 4.0) |" in text


def test_undefined_scores_and_a_single_patient_are_said() -> None:
    row = {**RUN, "region": "WT", "DSC": 1.0, "Sen": np.nan, "PPV": np.nan, "HD95": 0.0, "BIoU": 1.0}
    scores = pd.DataFrame([{**row, "subject": "one"}])
    found = {line["metric"]: line for line in summary(scores)}
    assert found["DSC"] == {"region": "WT", "metric": "DSC", "value": 1.0, "low": None, "high": None, "patients": 1}
    assert (found["Sen"]["value"], found["Sen"]["patients"]) == (None, 0)
    assert {line["region"] for line in summary(scores)} == {"WT"}  # no mean over one region


def test_a_kill_while_a_licence_is_written_leaves_the_model_as_it_was(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = model.read_bytes()

    def half(content: object, file: BinaryIO) -> None:
        file.write(before[: len(before) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(KeyboardInterrupt):
        record_licence(model, "CC-BY-4.0")
    assert model.read_bytes() == before
    assert list(model.parent.iterdir()) == [model]


def test_the_command_line(
    model: Path, tiny_cohort: TinyCohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--shards", *map(str, tiny_cohort.shards), "--split", str(tiny_cohort.split), "--model", str(model)]
    before = model.read_bytes()
    assert main(["evaluate", *data, "--output", str(tmp_path / "test")]) == 0
    assert model.read_bytes() == before
    capsys.readouterr()
    assert main(["card", str(model)]) == 0
    assert "Not tested" in capsys.readouterr().out  # its scores are elsewhere
    assert main(["card", str(model), "--scores", str(tmp_path / "test/scores.csv")]) == 0
    shown = capsys.readouterr().out
    assert "Not tested" not in shown
    assert main(["evaluate", *data, "--output", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["card", str(model)]) == 0
    assert capsys.readouterr().out == shown
    assert main(["card", str(model), "--licence", "CC-BY-4.0", "--output", str(tmp_path / "card.md")]) == 0
    text = (tmp_path / "card.md").read_text()
    assert "Not tested" not in text
    assert "| licence | CC-BY-4.0 |" in text
    assert load_checkpoint(model).description["card"]["licence"] == "CC-BY-4.0"
