"""The whole chain on real patients through a sample sheet, in small."""

from pathlib import Path

import pandas as pd
import pytest
from snakemake_run import snakemake

from mcd.files import read_json
from mcd.imaging.geometry import Grid
from mcd.imaging.io import read_volume

pytestmark = [pytest.mark.workflow, pytest.mark.real]

SMALL = [
    "filters=4",
    "pretraining={epochs: 1, steps_per_epoch: 2}",
    "finetuning={epochs: 2, steps_per_epoch: 6, learning_rate: 0.01, warmup_epochs: 0}",
    "algorithms={dsgan: {discriminator_filters: 4}}",
]


@pytest.mark.parametrize(
    ("config", "cohort", "pair", "regions", "raw"),
    [
        (
            "brats_2013",
            "brats_2013={preprocessing: {size: [48, 48], spacing: [4, 4, 6]}}",
            "T1CE-FLAIR",
            {"WT", "TC", "ET"},
            "brats_2013/brats_2013_pat0006_1/Flair_subtrMeanDivStd.nii.gz",
        ),
        (
            "sarcoma_pet_ct",
            "sarcoma={preprocessing: {size: [64, 64], spacing: [8, 8, 8]}}",
            "CT-PET",
            {"GTV"},
            "sarcoma_pet_ct/STS_002/PET/image.nii.gz",
        ),
    ],
)
def test_real_patients_go_from_raw_files_to_scores(
    config: str, cohort: str, pair: str, regions: set[str], raw: str, real_patients: Path, tmp_path: Path
) -> None:
    modality = pair.split("-")[1]
    ratio = {"brats_2013": 34, "sarcoma_pet_ct": 100}[config]
    name = cohort.split("=")[0]
    export = f"results/predictions/{name}/{pair}/multi_condos/{modality}/labels{ratio}/seed0"
    run = snakemake(
        *("results/table2.csv", export, "--cores", "2", "--config", *SMALL, f"cohorts={{{cohort.replace('=', ': ')}}}"),
        folder=tmp_path,
        config=f"configs/real/{config}.yaml",
        env={"REAL_PATIENTS": str(real_patients)},
    )
    assert run.returncode == 0, run.stdout[-5000:]
    scores = pd.concat(pd.read_csv(path) for path in tmp_path.glob("work/*/*/*/*/*/*/scores.csv"))
    assert set(scores["region"]) == regions
    assert scores["DSC"].between(0, 1).all()
    assert not pd.read_csv(tmp_path / "results/table2_long.csv")["simulated"].any()
    assert "simulated" not in (tmp_path / "results/table2.html").read_text().split("</title>")[0].lower()
    test_patient = read_json(tmp_path / f"splits/{name}/seed0.json")["test"][0]
    prediction = read_volume(tmp_path / export / f"{test_patient}.nii.gz")
    assert Grid.of(prediction) == Grid.of(read_volume(real_patients / raw))
