"""The whole workflow in miniature, from raw files to the table, and its manners."""

import contextlib
import hashlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
from snakemake_run import ROOT, command, snakemake

from mcd.imaging.geometry import Grid
from mcd.imaging.io import read_volume
from mcd.methods import METHODS
from mcd.prediction.card import render, scores_of, summary
from mcd.slices.splits import read_split, write_split
from mcd.trace import trace
from mcd.training.checkpoint import load_checkpoint
from mcd.version import code_version

pytestmark = pytest.mark.workflow

WITH_TENSORBOARD = pytest.mark.skipif(find_spec("tensorboard") is None, reason="TensorBoard is not installed")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("miniature")
    targets = ("results/table2.csv", "results/index.html", "results/diagnosis.html")
    run = snakemake("--cores", "2", *targets, folder=folder)
    assert run.returncode == 0, run.stdout[-5000:]
    (folder / "console.txt").write_text(run.stdout)
    run = snakemake("--cores", "2", "results/claims.csv", "--config", "claims=[table2]", folder=folder)
    assert run.returncode == 0, run.stdout[-5000:]
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A finished run that a test may change; times of files are kept."""
    return Path(shutil.copytree(finished, tmp_path / "run", symlinks=True))


def planned(folder: Path, *arguments: str, project: Path = ROOT) -> dict[str, int]:
    """Rule -> number of jobs that a run would do now."""
    target = ("results/table2.csv", "-n", "--cores", "2", "--quiet", "rules")
    run = snakemake(*target, *arguments, folder=folder, project=project)
    assert run.returncode == 0, run.stdout[-3000:]
    counts = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", run.stdout, re.MULTILINE)}
    counts.pop("total", None)
    return counts


def test_the_table_can_be_recomputed_from_the_patients(finished: Path) -> None:
    table = pd.read_csv(finished / "results/table2.csv")
    assert list(table.columns[:4]) == ["label_ratio", "method", "hecktor_CT_DSC", "hecktor_CT_Sen"]
    assert list(table["method"]) == ["Fully Supervised", "Multi-ConDoS", "Fully Supervised"]
    scores = pd.concat(pd.read_csv(path) for path in finished.glob("work/*/*/*/*/*/*/scores.csv"))
    names = {"fully_supervised": "Fully Supervised", "multi_condos": "Multi-ConDoS"}
    patients = scores.groupby(["label_ratio", "method", "cohort", "modality", "subject"])[["DSC", "Sen"]].mean()
    means = patients.groupby(["label_ratio", "method", "cohort", "modality"]).mean()
    checked = 0
    for (ratio, method, cohort, modality), row in means.iterrows():
        line = table[(table["label_ratio"] == ratio) & (table["method"] == names[method])]
        for metric in ("DSC", "Sen"):
            assert float(line[f"{cohort}_{modality}_{metric}"].iloc[0]) == pytest.approx(row[metric], abs=5e-5)
            checked += 1
    assert checked == 3 * 4 * 2
    assert table.select_dtypes("number").map(math.isfinite).all().all()


def test_every_model_has_its_card(finished: Path) -> None:
    """Joined from the model and the scores beside it. They are the table's, with their intervals."""
    table = pd.read_csv(finished / "results/table2_long.csv").set_index(
        ["dataset", "modality", "method", "label_ratio", "metric"]
    )
    models = list(finished.glob("work/*/*/*/*/labels*/seed0/model.pt"))
    assert models
    for model in models:
        checkpoint = load_checkpoint(model, "segmentation")
        about = checkpoint.description
        assert about["simulated"]
        scores = scores_of(model, about)
        assert scores is not None
        assert scores["subject"].nunique() == 2
        assert "2 patients of" in render(checkpoint, scores)
        if about["method"] not in ("fully_supervised", "multi_condos"):
            continue
        regions = list(about["regions"])
        rows = {(row["region"], row["metric"]): row for row in summary(scores)}
        row = rows[regions[0] if len(regions) == 1 else "mean", "DSC"]
        label = METHODS[about["method"]].label
        shown = table.loc[(about["cohort"], about["modality"], label, about["label_ratio"], "DSC")]
        numbers = (row["value"], row["low"], row["high"])
        assert numbers == pytest.approx((shown["value"], shown["ci_low"], shown["ci_high"]), abs=1e-5)


