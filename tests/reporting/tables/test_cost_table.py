"""Table IX: what trainings wrote down, added up."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from mcd.errors import McdError
from mcd.reporting.printed.paper import reported
from mcd.reporting.tables.cost_table import KINDS, Pretrained, cost_table, read_cost, write_costs
from mcd.reporting.tables.spec import TableSpec

LABELS = {"simclr": "SimCLR", "multi_condos": "Multi-ConDoS"}
SPEC = TableSpec(
    "table9",
    "Table IX",
    [(None, label) for label in LABELS.values()],
    [("hecktor", "CT-PET"), ("brats", "T1CE-T2+FLAIR-T1")],
    ["pretraining_hours", "pretraining_memory", "pretraining_gpu_memory", "pairs_per_second"],
    LABELS,
    paper_table="IX",
)


def write_losses(
    path: Path,
    seconds: Sequence[float],
    images: int = 100,
    memory: float = 1024.0,
    gpu: float | None = None,
    device: str = "CPU, 1 thread",
    modalities: Sequence[str] = (),
    version: str = "1+aa",
) -> Path:
    """As a training writes them: an epoch a row, for each of `modalities` in turn where there are some."""
    rows = [
        {
            **({"modality": modality} if modality else {}),
            "epoch": epoch + 1,
            "learning_rate": 1e-3,
            "slices_per_second": images / spent,
            "seconds": spent,
            "images": images,
            "memory_mib": memory + epoch,
            "gpu_memory_mib": gpu,
            "device": device,
            "mcd_version": version,
            "total": 1.0,
        }
        for modality in modalities or [""]
        for epoch, spent in enumerate(seconds)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.fixture
def made(tmp_path: Path) -> list[Pretrained]:
    """Both methods on three pairs, two seeds: the second seed takes twice as long."""
    found = []
    for cohort, pair in (("hecktor", "CT-PET"), ("brats", "T1CE-T2"), ("brats", "FLAIR-T1")):
        for seed in (0, 1):
            for key in LABELS:
                path = tmp_path / cohort / pair / key / f"{seed}.csv"
                spent = [10.0 * (1 + seed), 20.0 * (1 + seed)]
                write_losses(
                    path, spent, modalities=pair.split("-") if key == "simclr" else (), memory=1024 * (1 + seed)
                )
                found.append(Pretrained(cohort, pair, key, seed, 0, path))
    return found


def value(long: pd.DataFrame, cohort: str, modality: str, method: str, metric: str) -> pd.Series:
    (row,) = long[
        (long["dataset"] == cohort)
        & (long["modality"] == modality)
        & (long["method"] == method)
        & (long["metric"] == metric)
    ].to_dict("records")
    return pd.Series(row)


def test_a_losses_file_adds_up_over_epochs_and_modalities(tmp_path: Path) -> None:
    cost = read_cost(write_losses(tmp_path / "a.csv", [1.5, 2.5], images=30, gpu=512.0, modalities=["CT", "PET"]))
    assert (cost["seconds"], cost["images"], cost["trainings"]) == (8.0, 120, 2)
    assert (cost["memory_mib"], cost["gpu_memory_mib"]) == (1025, 512)


def test_pairs_and_seeds(made: list[Pretrained]) -> None:
    """One pair: mean over seeds of 30 and 60 s, twice that where each modality has its training. Two pairs: their sum."""
    long = cost_table(made, SPEC)
    one = value(long, "hecktor", "CT-PET", "Multi-ConDoS", "pretraining_minutes")
    assert one["value"] == pytest.approx(0.75)
    assert one["seeds"] == 2
    assert one["seed_sd"] == pytest.approx(0.5 / 2**0.5)
    assert value(long, "hecktor", "CT-PET", "SimCLR", "pretraining_minutes")["value"] == pytest.approx(1.5)
    both = value(long, "brats", "T1CE-T2+FLAIR-T1", "Multi-ConDoS", "pretraining_hours")
    assert both["value"] == pytest.approx(2 * 45 / 3600)
    assert value(long, "brats", "FLAIR-T1", "Multi-ConDoS", "pretraining_hours")["value"] == pytest.approx(45 / 3600)
    assert value(long, "brats", "T1CE-T2+FLAIR-T1", "SimCLR", "pretraining_memory")["value"] == pytest.approx(
        (1025 / 1024 + 2049 / 1024) / 2  # the highest of a seed
    )


def test_the_folds_of_a_seed_are_averaged(tmp_path: Path) -> None:
    """A number is of one fold: of 30 and 60 s in one seed, and of 90 s twice in another, 45 and 90 s."""
    seconds = {(0, 1): 30.0, (0, 2): 60.0, (1, 1): 90.0, (1, 2): 90.0}
    runs = [
        Pretrained("hecktor", "CT-PET", "multi_condos", *of, write_losses(tmp_path / f"{of}.csv", [spent]))
        for of, spent in seconds.items()
    ]
    found = value(cost_table(runs, SPEC), "hecktor", "CT-PET", "Multi-ConDoS", "pretraining_minutes")
    assert found["value"] == pytest.approx((45 + 90) / 2 / 60)
    assert (found["seeds"], found["seed_sd"]) == (2, pytest.approx(0.75 / 2**0.5))


def test_one_training_on_all_modalities_stands_beside_those_on_all_pairs(
    made: list[Pretrained], tmp_path: Path
) -> None:
    labels = {**LABELS, "multi_condos_m": "Multi-ConDoS-M"}
    spec = replace(SPEC, rows=[(None, label) for label in labels.values()], methods=labels)
    path = write_losses(tmp_path / "m.csv", [35.0, 25.0], images=300)
    long = cost_table([*made, Pretrained("brats", "T1CE-T2-FLAIR-T1", "multi_condos_m", 0, 0, path)], spec)
    row = value(long, "brats", "T1CE-T2+FLAIR-T1", "Multi-ConDoS-M", "pretraining_minutes")
    assert row["value"] == pytest.approx(1.0)
    assert value(long, "brats", "T1CE-T2-FLAIR-T1", "Multi-ConDoS-M", "pairs_per_second")["value"] == 300 * 2 / 2 / 60


def test_pairs_a_second_are_the_same_whether_a_method_sees_them_together_or_apart(tmp_path: Path) -> None:
    """A pair is two images: 50 pairs in 10 s, as a joint training or as two of 5 s each."""
    together = write_losses(tmp_path / "t.csv", [10.0], images=100)
    apart = write_losses(tmp_path / "a.csv", [5.0], images=50, modalities=["CT", "PET"])
    runs = [
        Pretrained("hecktor", "CT-PET", "multi_condos", 0, 0, together),
        Pretrained("hecktor", "CT-PET", "simclr", 0, 0, apart),
    ]
    long = cost_table(runs, SPEC)
    for method in LABELS.values():
        assert value(long, "hecktor", "CT-PET", method, "pairs_per_second")["value"] == pytest.approx(5)


def test_a_sum_that_lacks_a_pair_is_not_shown(made: list[Pretrained]) -> None:
    long = cost_table([run for run in made if (run.pair, run.pretraining) != ("FLAIR-T1", "simclr")], SPEC)
    brats = long[long["dataset"] == "brats"]
    assert set(brats.loc[brats["method"] == "SimCLR", "modality"]) == {"T1CE-T2"}
    assert "T1CE-T2+FLAIR-T1" in set(brats.loc[brats["method"] == "Multi-ConDoS", "modality"])


def write(made: list[Pretrained], spec: TableSpec, folder: Path) -> tuple[pd.DataFrame, str]:
    write_costs(made, spec, folder / "w.csv", folder / "l.csv", folder / "p.html", folder / "p.json")
    return pd.read_csv(folder / "w.csv"), (folder / "p.html").read_text()


def test_the_table_says_who_trains_twice_and_on_what(made: list[Pretrained], tmp_path: Path) -> None:
    wide, page = write(made, SPEC, tmp_path)
    assert list(wide["method"]) == ["Multi-ConDoS", "SimCLR"]
    assert wide["hecktor_CT-PET_pretraining_hours"].tolist() == pytest.approx([45 / 3600, 90 / 3600], abs=5e-5)
    assert page.index(KINDS[1]) < page.index(">Multi-ConDoS<") < page.index(KINDS[2]) < page.index(">SimCLR<")
    assert "Measured on: CPU, 1 thread." in page
    assert "test patients" not in page
    assert not any("gpu" in name for name in wide)  # there was none


def test_a_gpu_has_its_column(tmp_path: Path) -> None:
    losses = write_losses(tmp_path / "l.csv", [10.0], gpu=2048.0, device="NVIDIA H100")
    spec = replace(SPEC, rows=[(None, "SimCLR")])
    wide, page = write([Pretrained("hecktor", "CT-PET", "simclr", 0, 0, losses)], spec, tmp_path)
    assert wide["hecktor_CT-PET_pretraining_gpu_memory"].tolist() == [2]
    assert "NVIDIA H100" in page


def test_costs_of_several_versions_are_said_to_be(made: list[Pretrained], tmp_path: Path) -> None:
    note = "Made by several versions of mcd"
    assert note not in write(made, SPEC, tmp_path)[1]
    write_losses(Path(made[0].losses), [10.0, 20.0], version="1+bb")
    page = write(made, SPEC, tmp_path)[1]
    assert note in page
    assert "1+bb and 1+aa" in page  # seeds of one number
    table = pd.read_csv(made[1].losses).drop(columns="mcd_version")
    table.to_csv(made[1].losses, index=False)
    assert read_cost(made[1].losses)["mcd_version"] == "unknown"


def test_the_paper_s_hours_stand_beside_its_own_cohorts_alone(made: list[Pretrained], tmp_path: Path) -> None:
    printed = reported("IX").set_index(["dataset", "method"])["value"]
    hours = f"{printed['brats2018', 'Multi-ConDoS']:.2f}"
    assert hours not in write(made, SPEC, tmp_path)[1]
    page = write(made, replace(SPEC, paper_cohorts={"brats": "brats2018"}), tmp_path)[1]
    assert f'<small class="paper">{hours}</small>' in page
    assert f"{printed['hecktor', 'Multi-ConDoS']:.2f}" not in page
    assert "8 GeForce RTX 2080" in page


@pytest.mark.parametrize("fault", ["missing", "old", "gap"])
def test_a_file_without_its_costs_is_named_with_the_remedy(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    if fault != "missing":
        table = pd.read_csv(write_losses(path, [1.0, 2.0]))
        (table.drop(columns="seconds") if fault == "old" else table.assign(seconds=[None, 2.0])).to_csv(
            path, index=False
        )
    with pytest.raises(McdError, match="no such file" if fault == "missing" else "delete it to regenerate it") as error:
        read_cost(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
