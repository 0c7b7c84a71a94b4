"""Every configuration plans the right jobs, and mistakes end before anything runs."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_cohorts import make
from snakemake_run import ROOT, snakemake
from workflow_rules import rules, script_of

from mcd.cli import main
from mcd.slices.splits import Origin, make_split, read_split, write_split

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def fake_cohorts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The paper's 201 + 210 patients, the Decathlon's, and the files that the real patients' sheets name, all empty."""
    folder = tmp_path_factory.mktemp("cohorts")
    make(folder)
    for sheet in (ROOT / "configs/real").glob("*.tsv"):
        for row in csv.DictReader(sheet.read_text().splitlines(), delimiter="\t"):
            for column in row.keys() - {"subject", "split"}:
                path = folder / row[column]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    return {
        "HECKTOR2020": str(folder / "hecktor"),
        "BRATS2018": str(folder / "brats"),
        "REAL_PATIENTS": str(folder),
    }


def job_counts(output: str) -> dict[str, int]:
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE)}


CONFIGS = ["config.yaml", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("configs/**/*.yaml"))]


@pytest.mark.parametrize("config", CONFIGS)
def test_every_configuration_plans(config: str, fake_cohorts: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(Path(fake_cohorts["REAL_PATIENTS"]) / "data")  # where `mcd fetch` puts them
    run = snakemake("all", "-n", "--quiet", "rules", "--cores", "2", folder=tmp_path, config=config, env=fake_cohorts)
    assert run.returncode == 0, run.stdout[-3000:]
    assert "aggregate_table" in run.stdout


@pytest.mark.parametrize(("config", "threads"), [("configs/paper.yaml", "3"), ("config.yaml", "1")])
def test_many_patients_are_scored_by_several_threads(
    config: str, threads: str, fake_cohorts: dict[str, str], tmp_path: Path
) -> None:
    """The paper's 210 brains; of the default's, one job scores all in a second."""
    scores = "work/brats/T1CE-T2/fully_supervised/T2/labels5/seed0/scores.csv"
    run = snakemake(scores, "-n", "--cores", "8", folder=tmp_path, config=config, env=fake_cohorts)
    assert run.returncode == 0, run.stdout[-3000:]
    job = run.stdout.split("rule score_pair:")[1].split("\n\n")[0]
    assert dict(re.findall(r"(threads): (\d+)", job)).get("threads", "1") == threads


# modalities and pairs -> columns of the table, pre-trainings of a method that sees a pair, and of one that does not
ODD_COHORTS = {
    ("[T2]", "[]"): (1, 0, 1),
    ("[T2, T1]", "[]"): (2, 0, 2),
    ("[T1CE, T2, T1]", "[T1CE-T2]"): (3, 1, 2),
    ("[T1CE, T2, T1]", "[T1CE-T2, T2-T1]"): (3, 2, 2),
}


@pytest.mark.parametrize("methods", ["all", "[fully_supervised, simclr, multi_condos]"])
@pytest.mark.parametrize(("modalities", "pairs"), ODD_COHORTS)
def test_a_cohort_without_neat_pairs_plans(modalities: str, pairs: str, methods: str, tmp_path: Path) -> None:
    """No modality vanishes: each is fine-tuned by every method that it can have."""
    if pairs == "[]" and methods != "all":
        methods = "[fully_supervised, simclr]"
    (tmp_path / "odd.yaml").write_text(
        "cohorts:\n  brats:\n    layout: brats2018\n    simulate: {subjects: 6}\n"
        f"    modalities: {modalities}\n    pairs: {pairs}\n    regions: {{WT: [1, 2, 4]}}\n"
        "    preprocessing: {size: [32, 32]}\n    test: 2\n"
        f"methods: {methods}\nlabel_ratios: [0.5]\nfull_ratios: []\nfilters: 4\n"
    )
    config = str(tmp_path / "odd.yaml")
    arguments = ("-n", "--cores", "1", "--config", "report=all")
    whole = snakemake("all", "--quiet", "rules", *arguments, folder=tmp_path, config=config)
    assert whole.returncode == 0, whole.stdout[-3000:]
    table = snakemake("results/table2.csv", *arguments, folder=tmp_path, config=config)
    trained = set(re.findall(r"(work/brats/\S+/fully_supervised/\w+)/labels50/seed0/model\.pt", table.stdout))
    assert {path.rpartition("/")[2] for path in trained} == set(modalities.strip("[]").split(", "))
    columns, paired, single = ODD_COHORTS[modalities, pairs]
    assert len({path.rpartition("/")[2] for path in trained}) == columns
    pretrained = re.findall(r"output: work/brats/(\S+)/pretraining/(\w+)/seed0/checkpoint\.pt", table.stdout)
    assert sum(method == "multi_condos" for _, method in pretrained) == paired
    assert sum(method == "simclr" for _, method in pretrained) == single


def test_the_papers_plan_has_the_papers_numbers(fake_cohorts: dict[str, str], tmp_path: Path) -> None:
    """201 + 210 patients; three pairs to pre-train; every row of Table II in six columns."""
    run = snakemake(
        *("results/table2.csv", "-n", "--quiet", "rules", "--cores", "2"),
        folder=tmp_path,
        config="configs/paper.yaml",
        env=fake_cohorts,
    )
    counts = job_counts(run.stdout)
    assert counts["preprocess_subject"] == 201 + 210
    assert not [name for name in counts if name.startswith("simulate_")]
    fully_supervised, semi_supervised, pretrained = 4, 3 * 2, 11 * 2
    assert counts["finetune_pair"] == (fully_supervised + semi_supervised + pretrained) * 3
    assert counts["pretrain_pair"] == 11 * 3


def test_the_page_makes_what_it_shows_and_nothing_else(tmp_path: Path) -> None:
    """Asked for everything, the page has all ablations trained; as it is, Table II alone."""

    def tables(*arguments: str) -> int:
        run = snakemake("results/index.html", "-n", "--quiet", "rules", "--cores", "1", *arguments, folder=tmp_path)
        assert run.returncode == 0, run.stdout[-3000:]
        return job_counts(run.stdout)["aggregate_table"]

    assert tables() == 1
    assert tables("--config", "report=all") > 7


def test_claims_make_the_runs_of_the_tables_that_they_are_about(tmp_path: Path) -> None:
    """As it is, they take Table II's runs and no others; asked for all, they train nothing that the tables do not."""

    def runs(*arguments: str) -> dict[str, int]:
        run = snakemake(*arguments, "-n", "--quiet", "rules", "--cores", "1", folder=tmp_path)
        assert run.returncode == 0, run.stdout[-3000:]
        counts = job_counts(run.stdout)
        return {name: counts[name] for name in ("pretrain_pair", "finetune_pair")}

    assert runs("results/claims.csv") == runs("results/table2.csv")
    assert runs("results/claims.csv", "--config", "claims=[table2]") == runs("results/table2.csv")
    assert runs("results/claims.csv", "--config", "report=[table8]") == runs("results/table2.csv", "results/table8.csv")
    tables = [f"results/{name}.csv" for name in ("table2", "table3", "table5", "table6", "table7", "table8")]
    tables += [f"results/{name}.csv" for name in ("fig5", "fig6", "fig7")]  # without four modalities there is no Fig. 8
    asked = ("results/claims.csv", *tables, "--config", "claims=all")
    assert runs("results/claims.csv", "--config", "claims=all") == runs(*tables) == runs(*asked)


def test_a_diagnosis_takes_every_pretraining_and_trains_nothing_else(tmp_path: Path) -> None:
    """Eleven pre-trainings of Table II on three pairs; `all` has it."""

    def jobs(*targets: str) -> dict[str, int]:
        run = snakemake(*targets, "-n", "--quiet", "rules", "--cores", "1", folder=tmp_path, config="config.yaml")
        assert run.returncode == 0, run.stdout[-3000:]
        return job_counts(run.stdout)

    alone = jobs("results/diagnosis.html")
    assert alone["diagnose_pretraining"] == alone["pretrain_pair"] == 11 * 3
    both = jobs("results/diagnosis.html", "results/table2.csv")
    table = jobs("results/table2.csv")
    assert [both[name] for name in ("pretrain_pair", "finetune_pair")] == [
        table[name] for name in ("pretrain_pair", "finetune_pair")
    ]
    assert jobs("all")["aggregate_diagnoses"] == 1


def test_without_a_pretraining_there_is_no_diagnosis(tmp_path: Path) -> None:
    arguments = ("-n", "--quiet", "rules", "--cores", "1", "--config", "methods=[fully_supervised]", "report=[table2]")
    run = snakemake("all", *arguments, folder=tmp_path)
    assert run.returncode == 0, run.stdout[-3000:]
    assert "aggregate_table" in run.stdout
    assert "aggregate_diagnoses" not in run.stdout


def mistakes() -> Iterator[tuple[list[str], dict[str, str], str]]:
    yield ["--config", "filter=8"], {}, "error: configuration: filter: unknown key; did you mean filters?"
    yield (
        ["--config", "report=[table2, table99]"],
        {},
        "error: configuration: report: table99 is not produced by this configuration; there are table2, ",
    )
    yield (
        ["--config", "claims=[fig8]"],
        {},
        "error: configuration: claims: fig8 is not produced by this configuration; there are table2, ",
    )
    yield (
        ["--config", "cohorts={hecktor: {preprocessing: {size: [30, 30]}}}"],
        {},
        "error: configuration: cohorts.hecktor.preprocessing: size: both sides must be multiples of 16",
    )


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("results/tabel2.csv", "nothing makes it with this configuration; did you mean results/table2.csv?"),
        ("prepocess", "nothing makes it with this configuration; did you mean preprocess?"),
        ("xyz", "nothing makes it with this configuration; snakemake --list-target-rules names what can be asked for"),
    ],
)
def test_a_mistyped_target_is_named_with_the_nearest(target: str, message: str, tmp_path: Path) -> None:
    run = snakemake("-n", "--cores", "1", target, folder=tmp_path)
    assert run.returncode != 0
    assert f"error: {target}: {message}" in run.stdout.splitlines()