def test_the_console_is_short_and_says_what_was_done(finished: Path) -> None:
    said = (finished / "console.txt").read_text()
    jobs = re.search(r"^(\d+) jobs: .*\b2 pretrain_pair\b", said, re.MULTILINE)
    assert jobs
    assert re.search(rf"^{jobs[1]} of {jobs[1]} jobs done, after ", said, re.MULTILINE)
    assert len(said) < 5000
    (log,) = sorted((finished / ".snakemake/log").glob("*.log"))[:1]
    assert "Finished jobid" in log.read_text(), "Snakemake's own log has everything"


def test_simulated_is_said(finished: Path) -> None:
    page = (finished / "results/table2.html").read_text()
    assert "simulated" in re.search(r"<title>(.*?)</title>", page, re.DOTALL)[1].lower()  # type: ignore[index]
    assert pd.read_csv(finished / "results/table2_long.csv")["simulated"].all()


def test_claims_say_what_one_training_can_tell(finished: Path) -> None:
    """Table II's are tested, but one training decides nothing; the label ratios and tables that are not there are named."""
    claims = pd.read_csv(finished / "results/claims.csv", keep_default_na=False)
    tested = claims[claims["verdict"] != "not computed"]
    assert set(tested["verdict"]) == {"undecided"}
    assert tested["remark"].str.startswith("one training: nothing is known of another one").all()
    assert set(" ".join(tested["simulated"]).split()) == {"hecktor", "brats"}
    lead = tested[(tested["number"] == 5) & (tested["metric"] == "DSC")].iloc[0]
    assert (int(lead["compared"]), lead["paper_verdict"]) == (4, "fails")
    absent = claims[claims["source"] == "Fig. 7"]["remark"]
    assert absent.str.startswith("Fig. 7 is not among the configuration's claims").all()
    ratio = claims[(claims["number"] == 6) & (claims["metric"] == "DSC")].iloc[0]
    assert "5 % of the labels" in ratio["remark"]


def test_the_page_has_every_test_patient_with_every_method(finished: Path) -> None:
    page = (finished / "results/index.html").read_text()
    assert "HECKTOR and BraTS2018: simulated patients." in page
    for cohort, modalities in (("hecktor", ["CT", "PET"]), ("brats", ["T1CE", "T2"])):
        for subject in read_split(finished / f"splits/{cohort}/seed0.json").test:
            found = re.search(rf'<script type="application/json" id="{cohort}/{subject}">(.*?)</script>', page)
            assert found, subject
            patient = json.loads(found[1])
            assert {tuple(run[:4]) for run in patient["predictions"]} == {
                (ratio, 0, name, method)
                for name in modalities
                for ratio, method in [(0.5, "fully_supervised"), (0.5, "multi_condos"), (1.0, "fully_supervised")]
            }
            assert {row[0] for row in patient["scores"]} == {0.5, 1.0}
        for folder in finished.glob(f"work/{cohort}/subjects/*"):
            assert f"Preprocessed volumes of {folder.name} " in page
    assert "finetune pair" in page


def test_preprocessed_patients_and_methods_are_told_beside_the_page(finished: Path) -> None:
    checks = (finished / "results/qc/index.html").read_text()
    for cohort in ("hecktor", "brats"):
        for folder in finished.glob(f"work/{cohort}/subjects/*"):
            assert f'src="{cohort}/{folder.name}.png"' in checks
    text = (finished / "results/methods.md").read_text()
    assert "HECKTOR (patients simulated by this software" in text
    assert "| Multi-ConDoS | 2 | 4 | 8 |" in text  # two epochs of two steps
    assert (finished / "results/methods.bib").read_text().startswith("@")
    assert list((finished / "results/patients").rglob("*.js")) == []  # the page has room for all


