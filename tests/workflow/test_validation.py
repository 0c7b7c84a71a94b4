"""Validation patients, from the sheet's configuration to their own table: nobody else is in it, and they are nowhere else."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small_patients import make_scans, write_configuration
from snakemake_run import snakemake

from mcd.slices.splits import read_split

pytestmark = pytest.mark.workflow

SETTINGS: dict[str, Any] = {"methods": ["simclr", "mt"], "label_ratios": [0.5], "label_draws": 2}


def test_settings_are_chosen_on_patients_who_neither_train_nor_test(tmp_path: Path) -> None:
    scans = make_scans(tmp_path, third=True)
    own = {"modalities": ["A", "B", "C"], "validation": 2}
    config = write_configuration(tmp_path, scans, 6, own=own, **SETTINGS)
    run = snakemake("--cores", "2", "results/validation.csv", "results/table2.csv", folder=tmp_path, config=config)
    assert run.returncode == 0, run.stdout[-3000:]
    split = read_split(tmp_path / "splits/mine/seed0.json")
    assert (len(split.train), len(split.validation), len(split.test), split.unlabelled) == (2, 2, 2, ["p6"])
    for name, expected in (("validation", split.validation), ("scores", split.test)):
        files = sorted(tmp_path.glob(f"work/mine/*/*/*/labels50/seed0*/{name}.csv"))
        assert len(files) == 2 * 3 * 2, "every method, modality and draw"
        for file in files:
            scores = pd.read_csv(file)
            assert set(scores["subject"]) == set(expected)
            assert set(scores["pair"]) == {"single" if "/single/" in str(file) else "A-B"}
    assert not list(tmp_path.glob("work/**/validation.h5"))
    log = next(tmp_path.glob("logs/mine/pretrain_pair/**/seed0.log")).read_text()
    assert "slices of 3 subjects" in log
    long = pd.read_csv(tmp_path / "results/validation_long.csv")
    row = long[(long["method"] == "MT") & (long["modality"] == "C") & (long["metric"] == "DSC")].iloc[0]
    files = sorted(tmp_path.glob("work/mine/single/mt/C/labels50/seed0*/validation.csv"))
    scores = pd.concat(pd.read_csv(file) for file in files)
    assert row["value"] == pytest.approx(scores.groupby("subject")["DSC"].mean().mean(), abs=1e-4)
    page = (tmp_path / "results/validation.html").read_text()
    assert "Mean over the validation patients" in page

    write_configuration(tmp_path, scans, 6, own={**own, "validation": 1}, **SETTINGS)
    run = snakemake("--cores", "2", "results/table2.csv", "-n", folder=tmp_path, config=config)
    assert (
        "seed0.json: the cohort is no longer the one that it was drawn from: `validation` was 2 and is 1" in run.stdout
    )


def test_without_them_there_is_no_such_table(tmp_path: Path) -> None:
    config = write_configuration(tmp_path, make_scans(tmp_path), 7, **SETTINGS)
    run = snakemake("--cores", "2", "results/validation.csv", "-n", folder=tmp_path, config=config)
    assert run.returncode == 1
    run = snakemake(
        *("--cores", "2", "work/mine/A-B/mt/A/labels50/seed0/validation.csv", "-n"), folder=tmp_path, config=config
    )
    assert "error: mine: has no validation patient; set `validation`, and redraw its splits" in run.stdout
