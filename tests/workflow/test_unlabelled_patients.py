"""A cohort with and without labels, from a sheet to the table, and what it cannot have."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from small_patients import make_scans, write_configuration
from snakemake_run import snakemake

from mcd.slices.splits import read_split
from mcd.training.checkpoint import load_checkpoint

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scans(tmp_path_factory.mktemp("scans"))


def test_the_unlabelled_pretrain_and_teach_and_the_table_says_so(scans: Path, tmp_path: Path) -> None:
    config = write_configuration(tmp_path, scans, labelled=4)
    run = snakemake("--cores", "2", "results/table2.csv", "results/by_centre.csv", folder=tmp_path, config=config)
    assert run.returncode == 0, run.stdout[-3000:]
    split = read_split(tmp_path / "splits/mine/seed0.json")
    assert (len(split.train), len(split.test), split.unlabelled) == (2, 2, ["p4", "p5", "p6"])
    by_centre = pd.read_csv(tmp_path / "results/by_centre.csv")
    one = by_centre[(by_centre["method"] == "mt") & (by_centre["modality"] == "A") & (by_centre["metric"] == "DSC")]
    tested = Counter("north" if int(name[1:]) % 2 else "south" for name in split.test)
    assert dict(zip(one["centre"], one["patients"], strict=True)) == tested
    assert set(pd.read_csv(tmp_path / "results/table2.csv")["method"]) == {"Fully Supervised", "MT", "Multi-ConDoS"}
    page = (tmp_path / "results/table2.html").read_text()
    assert "mine: 3 of 7 patients have no label. They pre-train" in page
    for model in tmp_path.glob("work/mine/A-B/*/*/labels100/seed0/model.pt"):
        sizes = load_checkpoint(model, "segmentation").description["card"]["training"]
        assert (sizes["subjects"], sizes["labelled"], sizes["unlabelled"]) == (5, 2, 3)
    log = next(tmp_path.glob("logs/mine/pretrain_pair/**/seed0.log")).read_text()
    assert "slices of 5 subjects" in log
    write_configuration(tmp_path, scans, labelled=5)  # p4 has been labelled since
    run = snakemake("--cores", "2", "results/table2.csv", "-n", folder=tmp_path, config=config)
    assert (
        "seed0.json: the cohort is no longer the one that it was drawn from: p4 has a label now; mcd split"
        in run.stdout
    )


def test_without_a_label_a_table_is_refused_before_anything_runs(scans: Path, tmp_path: Path) -> None:
    config = write_configuration(tmp_path, scans, labelled=0)
    run = snakemake("--cores", "2", "results/table2.csv", folder=tmp_path, config=config)
    assert run.returncode == 1
    assert "error: mine: no patient has a label, so nothing can be fine-tuned or scored; add labels" in run.stdout
    assert "Traceback" not in run.stdout
    assert not (tmp_path / "work").exists()
    run = snakemake("--cores", "2", "pretrain", "-n", folder=tmp_path, config=config)
    assert run.returncode == 0, run.stdout[-3000:]


def test_a_semi_supervised_method_needs_somebody_without_a_label(scans: Path, tmp_path: Path) -> None:
    config = write_configuration(tmp_path, scans, labelled=7)
    run = snakemake("--cores", "2", "results/table2.csv", folder=tmp_path, config=config)
    assert run.returncode == 1
    assert "error: mine: a label ratio of 1 leaves mt no training patient without a label to learn from" in run.stdout
    assert not (tmp_path / "work").exists()