def test_snakemakes_report_says_what_is_simulated_and_sorts_results(finished: Path, tmp_path: Path) -> None:
    run = snakemake(*("results/index.html", "--cores", "1", "--report", str(tmp_path / "report.html")), folder=finished)
    assert run.returncode == 0, run.stdout[-3000:]
    assert "WARNING" not in run.stdout  # of docutils: a caption that is not sound RST
    report = (tmp_path / "report.html").read_text()
    for words in ("simulated patients", "Tables", "Figures", "Preprocessing", "Table II: segmentation with few labels"):
        assert words in report


def test_touching_nothing_reruns_nothing(finished: Path) -> None:
    assert planned(finished) == {}


def test_a_changed_temperature_reruns_pretraining_and_what_follows(finished: Path) -> None:
    counts = planned(finished, "--config", "algorithms={dsgan: {temperature: 0.2}}")
    assert counts == {"pretrain_pair": 2, "finetune_pair": 2, "score_pair": 2, "aggregate_table": 1}


@pytest.mark.parametrize(
    ("changed", "jobs"),
    [
        ("cohorts={hecktor: {title: Another name}}", {"aggregate_table": 1}),
        ("compute={memory_limit_gb: 1}", {}),
        pytest.param("compute={logger: tensorboard}", {}, marks=WITH_TENSORBOARD),
    ],
    ids=["title", "memory", "logger"],
)
def test_what_changes_no_result_trains_nothing(finished: Path, changed: str, jobs: dict[str, int]) -> None:
    assert planned(finished, "--config", changed) == jobs


def test_a_changed_spacing_reruns_one_cohort_from_preprocessing(finished: Path) -> None:
    counts = planned(finished, "--config", "cohorts={brats: {preprocessing: {spacing: [5, 5, 9]}}}")
    assert counts["preprocess_subject"] == 4
    assert not [name for name in counts if name.startswith("simulate_")]
    assert "make_split" not in counts
    assert counts["pretrain_pair"] == 1


VOLUME_DIFFERENCE = """
def volume_difference(truth: Mask, prediction: Mask, spacing_zyx: Sequence[float]) -> float:
    return abs(float(truth.sum()) - float(prediction.sum())) * math.prod(spacing_zyx) / 1000


"""

ENTRY = """    Metric(
        key="VD",
        label="Volume difference",
        function=volume_difference,
        definition="difference of the volumes",
        needs=("spacing_zyx",),
        higher_is_better=False,
        unit="ml",
        bounds=(0.0, math.inf),
    ),
"""


def test_a_new_metric_scores_again_and_trains_nothing(copy: Path, tmp_path: Path) -> None:
    """One function and one entry, in a copy of the project; the copy alone reruns nothing."""
    project = tmp_path / "project"
    project.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", ".*", "tests", "docs")
    for name in (
        "Snakefile",
        "config.yaml",
        "rules",
        "workflow_scripts",
        "mcd",
        "configs",
        "profiles",
        "envs",
        "report",
    ):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, project / name, ignore=ignored)
        else:
            shutil.copy2(source, project / name)
    assert planned(copy, project=project) == {}

    module = project / "mcd/evaluation/metrics.py"
    before, start, entries = module.read_text().partition("METRICS: tuple[Metric, ...] = (\n")
    assert start
    entries = entries.replace("\n)\n", f"\n{ENTRY})\n", 1)
    module.write_text(before + VOLUME_DIFFERENCE.lstrip() + start + entries)
    assert planned(copy, project=project) == {"score_pair": 6, "aggregate_table": 1}

    models = {path: path.stat().st_mtime_ns for path in copy.glob("work/*/*/*/*/*/*/model.pt")}
    run = snakemake("--cores", "2", "results/table2.csv", folder=copy, project=project)
    assert run.returncode == 0, run.stdout[-3000:]
    assert {path: path.stat().st_mtime_ns for path in models} == models
    for model in models:
        scores = pd.read_csv(model.with_name("scores.csv"))
        assert list(scores.columns[-3:]) == ["BIoU", "VD", "digest"]
        assert scores["VD"].between(0, 10_000).all()
    assert planned(copy, project=project) == {}


