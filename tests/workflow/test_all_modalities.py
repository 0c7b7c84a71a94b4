"""Multi-ConDoS-M from a sheet of three modalities, one of which is in no pair, to the tables."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from small_patients import make_scans, write_configuration
from snakemake_run import snakemake

from mcd.diagnosis.numbers import read_diagnoses
from mcd.trace import trace
from mcd.training.checkpoint import load_checkpoint

pytestmark = pytest.mark.workflow

PRETRAINING = "work/mine/A-B-C/pretraining/multi_condos_m/seed0"


def test_one_pretraining_on_three_modalities_from_the_sheet_to_the_tables(tmp_path: Path) -> None:
    scans = make_scans(tmp_path, third=True)
    config = write_configuration(
        tmp_path,
        scans,
        7,
        own={"modalities": ["A", "B", "C"]},
        methods=["multi_condos", "multi_condos_m"],
        pretraining={"epochs": 2, "steps_per_epoch": 2},
        report=["table_beyond", "table9"],
    )
    targets = [f"results/{name}" for name in ("table_beyond.csv", "table9.csv", "diagnosis.csv")]
    run = snakemake("--cores", "2", *targets, folder=tmp_path, config=config)
    assert run.returncode == 0, run.stdout[-3000:]
    assert len(list(tmp_path.glob("work/mine/*/pretraining/*/seed0/checkpoint.pt"))) == 2
    losses = pd.read_csv(tmp_path / PRETRAINING / "losses.csv")
    assert list(losses["steps"]) == [3, 3], "one and a half times the steps of a pair"

    before = load_checkpoint(tmp_path / PRETRAINING / "checkpoint.pt", "pretraining")
    for pair, modality in (("A-B", "A"), ("A-B", "B"), ("single", "C")):
        folder = tmp_path / f"work/mine/{pair}/multi_condos_m/{modality}/labels100/seed0"
        model = load_checkpoint(folder / "model.pt", "segmentation")
        assert set(model.description["transferred"]) == set(before.description["trained"])
        key = "encoder.0.0.weight"  # one step at a small rate, from here and from nowhere else
        found, own = model.weights["network"][key], before.weights[modality][key]
        assert torch.nn.functional.cosine_similarity(found.flatten(), own.flatten(), dim=0) > 0.9
        assert len(pd.read_csv(folder / "scores.csv")) > 0

    table = pd.read_csv(tmp_path / "results/table_beyond_long.csv")
    cells = table[table["metric"] == "DSC"].groupby("method")["modality"].agg(set).to_dict()
    assert cells == {"Fully Supervised": {*"ABC"}, "Multi-ConDoS-M": {*"ABC"}, "Multi-ConDoS": {*"AB"}}
    costs = pd.read_csv(tmp_path / "results/table9_long.csv")
    minutes = costs[costs["metric"] == "pretraining_minutes"]
    assert set(zip(minutes["method"], minutes["modality"], strict=True)) == {
        *(("Multi-ConDoS", "A-B"), ("Multi-ConDoS-M", "A-B"), ("Multi-ConDoS-M", "A-B-C"))
    }
    assert "One training on all modalities of a cohort" in (tmp_path / "results/table9.html").read_text()
    diagnoses = {found.pair: found for found in read_diagnoses([tmp_path / "results/diagnosis.csv"])}
    assert {number.modality for number in diagnoses["A-B-C"].of("translation", "l1")} == {*"ABC"}
    assert {number.modality for number in diagnoses["A-B-C"].of("moved")} == {*"ABC"}
    text = "\n".join(trace(tmp_path / "results/table_beyond.csv", ["Multi-ConDoS-M", "C"]))
    assert f"{PRETRAINING}/checkpoint.pt" in text
    assert "pretraining/multi_condos/" not in text
