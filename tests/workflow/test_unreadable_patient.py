"""A patient who cannot be read costs the page of preprocessed patients nobody else."""

import re
from pathlib import Path

import pytest
from small_patients import make_scans, write_configuration
from snakemake_run import snakemake

pytestmark = pytest.mark.workflow


def test_the_others_have_their_page_and_all_have_one_when_the_file_is_whole_again(tmp_path: Path) -> None:
    config = write_configuration(tmp_path, make_scans(tmp_path), labelled=7)
    whole = (tmp_path / "p3_A.nii.gz").read_bytes()
    (tmp_path / "p3_A.nii.gz").write_bytes(whole[: len(whole) // 2])
    run = snakemake("preprocess", "--cores", "1", folder=tmp_path, config=config)
    assert run.returncode != 0
    said = "warning: results/qc/index.html: without 1 of 7 patients of mine; see logs/mine/preprocess_subject/p3.log"
    assert said in run.stdout.splitlines(), run.stdout[-5000:]
    text = (tmp_path / "results/qc/index.html").read_text()
    assert set(re.findall(r'src="mine/(p\d)\.png"', text)) == {f"p{number}" for number in (0, 1, 2, 4, 5, 6)}
    assert "made: " not in run.stdout
    assert "1 of 7 patients are not shown, since the run ended before they were ready:" in text
    link, reason = re.findall(r'<li><a href="([^"]+)">p3</a>: (.*)</li>', text)[0]
    assert reason.startswith(f"{tmp_path}/p3_A.nii.gz: not a readable volume (")
    assert reason in (tmp_path / "results/qc" / link).read_text()

    (tmp_path / "p3_A.nii.gz").write_bytes(whole)
    run = snakemake("preprocess", "--cores", "1", folder=tmp_path, config=config)
    assert run.returncode == 0, run.stdout[-5000:]
    assert "made: results/qc/index.html" in run.stdout.splitlines()
    assert not list(tmp_path.rglob("*.lock"))
    text = (tmp_path / "results/qc/index.html").read_text()
    assert "mine/p3.png" in text
    assert "not shown" not in text
