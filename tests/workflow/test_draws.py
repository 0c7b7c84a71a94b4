"""Several draws of the labelled patients on one pre-training, from the splits to the table."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small_patients import make_scans, write_configuration
from snakemake_run import snakemake

from mcd.cli import main
from mcd.slices.splits import read_split, write_split
from mcd.trace import trace
from mcd.training.checkpoint import load_checkpoint

pytestmark = pytest.mark.workflow

TABLE = ("--cores", "2", "results/table2.csv")
SETTINGS: dict[str, Any] = {"methods": ["fully_supervised", "multi_condos"], "label_ratios": [0.25], "seeds": [0, 1]}
RUN = "work/mine/A-B/multi_condos/A/labels25"


def jobs(output: str) -> dict[str, int]:
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE)}


def test_draws_are_added_to_a_run_that_has_one(tmp_path: Path) -> None:
    scans = make_scans(tmp_path)
    config = write_configuration(tmp_path, scans, 7, **SETTINGS)
    run = snakemake(*TABLE, folder=tmp_path, config=config)
    assert run.returncode == 0, run.stdout[-3000:]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("work/mine/A-B/**/*.pt")}
    one = pd.read_csv(tmp_path / "results/table2_long.csv")
    assert set(one["draws"]) == {1}
    assert not list(tmp_path.glob("**/*draw[0-9]*"))

    config = write_configuration(tmp_path, scans, 7, **SETTINGS, label_draws=3)
    planned = snakemake(*TABLE, "-n", "--quiet", "rules", folder=tmp_path, config=config)
    # two seeds, two further draws each, two methods; no pre-training, and nothing of the first draw
    wanted = {"draw_labels": 4, "finetune_pair": 8, "score_pair": 8, "aggregate_table": 1, "total": 21}
    assert jobs(planned.stdout) == wanted, planned.stdout
    run = snakemake(*TABLE, folder=tmp_path, config=config)
    assert run.returncode == 0, run.stdout[-3000:]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    splits = [read_split(tmp_path / f"splits/mine/seed0{draw}.json") for draw in ("", "-draw1", "-draw2")]
    assert len({tuple(split.train) for split in splits}) == 3
    assert len({(*sorted(split.train), "|", *split.test) for split in splits}) == 1
    scores = pd.concat(pd.read_csv(path) for path in tmp_path.glob(f"{RUN}/*/scores.csv"))
    assert scores.groupby(["seed", "draw"])["subject"].nunique().to_dict() == {
        (seed, draw): 2 for seed in (0, 1) for draw in (0, 1, 2)
    }
    own = load_checkpoint(tmp_path / RUN / "seed1-draw2/model.pt", "segmentation").description
    assert (own["seed"], own["draw"]) == (1, 2)
    long = pd.read_csv(tmp_path / "results/table2_long.csv")
    assert set(long["draws"]) == {3}
    assert set(long["seeds"]) == {2}
    row = long[(long["method"] == "Multi-ConDoS") & (long["modality"] == "A") & (long["metric"] == "DSC")].iloc[0]
    assert row["value"] == pytest.approx(scores.groupby("subject")["DSC"].mean().mean(), abs=1e-4)
    assert "3</b> draws for each seed" in re.sub(r"\s+", " ", (tmp_path / "results/table2.html").read_text())

    text = "\n".join(trace(tmp_path / "results/table2.csv", ["Multi-ConDoS", "A", "seed0", "draw1"]))
    assert f"{RUN}/seed0-draw1/model.pt" in text
    assert "splits/mine/seed0-draw1.json" in text
    assert "work/mine/A-B/pretraining/multi_condos/seed0/checkpoint.pt" in text
    assert f"{RUN}/seed0/model.pt" not in text
    assert "draw2" not in text
    text = "\n".join(trace(tmp_path / "results/table2.csv", ["Multi-ConDoS", "A", "seed0", "draw0"]))
    assert f"{RUN}/seed0/model.pt" in text
    assert "seed0-draw1" not in text

    path, base = (tmp_path / f"splits/mine/seed0{draw}.json" for draw in ("-draw1", ""))
    split = read_split(path)
    write_split(replace(split, train=[*split.train[1:], split.test[0]], test=[*split.test[1:], split.train[0]]), path)
    run = snakemake(*TABLE, "-n", folder=tmp_path, config=config)
    assert "seed0-draw1.json: differs from its seed's split in `train`, by" in run.stdout
    assert main(["split", "redraw", str(path), "--config", config]) == 0
    assert read_split(path).train == splits[1].train
    assert read_split(base) == splits[0]
