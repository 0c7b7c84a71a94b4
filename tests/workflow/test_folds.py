"""A cohort with folds, from the splits to tables, page and text: every patient tests once, unseen by what is tested on it."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small_patients import CONFIGURATION, make_scans, write_configuration
from snakemake_run import snakemake

from mcd.cli import main
from mcd.slices.splits import read_split, write_split
from mcd.trace import trace
from mcd.training.checkpoint import load_checkpoint

pytestmark = pytest.mark.workflow

TARGETS = ("results/table2.csv", "results/table9.csv", "results/index.html")
SETTINGS: dict[str, Any] = {
    "methods": ["fully_supervised", "multi_condos"],
    "label_ratios": [0.5],
    "report": ["table2", "diagnosis", "claims", "segmentations"],
}


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The cohort's own settings; the configuration's `test` is taken away."""
    monkeypatch.delitem(CONFIGURATION["cohorts"]["mine"], "test")  # type: ignore[index]
    return {"folds": 2}


def jobs(output: str) -> dict[str, int]:
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE)}


def test_every_patient_tests_once_and_was_seen_by_no_training(tmp_path: Path, folds: dict[str, Any]) -> None:
    config = write_configuration(tmp_path, make_scans(tmp_path), 6, own=folds, **SETTINGS)
    run = snakemake("--cores", "2", *TARGETS, folder=tmp_path, config=config)
    assert run.returncode == 0, run.stdout[-3000:]
    splits = {fold: read_split(tmp_path / f"splits/mine/seed0-fold{fold}.json") for fold in (1, 2)}
    assert sorted(name for split in splits.values() for name in split.test) == [f"p{n}" for n in range(6)]
    assert {tuple(split.unlabelled) for split in splits.values()} == {("p6",)}
    assert not list(tmp_path.glob("**/seed0.json"))

    run_of = "work/mine/A-B/multi_condos/A/labels50/seed0-fold{}"
    for fold, split in splits.items():
        scores = pd.read_csv(tmp_path / run_of.format(fold) / "scores.csv")
        assert set(scores["subject"]) == set(split.test)
        assert set(scores["fold"]) == {fold}
        log = (tmp_path / f"logs/mine/pretrain_pair/A-B/multi_condos/seed0-fold{fold}.log").read_text()
        assert f"slices of {len(split.seen)} subjects" in log
        about = load_checkpoint(tmp_path / run_of.format(fold) / "model.pt", "segmentation").description
        assert (about["seed"], about["fold"]) == (0, fold)
        pretrained = tmp_path / f"work/mine/A-B/pretraining/multi_condos/seed0-fold{fold}/checkpoint.pt"
        assert load_checkpoint(pretrained, "pretraining").description["fold"] == fold

    scores = pd.concat(pd.read_csv(tmp_path / run_of.format(fold) / "scores.csv") for fold in (1, 2))
    long = pd.read_csv(tmp_path / "results/table2_long.csv")
    row = long[(long["method"] == "Multi-ConDoS") & (long["modality"] == "A") & (long["metric"] == "DSC")].iloc[0]
    assert row["value"] == pytest.approx(scores.groupby("subject")["DSC"].mean().mean(), abs=1e-4)
    assert (row["patients"], row["seeds"], row["draws"], row["folds"], row["interval_over"]) == (6, 1, 1, 2, "patients")
    assert long["p"].isna().all(), "two folds are no two trainings"
    page = re.sub(r"\s+", " ", (tmp_path / "results/table2.html").read_text())
    assert "mine: 2-fold cross-validation. Every patient with a label tests in one of 2 folds" in page
    assert "over patients, of this one training of each fold: nothing is known of another one" in page
    costs = pd.read_csv(tmp_path / "results/table9_long.csv").query("metric == 'pretraining_minutes'")
    seconds = [
        pd.read_csv(tmp_path / f"work/mine/A-B/pretraining/multi_condos/seed0-fold{fold}/losses.csv")["seconds"].sum()
        for fold in (1, 2)
    ]
    own = costs[costs["method"] == "Multi-ConDoS"].iloc[0]
    assert own["value"] == pytest.approx(sum(seconds) / 2 / 60, rel=1e-3)
    assert own["seeds"] == 1
    claims = pd.read_csv(tmp_path / "results/claims.csv")
    assert set(claims.loc[claims["compared"].notna(), "verdict"]) == {"undecided"}
    diagnosis = pd.read_csv(tmp_path / "results/diagnosis.csv")
    assert set(diagnosis["fold"]) == {1, 2}
    assert "seed 0, fold 2" in (tmp_path / "results/diagnosis.html").read_text()
    page = (tmp_path / "results/index.html").read_text()
    for name in (f"p{number}" for number in range(6)):
        patient = re.search(rf'id="mine/{name}">(.*?)</script>', page)
        assert patient
        fold = next(fold for fold, split in splits.items() if name in split.test)
        assert f'"folds":{{"0":{fold}}}' in patient[1].replace(" ", "")
    text = (tmp_path / "results/methods.md").read_text()
    assert "2-fold cross-validation [@stone1974]" in text
    assert "In a fold, 3 patients trained and 3 patients tested (split by patient)." in text
    assert "@article{stone1974" in (tmp_path / "results/methods.bib").read_text()

    traced = "\n".join(trace(tmp_path / "results/table2.csv", ["Multi-ConDoS", "A", "fold2"]))
    assert f"{run_of.format(2)}/model.pt" in traced
    assert "work/mine/A-B/pretraining/multi_condos/seed0-fold2/checkpoint.pt" in traced
    assert "splits/mine/seed0-fold2.json" in traced
    assert f"{run_of.format(1)}/model.pt" not in traced

    # draws are added to what is there
    write_configuration(tmp_path, tmp_path, 6, own=folds, **SETTINGS, label_draws=2)
    planned = snakemake("--cores", "2", "results/table2.csv", "-n", "--quiet", "rules", folder=tmp_path, config=config)
    wanted = {"draw_labels": 2, "finetune_pair": 4, "score_pair": 4, "aggregate_table": 1, "total": 11}
    assert jobs(planned.stdout) == wanted, planned.stdout


