"""A patient unlike the others preprocesses without an error, and is reported when the workflow ends."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from snakemake_run import snakemake

from mcd.imaging.geometry import Grid
from mcd.imaging.write_volume import write_volume

pytestmark = pytest.mark.workflow

GRID = Grid((32, 32, 6), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))


def test_a_ct_with_an_offset_is_told_at_the_end(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    z, y, x = np.indices(GRID.shape)
    body = (y - 16) ** 2 + (x - 16) ** 2 < 12**2
    lungs = (y - 16) ** 2 + (x - 11) ** 2 < 4**2
    lines = ["subject\tCT\tlabel"]
    for number in range(3):
        ct = np.where(body & ~lungs, rng.normal(40, 60, GRID.shape), np.where(body, -850.0, -1000.0))
        ct += 1024 * (number == 2)
        write_volume(GRID.image(ct.astype(np.int16)), tmp_path / f"p{number}.nii.gz")
        write_volume(GRID.image((lungs & (z > 2)).astype(np.uint8)), tmp_path / f"p{number}_label.nii.gz")
        lines.append(f"p{number}\tp{number}.nii.gz\tp{number}_label.nii.gz")
    (tmp_path / "sheet.tsv").write_text("\n".join(lines) + "\n")
    cohort = {
        "layout": "samplesheet",
        "sheet": str(tmp_path / "sheet.tsv"),
        "modalities": ["CT"],
        "pairs": [],
        "regions": {"GTV": [1], "node": [7]},
        "test": 1,
        "preprocessing": {"size": [32, 32], "spacing": [4, 4, 4], "statistics_region": "body"},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"cohorts": {"mine": cohort}, "methods": ["fully_supervised"]}))
    targets = [f"work/mine/subjects/p{number}" for number in range(3)]
    run = snakemake(*targets, "--cores", "1", folder=tmp_path, config=str(tmp_path / "mine.yaml"))
    assert run.returncode == 0, run.stdout[-5000:]
    told = [line for line in run.stdout.splitlines() if line.startswith("warning: ")]
    assert told[1] == "warning: mine: region node: none of its codes (7) is in any label; correct `regions`"
    (ratios,) = told[2:]
    assert ratios.startswith("warning: mine: 5, 10, 50 % of the labels are those of the same 1 of 2 training patients")
    assert told[0].startswith("warning: mine: p2, CT: intensities from 2")
    assert "are not in HU" in told[0]