def test_a_cell_is_traced_to_the_end_of_the_chain(finished: Path) -> None:
    """Every link is there, and is as it was; nothing of another row or cohort is."""
    text = "\n".join(trace(finished / "results/table2.csv", ["Multi-ConDoS", "CT", "0.5"]))
    run = "work/hecktor/CT-PET/multi_condos/CT/labels50/seed0"
    links = [f"{run}/{name}" for name in ("scores.csv", "predictions.h5", "model.pt")]
    links += ["work/hecktor/CT-PET/pretraining/multi_condos/seed0/checkpoint.pt", "splits/hecktor/seed0.json"]
    links += [f"work/hecktor/shards/{number}.h5" for number in (0, 1)]
    raw = [str(path.relative_to(finished)) for path in finished.glob("data/hecktor/*/*.nii.gz")]
    assert len(raw) == 4 * 3
    for link in (*links, *raw):
        digest = hashlib.sha256((finished / link).read_bytes()).hexdigest()
        assert f"{link}  sha256 {digest}, as it was written\n" in text
    assert f"mcd {code_version()}" in text
    for settings in ('"temperature"', '"label_ratio": 0.5', '"spacing": [4.5, 4.5, 9.0]', '"seed": 0'):
        assert settings in text
    for word in ("CHANGED", "MADE AGAIN", "MISSING", "no job", "brats/", "fully_supervised/"):
        assert word not in text


def test_an_edited_split_is_kept_and_used(copy: Path) -> None:
    split = copy / "splits/brats/seed0.json"
    drawn = read_split(split)
    write_split(replace(drawn, train=drawn.train[::-1]), split)  # labels go to another patient
    before = split.read_text()
    counts = planned(copy)
    assert "make_split" not in counts
    assert counts["pretrain_pair"] == 1
    assert split.read_text() == before
    assert "make_split" not in planned(copy, "--forceall")


def test_one_core_gives_the_table_of_two(copy: Path) -> None:
    before = (copy / "results/table2_long.csv").read_text()
    for folder in ("results", "work/hecktor/CT-PET", "work/brats/T1CE-T2"):
        shutil.rmtree(copy / folder)
    run = snakemake("--cores", "1", "results/table2.csv", folder=copy)
    assert run.returncode == 0, run.stdout[-5000:]
    assert (copy / "results/table2_long.csv").read_text() == before