@pytest.mark.parametrize(("arguments", "env", "message"), list(mistakes()))
def test_a_mistake_ends_with_one_line(arguments: list[str], env: dict[str, str], message: str, tmp_path: Path) -> None:
    run = snakemake("-n", "--cores", "1", "results/table2.csv", *arguments, folder=tmp_path, env=env)
    assert run.returncode != 0
    assert message in run.stdout
    assert "Traceback" not in run.stdout


def test_a_missing_cohort_is_named(tmp_path: Path) -> None:
    run = snakemake(
        *("-n", "--cores", "1", "results/table2.csv"),
        folder=tmp_path,
        config="configs/paper.yaml",
        env={"HECKTOR2020": str(tmp_path / "nothing"), "BRATS2018": str(tmp_path)},
    )
    assert run.returncode != 0
    assert f"error: {tmp_path}/nothing: no <id>/<id>_ct.nii.gz in it" in run.stdout
    assert "Traceback" not in run.stdout


def test_a_simulated_patient_needs_no_other_patients_file(tmp_path: Path) -> None:
    """Its box is known when the workflow is read; the CSV of boxes is written for the index, which lists raw cohorts whole."""
    asked = {
        "work/hecktor/subjects/SIM0002": {"simulate_hecktor2020": 1, "preprocess_subject": 1, "total": 2},
        "work/hecktor/index.tsv": {"simulate_hecktor2020": 4, "write_cohort_file": 1, "index_cohort": 1, "total": 6},
        "work/brats/index.tsv": {"simulate_brats2018": 4, "index_cohort": 1, "total": 5},
    }
    for target, jobs in asked.items():
        run = snakemake(target, "-n", "--quiet", "rules", folder=tmp_path, config="configs/smoke.yaml")
        assert job_counts(run.stdout) == jobs


