"""A model's card: facts in the checkpoint, numbers of the test, and a file that stays whole."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import TinyCohort

from mcd.cli import main
from mcd.evaluation.scores import METRIC_KEYS, read_scores
from mcd.prediction.card import MEAN, record_test, render, summary
from mcd.reporting.tables.score_tables import long_table
from mcd.segmentation.run import evaluate, finetune
from mcd.slices.augment import Augmentation
from mcd.training.checkpoint import load_checkpoint
from mcd.training.schedule import Schedule

RUN = {"cohort": "tiny", "pair": "single", "modality": "A", "method": "fully_supervised", "label_ratio": 0.5, "seed": 0}


@pytest.fixture(scope="module")
def trained(tiny_cohort: TinyCohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that has not been tested."""
    folder = tmp_path_factory.mktemp("model")
    finetune(
        shards=tiny_cohort.shards,
        split=tiny_cohort.split,
        output=folder / "model.pt",
        modality="A",
        regions={"WT": [1, 2], "TC": [1]},
        label_ratio=0.5,
        filters=4,
        schedule=Schedule(epochs=2, batch_size=4, steps_per_epoch=6, learning_rate=0.01, warmup_epochs=0),
        augmentation=Augmentation(),
        about={**RUN, "simulated": True},
    )
    return folder


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "model.pt"
    copy.write_bytes((trained / "model.pt").read_bytes())
    return copy


def test_the_scores_of_the_test_come_into_the_file_and_weights_stay(
    model: Path, tiny_cohort: TinyCohort, tmp_path: Path
) -> None:
    before = load_checkpoint(model)
    scores = evaluate(
        shards=tiny_cohort.shards,
        split=tiny_cohort.split,
        model=model,
        scores=tmp_path / "scores.csv",
        predictions=tmp_path / "predictions.h5",
        columns=RUN,
    )
    record_test(model, scores)
    after = load_checkpoint(model, "segmentation")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.pt", "predictions.h5", "scores.csv"]
    for key, tensor in before.weights["network"].items():
        assert torch.equal(after.weights["network"][key], tensor)
    assert {key: value for key, value in after.description.items() if key != "card"} == {
        key: value for key, value in before.description.items() if key != "card"
    }
    card = after.description["card"]
    assert card["training"] == {"subjects": 4, "labelled": 2, "slices": card["training"]["slices"]}
    assert card["test"]["subjects"] == 2

    rows = {(row["region"], row["metric"]): row for row in card["test"]["scores"]}
    assert set(rows) == {(region, metric) for region in ("WT", "TC", MEAN) for metric in METRIC_KEYS}
    table = read_scores([tmp_path / "scores.csv"])
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

    text = render(after)
    assert f"| TC | {own.mean():.4f} ({own.min():.4f} to {own.max():.4f}) |" in text
    assert "2 patients of tiny (simulated patients) that no training saw" in text
    assert "Not tested" not in text


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


def test_undefined_scores_and_a_single_patient_are_said() -> None:
    row = {**RUN, "region": "WT", "DSC": 1.0, "Sen": np.nan, "PPV": np.nan, "HD95": 0.0, "BIoU": 1.0}
    scores = pd.DataFrame([{**row, "subject": "one"}])
    found = {line["metric"]: line for line in summary(scores)}
    assert found["DSC"] == {"region": "WT", "metric": "DSC", "value": 1.0, "low": None, "high": None, "patients": 1}
    assert (found["Sen"]["value"], found["Sen"]["patients"]) == (None, 0)
    assert {line["region"] for line in summary(scores)} == {"WT"}  # no mean over one region


def test_a_kill_while_the_card_is_written_leaves_the_model_as_it_was(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = model.read_bytes()

    def half(content: object, path: Path) -> None:
        path.write_bytes(before[: len(before) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(KeyboardInterrupt):
        record_test(model, pd.DataFrame([{**RUN, "subject": "p4", "region": "WT", **dict.fromkeys(METRIC_KEYS, 0.5)}]))
    assert model.read_bytes() == before
    assert list(model.parent.iterdir()) == [model]


def test_the_command_line(
    model: Path, tiny_cohort: TinyCohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--shards", *map(str, tiny_cohort.shards), "--split", str(tiny_cohort.split)]
    assert main(["evaluate", *data, "--model", str(model), "--output", str(tmp_path / "test")]) == 0
    capsys.readouterr()
    assert main(["card", str(model)]) == 0
    assert "Not tested" in capsys.readouterr().out  # an evaluation changes no model unasked
    assert main(["evaluate", *data, "--model", str(model), "--output", str(tmp_path / "test"), "--card"]) == 0
    assert main(["card", str(model), "--licence", "CC-BY-4.0", "--output", str(tmp_path / "card.md")]) == 0
    text = (tmp_path / "card.md").read_text()
    assert "Not tested" not in text
    assert "| licence | CC-BY-4.0 |" in text
    assert load_checkpoint(model).description["card"]["licence"] == "CC-BY-4.0"
