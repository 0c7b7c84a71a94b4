"""Files, sheets, configurations and working folders of any name."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import yaml
from snakemake_run import snakemake

from mcd.cli import main

pytestmark = pytest.mark.workflow

ODD = "{x} {{y}} ü 'q' $n %d; & (1)"


def test_every_character_of_a_path_works(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """From the sheet to shards and pictures, in the workflow and in `mcd check-cohort`; a changed file is noticed."""
    base = tmp_path / ODD
    rng = np.random.default_rng(0)
    lines = ["Subject\tct\tPET\tLABEL"]
    for number, name in enumerate(["{subject}", "-lead", "$HOME", "ü%s", "plain"]):
        (base / name).mkdir(parents=True)
        cells = []
        for kind in ("CT {v}", "PET", "label"):
            values = rng.normal(100, 30, (6, 32, 32)).astype(np.float32)
            if kind == "label":
                values = (rng.random((6, 32, 32)) < 0.2).astype(np.uint8)
            sitk.WriteImage(sitk.GetImageFromArray(values), str(base / name / f"{kind}.nii.gz"))
            cells.append(f"{name}/{kind}.nii.gz")
        lines.append("\t".join([f"P{number}", *cells]))
    (base / "the {sheet}.tsv").write_text("\n".join(lines) + "\n")
    cohort = {
        "layout": "samplesheet",
        "sheet": str(base / "the {sheet}.tsv"),
        "modalities": ["CT", "PET"],
        "pairs": ["CT-PET"],
        "regions": {"R": [1]},
        "test": 2,
        "preprocessing": {"size": [32, 32]},
    }
    config = base / "con {fig}.yaml"
    content = {"cohorts": {"c": cohort}, "methods": ["multi_condos"], "label_ratios": [0.5], "full_ratios": []}
    config.write_text(yaml.safe_dump(content, allow_unicode=True))
    assert main(["check-cohort", "--config", str(config)]) == 0, capfd.readouterr().err
    targets = ("shards", "results/qc/c/P0.png")
    run = snakemake("--cores", "2", *targets, folder=base / "run {d}", config=str(config))
    assert run.returncode == 0, run.stdout[-3000:]
    assert (base / "run {d}/work/c/shards/0.h5").exists()

    def planned() -> set[str]:
        again = snakemake("-n", *targets, folder=base / "run {d}", config=str(config))
        assert again.returncode == 0, again.stdout[-3000:]
        return set(re.findall(r"output: work/c/subjects/(\w+)", again.stdout))

    assert planned() == set()
    for name in ("plain", "{subject}"):
        os.utime(base / name / "CT {v}.nii.gz", (2e9, 2e9))
    assert planned() == {"P0", "P4"}