def test_every_rule_is_complete() -> None:
    works = [rule for rule in rules() if rule.output]
    assert len(works) >= 20
    missing = [(rule.name, "docstring") for rule in rules() if not rule.docstring]
    for rule in works:
        script = script_of(rule)
        has = {
            "log": rule.log,
            "benchmark": rule.benchmark,
            "conda": rule.conda_env,
            "mem_mb": "mem_mb" in rule.resources,
            "runtime": "runtime" in rule.resources,
            "script": script and script.parent == ROOT / "workflow_scripts" and script.exists(),
        }
        missing += [(rule.name, directive) for directive, there in has.items() if not there]
    assert missing == []


def test_every_table_and_figure_stands_in_snakemakes_report() -> None:
    """Pictures and pages of results, but for those that are made on request alone."""
    shown = {
        f"{rule.name}: {path}": path.flags.get("report")
        for rule in rules()
        for path in rule.output
        if re.match(r"results/(?!curves).*\.(png|html)$", path)
    }
    assert len(shown) >= 11
    assert [path for path, report in shown.items() if not (report and report.caption and report.category)] == []


def written_sheet(folder: Path, patients: list[str], **columns: str) -> None:
    """A sheet of empty files; `columns` are texts of cells that every row has."""
    files = ("A", "B", "label")
    header = ["subject", *files, *columns]
    rows = [[name, *(f"{name}_{file}.nii.gz" for file in files), *columns.values()] for name in patients]
    (folder / "sheet.tsv").write_text("".join("\t".join(row) + "\n" for row in [header, *rows]))
    for row in rows:
        for cell in row[1:4]:
            (folder / cell).touch()


