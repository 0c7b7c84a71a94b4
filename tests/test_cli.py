"""The command line: the same training as the workflow's, without Snakemake."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from mcd.cli import main
from mcd.testing.cohort import TinyCohort

CONFIG = {
    "cohorts": {
        "tiny": {
            "layout": "samplesheet",
            "sheet": "unused.tsv",
            "modalities": ["A", "B"],
            "pairs": ["A-B"],
            "regions": {"WT": [1, 2]},
            "preprocessing": {"size": [32, 32]},
            "batch_size": {"pretraining": 6, "finetuning": {0.5: 4}},
        }
    },
    "filters": 4,
    "pretraining": {"epochs": 1},
    "finetuning": {"epochs": 4, "steps_per_epoch": 8, "learning_rate": 0.01, "warmup_epochs": 0},
    "algorithms": {"dsgan": {"discriminator_filters": 4}},
}


def test_pretrain_finetune_evaluate_inspect(
    tiny_cohort: TinyCohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    data = ["--shards", *map(str, tiny_cohort.shards), "--split", str(tiny_cohort.split)]
    common = ["--config", str(config), "--cohort", "tiny", *data]
    checkpoint, model = str(tmp_path / "pretrained.pt"), str(tmp_path / "model.pt")
    assert main(["pretrain", *common, "--pair", "A-B", "--output", checkpoint]) == 0
    fine = ["finetune", *common, "--modality", "A", "--ratio", "0.5", "--pretrained", checkpoint, "--output", model]
    assert main(fine) == 0
    assert main(["evaluate", *data, "--model", model, "--output", str(tmp_path / "test")]) == 0
    scores = pd.read_csv(tmp_path / "test/scores.csv")
    assert scores["DSC"].mean() > 0.3
    assert not list(tmp_path.glob("*.resume*"))
    capsys.readouterr()
    assert main(["inspect", model]) == 0
    assert "segmentation checkpoint" in capsys.readouterr().out
    assert main(["inspect", str(tiny_cohort.shards[0])]) == 0
    assert "p0: 8 slices" in capsys.readouterr().out


def test_grouping_ranks_a_cohort_from_shards_or_folders(
    tiny_cohort: TinyCohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheets = []
    folder = str(next(iter(tiny_cohort.folders.values())).parent)
    for number, source in enumerate((["--shards", *map(str, tiny_cohort.shards)], ["--subjects", folder])):
        output = tmp_path / f"{number}.csv"
        assert main(["grouping", *source, "--split", str(tiny_cohort.split), "--output", str(output)]) == 0
        assert "A-B look most different" in capsys.readouterr().out
        sheets.append(pd.read_csv(output))
    assert sheets[0]["patients"].tolist() == [4]  # of the six, those that train
    assert sheets[0]["difference"].tolist() == pytest.approx(sheets[1]["difference"], abs=0.01)  # half precision
    assert main(["grouping", "--subjects", str(tmp_path / "none")]) == 1
    assert "no preprocessed patient" in capsys.readouterr().err
    assert main(["grouping", "--subjects", folder, "--modalities", "A", "C"]) == 1
    assert "not C" in capsys.readouterr().err


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path / "none.pt")]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/none.pt: no such checkpoint; correct the path\n"


def test_a_ratio_is_one_of_the_configurations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another number would train from another seed than the workflow, and lie nowhere."""
    config = Path(__file__).parents[1] / "configs/smoke.yaml"
    files = ["--shards", "none.h5", "--split", "none.json", "--output", str(tmp_path / "model.pt")]
    asked = [
        "finetune",
        "--config",
        str(config),
        "--cohort",
        "brats",
        "--modality",
        "T2",
        "--ratio",
        "0.500001",
        *files,
    ]
    assert main(asked) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --ratio 0.500001: ")
    assert line.endswith("add it to label_ratios")


@pytest.mark.parametrize(
    "module",
    [
        "mcd",
        "mcd.plan",
        "mcd.cohorts.check_cohort",
        "mcd.cohorts.guess",
        "mcd.slices.write_shards",
        "mcd.cli",
        "mcd.reporting.diagnosis.page",
    ],
)
def test_everything_without_torch_does_not_load_it(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_configuration_with_options_of_algorithms_is_checked_without_torch() -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'SimpleITK', 'nibabel'): sys.modules[name] = None\n"
        "from mcd.config import read_config\n"
        "print(read_config('configs/study_cpu.yaml').pretraining_options('multi_condos')['discriminator_filters'])\n"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True, text=True)
    assert done.stdout == "16\n"


def test_training_needs_no_image_library_and_no_workflow_engine() -> None:
    """A GPU node often has neither. Nor does any method load pandas, which takes half as long as torch."""
    code = (
        "import sys\n"
        "for name in ('SimpleITK', 'nibabel', 'snakemake', 'nilearn', 'pandas'): sys.modules[name] = None\n"
        "import mcd.pretraining.run, mcd.segmentation.run, mcd.prediction.run, mcd.reporting.figures.live\n"
        "from mcd.pretraining.registry import REGISTRY, pretraining_class\n"
        "from mcd.segmentation.registry import REGISTRY as SEGMENTATION, segmentation_class\n"
        "[pretraining_class(name) for name in REGISTRY]\n"
        "[segmentation_class(name) for name in SEGMENTATION]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_job_that_trains_loads_nothing_of_tables_and_pictures(tiny_cohort: TinyCohort, tmp_path: Path) -> None:
    """From the first import to predictions: a default run starts a hundred such jobs, each of a few seconds."""
    code = (
        "import sys\n"
        "for name in ('pandas', 'scipy.stats', 'matplotlib', 'torch._dynamo'): sys.modules[name] = None\n"
        "from mcd.prediction.run import predict_test\n"
        "from mcd.pretraining.options import PretrainingTask\n"
        "from mcd.pretraining.run import pretrain\n"
        "from mcd.segmentation.options import FinetuningTask\n"
        "from mcd.segmentation.run import finetune\n"
        "from mcd.training.history import write_history\n"
        "from mcd.training.schedule import Schedule\n"
        "*shards, split = sys.argv[1:]\n"
        "data = {'shards': shards, 'split': split}\n"
        "task = PretrainingTask(algorithm='mae', modalities=('A', 'B'), filters=2, epochs=1, batch_size=4, seed=0)\n"
        "pretrain(task, **data, output='pretrained.pt')\n"
        "schedule = Schedule(epochs=1, batch_size=4, steps_per_epoch=2, warmup_epochs=0)\n"
        "task = FinetuningTask(modality='A', regions={'WT': [1, 2]}, label_ratio=0.5, filters=2, schedule=schedule)\n"
        "write_history(finetune(task, **data, pretrained='pretrained.pt', output='model.pt'), 'losses.csv')\n"
        "predict_test(**data, model='model.pt', predictions='predictions.h5')\n"
    )
    arguments = map(str, [*tiny_cohort.shards, tiny_cohort.split])
    subprocess.run([sys.executable, "-c", code, *arguments], cwd=tmp_path, check=True)
    assert (tmp_path / "predictions.h5").exists()