def test_what_does_not_fit_is_one_line(
    tmp_path: Path, folds: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    scans = make_scans(tmp_path)
    config = write_configuration(tmp_path, scans, 6, own=folds, **SETTINGS)

    def refused(*targets: str) -> str:
        run = snakemake("--cores", "2", "-n", *(targets or ("results/table2.csv",)), folder=tmp_path, config=config)
        assert run.returncode == 1
        (line,) = (line for line in run.stdout.splitlines() if line.startswith("error: "))
        return line

    assert snakemake("--cores", "2", *splits_of(2), folder=tmp_path, config=config).returncode == 0
    paths = [tmp_path / path for path in splits_of(2)]
    one, other = map(read_split, paths)
    write_split(other, paths[0])
    assert re.search(rf"seed0-fold2.json: {other.test[0]} tests, and in .*fold1.json, too; mcd split redraw", refused())
    assert main(["split", "redraw", *map(str, paths), "--config", config]) == 0
    assert [read_split(path) for path in paths] == [one, other]

    write_configuration(tmp_path, scans, 7, own=folds, **SETTINGS)
    assert "seed0-fold1.json: the cohort is no longer the one that it was drawn from: p6 has a label now" in refused()
    assert main(["split", "extend", *map(str, paths), "--config", config]) == 0
    extended = [read_split(path) for path in paths]
    assert sorted(name for split in extended for name in split.test) == [f"p{number}" for number in range(7)]
    assert snakemake("--cores", "2", "-n", "results/table2.csv", folder=tmp_path, config=config).returncode == 0

    write_configuration(tmp_path, scans, 7, own={"folds": 3}, **SETTINGS)
    assert (
        "seed0-fold1.json: the cohort is no longer the one that it was drawn from: `folds` was 2 and is 3" in refused()
    )
    write_configuration(tmp_path, scans, 7, own={"test": 2}, **SETTINGS)
    capsys.readouterr()
    assert main(["split", "redraw", str(paths[0]), "--config", config]) == 1
    assert "seed0-fold1.json: is read by no run, since mine has one split for a seed" in capsys.readouterr().err


def splits_of(folds: int) -> list[str]:
    return [f"splits/mine/seed0-fold{fold}.json" for fold in range(1, folds + 1)]


def test_a_plan_of_all_has_every_stage_once_for_each_fold(tmp_path: Path, folds: dict[str, Any]) -> None:
    """Two seeds, three folds, two draws, validation patients, and a modality in no pair: nothing runs."""
    own = {"folds": 3, "validation": 1, "modalities": ["A", "B", "C"]}
    settings = {**SETTINGS, "seeds": [0, 1], "label_draws": 2, "report": "all"}
    config = write_configuration(tmp_path, make_scans(tmp_path, third=True), 6, own=own, **settings)
    planned = ("-n", "--quiet", "rules")
    run = snakemake("--cores", "2", "splits/mine/seed1-fold3-draw1.json", *planned, folder=tmp_path, config=config)
    assert jobs(run.stdout) == {"index_cohort": 1, "make_split": 1, "draw_labels": 1, "total": 3}
    targets = ("results/table2.csv", "results/table4.csv", "results/validation.csv", "results/diagnosis.csv")
    run = snakemake("--cores", "2", *targets, *planned, folder=tmp_path, config=config)
    assert run.returncode == 0, run.stdout[-3000:]
    found = jobs(run.stdout)
    assert (found["make_split"], found["draw_labels"]) == (6, 6)
    assert found["translate_pair"] == 6 * 6, "six pre-trainings of Table IV"
    assert found["predict_validation"] == found["score_validation"] == 2 * 3 * 2 * (2 * 2 + 1)