def configured(folder: Path, seeds: str = "[0]", cohorts: str = "a", test: str = "1") -> str:
    """A configuration of cohorts that share a sheet."""
    text = "".join(
        f"  {name}: {{layout: samplesheet, sheet: {folder}/sheet.tsv, modalities: [A, B], pairs: [A-B], regions: {{R: [1]}}, "
        f"test: {test}, preprocessing: {{size: [32, 32]}}}}\n"
        for name in cohorts
    )
    path = folder / "config.yaml"
    path.write_text(f"cohorts:\n{text}seeds: {seeds}\nmethods: [multi_condos]\nlabel_ratios: [0.5]\nfull_ratios: []\n")
    return str(path)


def test_a_split_that_is_there_is_never_drawn_again(tmp_path: Path) -> None:
    """A cohort and a seed are added: their product covers the split that somebody has edited."""
    written_sheet(tmp_path, ["P1", "P2", "P3", "P4"])
    split = tmp_path / "splits/a/seed0.json"
    split.parent.mkdir(parents=True)
    split.write_text('{"format": "mcd-split/1", "train": ["P4", "P3", "P1"], "test": ["P2"]}')
    config = configured(tmp_path, seeds="[0, 1]", cohorts="ab")
    run = snakemake("shards", "-n", "--cores", "1", "--forceall", folder=tmp_path, config=config)
    assert run.returncode == 0, run.stdout[-3000:]
    planned = set(re.findall(r"output: (splits/\S+)", run.stdout))
    assert planned == {"splits/a/seed1.json", "splits/b/seed0.json", "splits/b/seed1.json"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("patient", "P5 is new"),
        ("gone", "P4 is gone"),
        ("test", "`test` was 1 and is 2"),
        ("column", "the split column or test_centre was changed for 4 patients"),
    ],
)
def test_a_cohort_that_has_changed_stops_the_run_until_somebody_decides(tmp_path: Path, change: str, told: str) -> None:
    patients = ["P1", "P2", "P3", "P4"]
    written_sheet(tmp_path, patients)
    (tmp_path / "work/a").mkdir(parents=True)
    origin = Origin("a", 1, dict.fromkeys(patients))
    path = tmp_path / "splits/a/seed0.json"
    write_split(make_split(origin, 0), path)
    before = read_split(path)
    if change == "column":
        written_sheet(tmp_path, patients, split="train")
    elif change != "test":
        written_sheet(tmp_path, [*patients, "P5"] if change == "patient" else patients[:-1])
    config = configured(tmp_path, test="2" if change == "test" else "1")
    run = snakemake("results/table2.csv", "-n", "--cores", "1", folder=tmp_path, config=config)
    assert run.returncode != 0
    assert f"error: splits/a/seed0.json: the cohort is no longer the one that it was drawn from: {told}" in run.stdout
    assert f"mcd split keep, extend or redraw splits/a/seed0.json --config {config}" in run.stdout
    assert "Traceback" not in run.stdout
    assert main(["split", "extend", str(path), "--config", config]) == 0
    run = snakemake("results/table2.csv", "-n", "--cores", "1", folder=tmp_path, config=config)
    assert run.returncode == 0, run.stdout[-3000:]
    after = read_split(path)
    assert after.test == before.test if "P4" not in before.test or change != "gone" else after.test == []
    assert after.train[:2] == [name for name in before.train if change != "gone" or name != "P4"][:2]


def test_another_configuration_of_the_same_name_does_not_take_the_split(tmp_path: Path) -> None:
    """The embedded default in a folder with the miniature's splits would learn from two patients."""
    write_split(
        make_split(Origin("brats", 2, dict.fromkeys(f"SIM000{n}" for n in range(1, 5))), 0),
        tmp_path / "splits/brats/seed0.json",
    )
    run = snakemake("results/table2.csv", "-n", "--cores", "1", folder=tmp_path, config=None)
    assert run.returncode != 0
    assert "error: splits/brats/seed0.json: the cohort is no longer the one that it was drawn from" in run.stdout
