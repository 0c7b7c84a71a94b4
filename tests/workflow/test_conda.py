"""With `--sdm conda` every rule's environment is made, and jobs run in their rule's environment with its packages alone.

The `conda` is a stand-in (tests/workflow/stand_in_conda.py), since no test can have a channel.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import stand_in_conda
from snakemake_run import ROOT, snakemake

pytestmark = pytest.mark.workflow

ENVIRONMENTS = {path.read_text(): path.stem for path in (ROOT / "envs").glob("*.yaml")}
RUN = "hecktor/CT-PET/fully_supervised/CT/labels50/seed0"


@pytest.fixture(scope="module")
def conda(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("conda")
    stand_in_conda.install(folder)
    return {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def made(folder: Path) -> dict[str, Path]:
    """Name of an environment -> where it was made."""
    files = (folder / ".snakemake/conda").glob("*/environment.yaml")
    return {ENVIRONMENTS[file.read_text()]: file.parent for file in files}


def test_every_environment_is_asked_for(conda: dict[str, str], tmp_path: Path) -> None:
    run = snakemake(
        *("all", f"results/predictions/{RUN}", "--cores", "1", "--sdm", "conda", "--conda-create-envs-only"),
        folder=tmp_path,
        env=conda,
    )
    assert run.returncode == 0, run.stdout[-3000:]
    assert made(tmp_path).keys() == set(ENVIRONMENTS.values())


def test_jobs_run_in_their_rules_environments(conda: dict[str, str], tmp_path: Path) -> None:
    """From raw files to a model, its scores and its curves; every stage, in small."""
    run = snakemake(
        *(f"results/curves/{RUN}.png", f"work/{RUN}/scores.csv"),
        *("results/qc/hecktor/SIM0001.png", f"results/predictions/{RUN}"),
        *("--cores", "2", "--sdm", "conda", "--config", "finetuning={epochs: 1, steps_per_epoch: 2}"),
        folder=tmp_path,
        env=conda,
    )
    assert run.returncode == 0, run.stdout[-5000:]
    used = {}
    for name, prefix in made(tmp_path).items():
        lines = (prefix / "uses").read_text().splitlines()
        used[name] = {Path(line).stem.split(".")[-1] for line in lines} - {"-c"}  # Snakemake asks for the version first
    assert used == {
        "simulation": {"simulate_patient", "write_cohort_file"},
        "imaging": {"index_cohort", "make_split", "preprocess_subject", "draw_qc", "write_shard", "export_predictions"},
        "training": {"finetune"},
        "reporting": {"draw_curves", "score"},
    }


@pytest.mark.parametrize(
    ("environment", "there", "absent"),
    [("imaging", "SimpleITK", "torch"), ("training", "torch", "SimpleITK"), ("reporting", "pandas", "nibabel")],
)
def test_the_stand_in_keeps_packages_out(environment: str, there: str, absent: str, tmp_path: Path) -> None:
    stand_in_conda.create(ROOT / f"envs/{environment}.yaml", tmp_path / "env")

    def imports(name: str) -> str:
        code = f"import {name}; print({name}.__name__)"
        return subprocess.run([tmp_path / "env/bin/python", "-c", code], capture_output=True, text=True).stderr

    assert Path(sys.executable).resolve() == (tmp_path / "env/bin/python").resolve()
    assert imports(there) == ""
    assert f"No module named '{absent}'" in imports(absent)