def test_a_killed_run_goes_on(copy: Path) -> None:
    before = (copy / "results/table2_long.csv").read_text()
    shutil.rmtree(copy / "results")  # Snakemake misses no intermediate file as long as the target is there
    shutil.rmtree(copy / "work/hecktor/CT-PET")
    log = copy / "logs/hecktor/pretrain_pair/CT-PET/multi_condos/seed0.log"
    log.unlink()
    process = subprocess.Popen(
        command("--cores", "2", "results/table2.csv", folder=copy),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not log.exists() and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (copy / "work/hecktor/CT-PET/pretraining/multi_condos/seed0/checkpoint.pt").exists()
    assert snakemake("--unlock", folder=copy).returncode == 0
    run = snakemake("--cores", "2", "results/table2.csv", folder=copy)
    assert run.returncode == 0, run.stdout[-5000:]
    assert (copy / "results/table2_long.csv").read_text() == before


def test_an_orphan_and_its_successor_never_write_the_same(copy: Path) -> None:
    """Snakemake alone is killed, and its training goes on: the next start says who is at it, and waits."""
    folder = copy / "work/hecktor/CT-PET/pretraining/multi_condos/seed0"
    shutil.rmtree(folder)
    log = copy / "logs/hecktor/pretrain_pair/CT-PET/multi_condos/seed0.log"
    log.unlink()
    longer = ("--config", "pretraining={steps_per_epoch: 100000}")
    target = ("--cores", "2", str((folder / "losses.csv").relative_to(copy)), *longer)
    process = subprocess.Popen(
        command(*target, folder=copy), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while not (log.exists() and "slices of" in log.read_text()) and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    orphan = int(re.match(r"process (\d+) on", Path(f"{log}.lock").read_text())[1])  # type: ignore[index]
    try:
        run = snakemake(*target, folder=copy)
        assert "Directory cannot be locked" in run.stdout
        assert "--unlock" in run.stdout
        assert snakemake(*target, "--unlock", folder=copy).returncode == 0  # as README says
        short = command("--cores", "2", str((folder / "losses.csv").relative_to(copy)), folder=copy)
        words = f"{log.relative_to(copy)}.lock: still worked on by process {orphan} on "
        with subprocess.Popen(short, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as successor:
            assert successor.stdout is not None
            assert any(line.startswith(words) for line in successor.stdout)
            assert not (folder / "checkpoint.pt").exists()
            os.kill(orphan, signal.SIGKILL)
            rest = successor.stdout.read()
        assert successor.returncode == 0, rest[-3000:]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(orphan, signal.SIGKILL)
    assert not [*copy.rglob(".*-*-*"), *copy.rglob("*.lock")]


def test_a_run_that_ends_well_clears_what_trainings_left(copy: Path) -> None:
    states = copy / "work/.resume"
    done = "work/hecktor/CT-PET/multi_condos/CT/labels50/seed0/model.pt"
    unplanned = [
        "work/elsewhere/CT-PET/multi_condos/CT/labels50/seed0/model.pt",
        "hecktor/CT-PET/multi_condos/seed9.CT-PET",
    ]
    to_come = ["hecktor/CT-PET/con_only/seed0.CT-PET", "work/hecktor/CT-PET/con_only/CT/labels50/seed0/model.pt"]
    for name in (done, *unplanned, *to_come):
        (states / name).parent.mkdir(parents=True, exist_ok=True)
        (states / name).write_text("")
    (copy / "results/table2.csv").unlink()
    for arguments, kept in (("-n",), [done, *unplanned, *to_come]), ((), to_come):
        run = snakemake("--cores", "1", "results/table2.csv", *arguments, folder=copy)
        assert run.returncode == 0, run.stdout[-3000:]
        assert {str(path.relative_to(states)) for path in states.rglob("*") if path.is_file()} == set(kept)


def test_a_job_that_is_given_two_gpus_trains_by_two_processes_to_the_same_losses(copy: Path) -> None:
    """The processes are counted by GPUs; here they compute on the CPU."""
    folder = copy / "work/brats/T1CE-T2/pretraining/multi_condos/seed0"
    losses = ["contrastive", "translation", "reconstruction"]
    before = pd.read_csv(folder / "losses.csv")[losses]
    shutil.rmtree(folder)
    run = snakemake(
        *("--cores", "1", str((folder / "losses.csv").relative_to(copy))),
        *("--resources", "gpu=2", "--set-resources", "pretrain_pair:gpu=2"),
        folder=copy,
    )
    assert run.returncode == 0, run.stdout[-3000:]
    after = pd.read_csv(folder / "losses.csv")[losses]
    pd.testing.assert_frame_equal(after, before, rtol=2e-3)
    assert not after.equals(before)  # sums over two processes round otherwise than over one


def test_every_pretraining_is_diagnosed_with_its_networks(finished: Path) -> None:
    numbers = pd.read_csv(finished / "results/diagnosis.csv")
    assert set(numbers["test"]) == {"translation", "retrieval", "probe", "knock_out", "moved", "loss"}
    moved = numbers[numbers["test"] == "moved"]
    diagnosed = {("hecktor", "CT"), ("hecktor", "PET"), ("brats", "T1CE"), ("brats", "T2")}
    assert set(zip(moved["cohort"], moved["modality"], strict=True)) == diagnosed
    assert set(moved["label_ratio"]) == {0.5}
    page = (finished / "results/diagnosis.html").read_text()
    assert page.count("<section") == 2
    assert "simulated" in page


def test_table_4_and_its_figures_train_nothing_that_is_trained(finished: Path) -> None:
    run = snakemake("results/table4.csv", "results/fig3.png", "results/fig4.png", "-n", "--cores", "2", folder=finished)
    assert run.returncode == 0, run.stdout[-3000:]
    counts = dict(re.findall(r"^(\w+) +(\d+)$", run.stdout, re.MULTILINE))
    assert counts["translate_pair"] == "12"  # six methods, two pairs
    assert counts["pretrain_pair"] == "10"  # Multi-ConDoS is there


def test_a_pretraining_translates_its_test_patients(copy: Path) -> None:
    target = "work/hecktor/CT-PET/translation/multi_condos/seed0"
    run = snakemake("--cores", "1", f"{target}/scores.csv", folder=copy)
    assert run.returncode == 0, run.stdout[-3000:]
    scores = pd.read_csv(copy / target / "scores.csv")
    assert set(scores["subject"]) == set(read_split(copy / "splits/hecktor/seed0.json").test)
    assert scores["SSIM"].between(-1, 1).all()
    distances = pd.read_csv(copy / target / "distances.csv")
    assert (distances["extractor"] == "EfficientNet-Lite0").all()
    assert (distances["FID"] > 0).all()
    assert (copy / target / "examples.h5").exists()


def test_predictions_are_exported_on_the_raw_grid(copy: Path) -> None:
    target = "results/predictions/hecktor/CT-PET/multi_condos/PET/labels50/seed0"
    run = snakemake("--cores", "1", target, folder=copy)
    assert run.returncode == 0, run.stdout[-3000:]
    files = sorted((copy / target).glob("*.nii.gz"))
    assert len(files) == 2
    subject = files[0].name.removesuffix(".nii.gz")
    assert Grid.of(read_volume(files[0])) == Grid.of(read_volume(copy / f"data/hecktor/{subject}/{subject}_pt.nii.gz"))


def test_the_fusion_table_trains_nothing_and_holds_the_single_networks_numbers(copy: Path) -> None:
    run = snakemake("--cores", "2", "results/table_fusion.csv", folder=copy)
    assert run.returncode == 0, run.stdout[-3000:]
    assert "finetune" not in run.stdout
    table = pd.read_csv(copy / "results/table_fusion.csv").set_index("method")
    assert table["simulated"].eq("hecktor brats").all()
    table2 = pd.read_csv(copy / "results/table2.csv")
    table2 = table2[table2["label_ratio"] == 0.5].set_index("method")
    for method in ("Fully Supervised", "Multi-ConDoS"):
        for metric in ("DSC", "Sen"):
            for way, modality in (("first", "CT"), ("second", "PET")):
                fused = table.loc[f"{method}, {way} modality alone", f"hecktor_CT-PET_{metric}"]
                assert fused == table2.loc[method, f"hecktor_{modality}_{metric}"]
        for words in ("mean probability", "STAPLE"):
            assert 0 <= table.loc[f"{method}, both, {words}", "brats_T1CE-T2_DSC"] <= 1


def test_a_damaged_raw_file_ends_with_one_line(copy: Path) -> None:
    path = copy / "data/brats/HGG/SIM0002/SIM0002_t2.nii.gz"
    path.write_bytes(path.read_bytes()[:2000])
    run = snakemake("--cores", "1", "preprocess", folder=copy)
    assert run.returncode != 0
    message = next(line for line in run.stdout.splitlines() if line.startswith("error: "))
    assert str(path.relative_to(copy)) in message
    assert "Traceback" not in run.stdout
