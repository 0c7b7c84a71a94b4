"""Registration in the workflow: only where it is on, and a patient whose registration failed is reported at the end."""

from pathlib import Path

import pytest
from snakemake_run import snakemake

from mcd.files import read_json, write_json

pytestmark = pytest.mark.workflow

ONE = "cohorts={hecktor: {simulate: {subjects: 2}, test: 1, preprocessing: {registration: rigid}}}"


def test_a_cohort_without_registration_has_none(tmp_path: Path) -> None:
    run = snakemake("preprocess", "-n", "--cores", "1", "--quiet", "rules", folder=tmp_path)
    assert run.returncode == 0, run.stdout[-3000:]
    assert "draw_registration" not in run.stdout  # the rule, not the word: a path may have it
    on = snakemake("preprocess", "-n", "--cores", "1", "--quiet", "rules", "--config", ONE, folder=tmp_path)
    assert "draw_registration" in on.stdout
    assert "summarise_registration" in on.stdout


def test_a_flagged_patient_is_told_at_the_end(tmp_path: Path) -> None:
    run = snakemake("registration", "--cores", "2", "--config", ONE, folder=tmp_path)
    assert run.returncode == 0, run.stdout[-5000:]
    table = tmp_path / "results/registration/hecktor.csv"
    assert len(table.read_text().splitlines()) == 3
    assert sorted(path.stem for path in table.with_suffix("").glob("*.png")) == ["SIM0001", "SIM0002"]

    info = tmp_path / "work/hecktor/subjects/SIM0001/info.json"
    content = read_json(info)
    content["registration"]["PET"]["problem"] = "similarity fell"
    write_json(info, content)
    table.unlink()
    again = snakemake("registration", "--cores", "1", "--config", ONE, folder=tmp_path)
    assert again.returncode == 0, again.stdout[-5000:]
    assert "warning: registration: SIM0001: PET on CT: similarity fell" in again.stdout
    assert "SIM0001,PET,CT,rigid" in table.read_text()
