"""What each table and figure is made of: the paper's rows, and no run twice."""

import re
from collections import Counter
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mcd import plan
from mcd.config import Config, load_config
from mcd.config.cohort import Simulation
from mcd.errors import McdError
from mcd.methods import BEYOND, METHODS, PRETRAININGS, TABLE_II
from mcd.pretraining.dsgan import DSGAN
from mcd.pretraining.options import DSGANOptions
from mcd.reporting.printed.paper import reported

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def paper() -> Config:
    return load_config(yaml.safe_load((ROOT / "configs/paper.yaml").read_text()))


@pytest.mark.parametrize(
    ("name", "table"),
    [("table2", "II"), ("table3", "III"), ("table5", "V"), ("table6", "VI"), ("table7", "VII"), ("table8", "VIII")],
)
def test_a_table_has_the_rows_of_the_print(paper: Config, name: str, table: str) -> None:
    spec = plan.comparisons(paper)[name].spec
    printed = reported(table)
    assert set(spec.metrics) == set(printed["metric"])
    assert {(spec.paper_cohorts[cohort], modality) for cohort, modality in spec.columns} == set(
        zip(printed["dataset"], printed["modality"], strict=True)
    )
    rows = set(zip(printed["label_ratio"], printed["method"], strict=True))
    lost = {(0.1, "Fully Supervised")} if table == "VI" else set()  # the print has its heading, and no row
    assert set(spec.rows) == rows | lost


def test_every_comparison_has_a_run_for_each_of_its_cells(paper: Config) -> None:
    for comparison in plan.comparisons(paper).values():
        spec = comparison.spec
        cells = Counter(
            (spec.row_of_pair.get(run.pair) or spec.methods[run.method], run.ratio, run.cohort, run.modality)
            for run in comparison.runs
        )
        assert set(cells.values()) == {len(paper.seeds)}
        assert set(cells) == {(method, ratio, *column) for ratio, method in spec.rows for column in spec.columns}


def test_of_a_simulated_cohort_the_first_have_a_label(paper: Config) -> None:
    settings = paper.cohorts["brats"].model_copy(
        update={"layout": "brats2018", "simulate": Simulation(subjects=5, labelled=2), "folder": None}
    )
    config = paper.model_copy(update={"cohorts": {"brats": settings}})
    found = plan.patients(config, "brats", "data")
    assert [subject.label is not None for subject in found] == [True, True, False, False, False]
    assert plan.origin(config, "brats", found).unlabelled == [subject.id for subject in found[2:]]
    with pytest.raises(ValidationError, match="labelled: 6 of 5 subjects"):
        Simulation(subjects=5, labelled=6)


def test_tables_share_their_runs(paper: Config) -> None:
    tables = {name: set(comparison.runs) for name, comparison in plan.comparisons(paper).items()}
    assert tables["table6"] == tables["table7"] < tables["table2"]
    for name in tables.keys() - {"table2"}:
        assert tables[name] & tables["table2"], name


def test_the_three_groupings_hold_each_pair_of_modalities_once(paper: Config) -> None:
    ways = plan.groupings(paper)
    assert list(ways) == ["brats"]  # Hecktor's two modalities can be paired in one way
    assert list(ways["brats"]) == ["A: T1CE-T2, FLAIR-T1", "B: T1CE-FLAIR, T2-T1", "C: T1CE-T1, T2-FLAIR"]
    pairs = [frozenset(pair.split("-")) for grouping in ways["brats"].values() for pair in grouping]
    assert sorted(map(sorted, pairs)) == sorted(map(sorted, combinations(["T1CE", "T2", "FLAIR", "T1"], 2)))


def test_without_pairs_there_are_no_ablations(paper: Config) -> None:
    content = paper.model_dump(exclude_unset=True)
    content["cohorts"] = {"hecktor": {**content["cohorts"]["hecktor"], "pairs": []}}
    content["methods"] = ["fully_supervised"]
    assert set(plan.comparisons(load_config(content))) == {"table2", "table6", "table7", "fig5"}


def test_ablations_are_the_losses_that_their_names_say() -> None:
    letters = {"adversarial": "L_GAN", "translation": "L_T", "reconstruction": "L_R", "contrastive": "L_C"}
    for key, label in plan.TABLE_V.items():
        if key == "fully_supervised":
            continue
        pretraining = METHODS[key].pretraining
        assert pretraining
        options = DSGANOptions(**PRETRAININGS[pretraining].options)
        assert "+".join(name for loss, name in letters.items() if getattr(options, loss)) == label
        assert options.shared == 1


def test_where_the_contrast_is_alone_only_what_it_reaches_counts_as_trained() -> None:
    for name in ("con_only", "loss_c"):
        options = DSGANOptions(**PRETRAININGS[name].options, discriminator_filters=4)
        method = DSGAN(options, 2, ["CT", "PET"])
        trained = method.trained_keys(method.unet_state("CT"))
        whole = DSGAN(DSGANOptions(discriminator_filters=4), 2, ["CT", "PET"])
        assert set(trained) < set(whole.trained_keys(whole.unet_state("CT")))


def test_table_9_measures_table_2_and_what_else_is_reported(paper: Config) -> None:
    printed = reported("IX")

    def measured(**changes: object) -> tuple[set[str], set[str]]:
        planned = plan.costs(load_config({**paper.model_dump(exclude_unset=True), **changes}))
        assert planned is not None
        spec, made = planned
        assert len(made) == len(set(made))
        assert [cohort for cohort, _ in spec.columns] == ["hecktor", "brats"]
        assert {pair for cohort, pair, *_ in made if cohort == "brats"} == {
            "T1CE-T2",
            "FLAIR-T1",
        }  # not Fig. 8's others
        return {label for _, label in spec.rows}, {pretraining for _, _, pretraining, _, _ in made}

    rows, made = measured(report=["table2", "table9"])
    assert set(printed["method"]) < rows
    assert made == {METHODS[key].pretraining for key in paper.methods} - {None}
    rows, made = measured(report=["table3"])
    assert {"Con-Only", "Cycle-P-GAN"} < rows
    assert "loss_c" not in made
    beyond = {METHODS[key].pretraining for key in BEYOND}
    assert measured(report="all")[1] == set(PRETRAININGS) - beyond  # those of no table
    assert plan.costs(load_config({**paper.model_dump(exclude_unset=True), "methods": ["fully_supervised"]})) is None


def test_table_4_has_the_cells_of_the_print(paper: Config) -> None:
    spec = plan.translation_spec(paper)
    assert spec is not None
    printed = reported("IV")
    assert [method for _, method in spec.rows] == list(dict.fromkeys(printed["method"]))
    assert {(spec.paper_cohorts[cohort], column) for cohort, column in spec.columns} == set(
        zip(printed["dataset"], printed["modality"], strict=True)
    )
    assert spec.modality_labels["FLAIR-T1:Y_rec"] == "T1″ from FLAIR′"


def test_nothing_is_pretrained_for_translations_alone(paper: Config) -> None:
    table = plan.comparisons(paper)["table3"]
    trained = {(run.cohort, run.pair, METHODS[run.method].pretraining, run.seed) for run in table.runs}
    for methods in (plan.TABLE_IV, plan.FIG_3):
        made = plan.translations(paper, methods)
        assert {(one.cohort, one.pair, one.pretraining, one.seed) for one in made} <= trained
        assert len(made) == 3 * len(methods) * len(paper.seeds)


def test_without_pairs_there_is_no_table_4(paper: Config) -> None:
    content = paper.model_dump(exclude_unset=True)
    content["cohorts"] = {name: {**cohort, "pairs": []} for name, cohort in content["cohorts"].items()}
    without = load_config({**content, "methods": ["fully_supervised"]})
    assert plan.translation_spec(without) is None
    assert plan.translations(without, plan.TABLE_IV) == []


def test_fusion_takes_the_runs_of_table_2(paper: Config) -> None:
    (fusion,) = plan.fusion_comparison(paper).values()
    table2 = set(plan.comparisons(paper)["table2"].runs)
    assert {(run.method, run.ratio) for run in fusion.runs} == set(
        product(("fully_supervised", "multi_condos"), paper.label_ratios)
    )
    for run in fusion.runs:
        parts = plan.fused_from(paper, run)
        assert [part.modality for part in parts] == run.modality.split("-")
        assert set(parts) <= table2  # nothing is trained for it
        assert set(parts) <= plan.fused_runs(paper)
    assert len(plan.fused_runs(paper)) == len(fusion.runs) * 2  # of each pair its two, and of no other run
    assert fusion.spec.columns == [("hecktor", "CT-PET"), ("brats", "T1CE-T2"), ("brats", "FLAIR-T1")]
    assert len(fusion.spec.rows) == 2 * 2 * 4  # ratios, methods, ways
    unpaired = paper.model_copy(
        update={"cohorts": {name: cohort.model_copy(update={"pairs": []}) for name, cohort in paper.cohorts.items()}}
    )
    assert plan.fusion_comparison(unpaired) == {}
    assert plan.fused_runs(unpaired) == set()


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.05, "5"), (0.1, "10"), (0.125, "12.5"), (1.0, "100"), (0.3333333333333333, "33.33333333333333")],
)
def test_a_label_ratio_has_one_text(ratio: float, text: str) -> None:
    assert plan.percent(ratio) == text


@given(st.floats(0, 1, exclude_min=True), st.floats(0, 1, exclude_min=True))
def test_other_ratios_have_other_texts(one: float, other: float) -> None:
    assert (plan.percent(one) == plan.percent(other)) == (one == other)
    assert re.fullmatch(r"\d+(\.\d+)?", plan.percent(one))  # what a path can hold


def test_every_ratio_of_the_configuration_is_known(paper: Config) -> None:
    ratios = {
        "label_ratios": [0.3333333333333333],
        "full_ratios": [1.0],
        "curve_ratios": [0.2],
        "sharing_ratios": [0.2],
    }
    assert plan.ratios(paper.model_copy(update=ratios)) == [0.3333333333333333, 1.0, 0.2]


def planned(**more: Any) -> Config:
    """A cohort of MR with everything of the paper's methods, unless `more` says otherwise."""
    cohort: dict[str, Any] = {
        "layout": "brats2018",
        "folder": "/scans",
        "modalities": ["T1CE", "FLAIR", "T2"],
        "pairs": ["T1CE-T2"],
        "regions": {"WT": [1, 2]},
        "preprocessing": {"size": [64, 64]},
    }
    own = {key: more.pop(key) for key in list(more) if key in cohort}
    return load_config({"cohorts": {"mine": {**cohort, **own}}, "methods": "all", **more})


NEED_A_PAIR = {"m_jigsaw", "contig", "multi_condos"}


def test_a_modality_in_no_pair_has_all_that_needs_none() -> None:
    config = planned()
    assert plan.columns(config) == [("mine", "T1CE"), ("mine", "T2"), ("mine", "FLAIR")]
    made = plan.comparisons(config)["table2"].runs
    had = {name: {run.method for run in made if run.modality == name} for name in ("T1CE", "T2", "FLAIR")}
    assert had["T1CE"] == had["T2"] == set(config.methods)
    assert had["FLAIR"] == set(config.methods) - NEED_A_PAIR
    alone = next(run for run in made if (run.modality, run.method) == ("FLAIR", "rotation"))
    assert (alone.pair, plan.pretrained_on(config, alone)) == (plan.SINGLE, "FLAIR")
    assert plan.pretraining_task(config, "mine", "FLAIR", "rotation", 0).modalities == ("FLAIR",)
    assert plan.left_out(config) == [
        "mine: FLAIR: in no pair, so without M-Jigsaw, ContIG, Multi-ConDoS, which need two modalities"
    ]
    assert plan.comparisons(config)["table2"].spec.notes == [f"{plan.left_out(config)[0]}."]
    assert plan.comparisons(config)["table3"].spec.columns == [("mine", "T1CE"), ("mine", "T2")]
    assert plan.comparisons(config)["table3"].spec.notes == [f"{plan.left_out(config)[0]}."]


def changed(config: Config, **changes: Any) -> Config:
    return load_config({**config.model_dump(exclude_unset=True), **changes})


def test_all_plus_leaves_the_tables_of_the_paper_as_they_are(paper: Config) -> None:
    more = changed(paper, methods="all+")
    assert more.methods == [*TABLE_II, *BEYOND]
    of_all, of_more = plan.comparisons(paper), plan.comparisons(more)
    assert of_more.keys() - of_all.keys() == {"table_beyond"}
    for name, comparison in of_all.items():
        assert of_more[name] == comparison
    assert plan.shown_runs(more) == plan.shown_runs(paper)
    assert plan.compared_runs(more) == plan.compared_runs(paper)
    shown = plan.reported(changed(more, report=None), plan.reportable(more))
    assert shown == ["table2", "table_beyond", "segmentations"]


def test_baselines_beyond_the_paper_are_rows_between_the_two_that_they_are_measured_by(paper: Config) -> None:
    config = changed(paper, methods=["multi_condos", "vicreg"])
    table = plan.comparisons(config)["table_beyond"]
    rows = ["Fully Supervised", "VICReg", "Multi-ConDoS"]
    assert table.spec.rows == list(product(paper.label_ratios, rows))
    assert table.spec.columns == plan.comparisons(paper)["table2"].spec.columns
    assert table.spec.reference == "Multi-ConDoS"
    assert table.spec.groups["VICReg"] == "Self-supervised"
    assert {label for _, label in plan.comparisons(config)["table2"].spec.rows} == {"Multi-ConDoS"}
    asked_for = {run.method for run in plan.configured_runs(config)}
    assert asked_for == {"multi_condos", "vicreg"}
    assert {run for run in table.runs if run.method != "fully_supervised"} <= set(plan.configured_runs(config))


def test_controls_stand_beside_what_they_are_controls_of(paper: Config) -> None:
    config = paper.model_copy(
        update={"methods": ["simclr", "mt", "sass", "vicreg", "mt_control", "supervised_content"]}
    )
    table = plan.comparisons(config)["table_beyond"]
    assert [label for ratio, label in table.spec.rows if ratio == 0.05] == [
        "Fully Supervised",
        "MT, weight 0",
        "Fully Supervised, all slices",
        "MT",
        "SASS",
        "VICReg",
        "Multi-ConDoS",
    ]
    assert {run.method for run in plan.comparisons(config)["table2"].runs}.isdisjoint(["mt_control", "vicreg"])


def test_without_a_baseline_beyond_the_paper_there_is_no_table_of_them(paper: Config) -> None:
    assert "table_beyond" not in plan.comparisons(paper)
    assert "table_beyond" not in plan.reportable(paper)
    assert plan.reported(changed(paper, report=None), plan.reportable(paper)) == ["table2", "segmentations"]
    assert plan.configured_runs(paper) == plan.comparisons(paper)["table2"].runs


def test_baselines_beyond_the_paper_alone_have_their_table_alone() -> None:
    config = planned(modalities=["T2"], pairs=[], methods=["vicreg"])
    made = plan.comparisons(config)
    assert set(made) == {"table_beyond"}
    assert {label for _, label in made["table_beyond"].spec.rows} == {"Fully Supervised", "VICReg"}  # no pair
    assert plan.reported(config, plan.reportable(config)) == ["table_beyond", "segmentations"]
    assert {run.method for run in plan.shown_runs(config)} == {"vicreg"}
    with pytest.raises(McdError, match="report: table2 is not produced by this configuration"):
        plan.reported(changed(config, report=["table2"]), plan.reportable(config))


def test_one_training_on_all_modalities_serves_each_of_them(paper: Config) -> None:
    """Those in no pair, too; a cohort of two has none."""
    config = changed(paper, methods=["multi_condos", "multi_condos_m"], report="all")
    table = plan.comparisons(config)["table_beyond"]
    assert [label for ratio, label in table.spec.rows if ratio == 0.05] == [
        *("Fully Supervised", "Multi-ConDoS-M", "Multi-ConDoS")
    ]
    made = [run for run in table.runs if run.method == "multi_condos_m"]
    assert {(run.cohort, run.pair, run.modality) for run in made} == {
        ("brats", pair, modality) for pair in ("T1CE-T2", "FLAIR-T1") for modality in pair.split("-")
    }
    assert {plan.pretrained_on(config, run) for run in made} == {"T1CE-T2-FLAIR-T1"}
    task = plan.pretraining_task(config, "brats", "T1CE-T2-FLAIR-T1", "multi_condos_m", 0)
    pairwise = plan.pretraining_task(config, "brats", "T1CE-T2", "multi_condos", 0)
    assert task.modalities == ("T1CE", "T2", "FLAIR", "T1")
    assert task.model_copy(update={"modalities": pairwise.modalities}) == pairwise
    assert "hecktor: without Multi-ConDoS-M, which needs a third modality" in plan.left_out(config)
    assert "hecktor: without Multi-ConDoS-M, which needs a third modality." in table.spec.notes
    assert plan.comparisons(config)["table2"].spec.notes == []
    planned_costs = plan.costs(config)
    assert planned_costs
    spec, costed = planned_costs
    assert ("brats", "T1CE-T2-FLAIR-T1", "multi_condos_m", 0, 0) in costed
    assert spec.columns == [("hecktor", "CT-PET"), ("brats", "T1CE-T2+FLAIR-T1")]
    diagnosed = plan.diagnosed(config)["brats", "T1CE-T2-FLAIR-T1", "multi_condos_m", 0, 0]
    assert {run.modality for run in diagnosed} == set(task.modalities)

    three = planned(methods=["multi_condos_m"])
    made = [run for run in plan.configured_runs(three) if run.method == "multi_condos_m"]
    assert {(run.pair, run.modality) for run in made} == {
        *(("T1CE-T2", "T1CE"), ("T1CE-T2", "T2"), (plan.SINGLE, "FLAIR"))
    }
    assert {plan.pretrained_on(three, run) for run in made} == {"T1CE-FLAIR-T2"}


def test_what_a_pretraining_cannot_see_is_refused(paper: Config) -> None:
    for pair, name, wanted in (
        ("T1CE-T2-FLAIR", "multi_condos", "a pair"),
        ("T1CE-T2", "multi_condos_m", "more than two modalities"),
    ):
        with pytest.raises(McdError, match=f"^pair {pair}: {name} pre-trains on {wanted}"):
            plan.pretraining_task(paper, "brats", pair, name, 0)
    with pytest.raises(McdError, match="'T1CE-T2-T2': not two different modalities"):
        plan.pretraining_task(paper, "brats", "T1CE-T2-T2", "multi_condos_m", 0)
    with pytest.raises(McdError, match="multi_condos_m pre-trains on more than two modalities at once"):
        planned(modalities=["T1CE", "T2"], methods=["multi_condos_m"])


def test_without_a_pair_all_plus_is_what_can_be_had() -> None:
    config = planned(modalities=["T2"], pairs=[], methods="all+")
    assert {run.method for run in plan.comparisons(config)["table_beyond"].runs} >= {"fully_supervised", "vicreg"}
    assert not NEED_A_PAIR & {run.method for run in plan.configured_runs(config)}


def test_table_9_says_which_pretrainings_it_leaves_out(paper: Config) -> None:
    for config, said in ((planned(), True), (paper, False)):
        measured = plan.costs(config)
        assert measured
        assert any("Without the pre-trainings of modalities in no pair" in note for note in measured[0].notes) == said


def test_every_pretraining_is_diagnosed_with_the_networks_that_started_from_it() -> None:
    """T2 and T1CE are a pair, T1 is alone; a method that shares a pre-training with another has no part in it."""
    made = {"modalities": ["T1CE", "T2", "T1"], "pairs": ["T1CE-T2"], "label_ratios": [0.05, 0.1], "seeds": [0, 1]}
    config = planned(**made, methods=["fully_supervised", "simclr", "multi_condos"], report=["table2"])
    found = plan.diagnosed(config)
    pretrained = {("T1CE-T2", "simclr"), ("T1", "simclr"), ("T1CE-T2", "multi_condos")}
    assert set(found) == {("mine", pair, name, seed, 0) for pair, name in pretrained for seed in (0, 1)}
    for (_, pair, name, seed, _), runs in found.items():
        modalities = pair.split("-")
        assert {(run.modality, run.ratio) for run in runs} == set(product(modalities, (0.05, 0.1)))
        assert {(run.method, run.seed) for run in runs} == {(name, seed)}
        assert len(runs) == 2 * len(modalities)
    everything = plan.diagnosed(planned(**made, methods=["fully_supervised", "multi_condos"], report="all"))
    assert {name for _, _, name, _, _ in everything} > {"multi_condos", "con_only", "loss_t", "sl2"}
    runs = everything["mine", "T1CE-T2", "multi_condos", 0, 0]
    assert {run.method for run in runs} == {"multi_condos"}  # without those of Table VIII
    assert {run.ratio for run in runs} == {0.05, 0.1}  # without those of Fig. 5
    assert len(runs) == len(set(runs))


def test_one_modality_has_all_that_needs_none() -> None:
    config = planned(modalities=["T2"], pairs=[], methods=["fully_supervised", "simclr", "mt"])
    assert {run.method for run in plan.comparisons(config)["table2"].runs} == {"fully_supervised", "simclr", "mt"}
    assert plan.left_out(config) == []
    assert "table3" not in plan.comparisons(config)
    assert plan.reportable(config).keys() >= {"table2", "fig2", "fig5", "segmentations", "claims"}
    assert not plan.reportable(config).keys() & {"table3", "table4", "table9", "fig3", "fig6", "table_fusion"}


def test_without_a_pair_the_default_methods_are_those_that_need_none() -> None:
    content = planned(modalities=["T2"], pairs=[], methods=["fully_supervised"]).model_dump(exclude_unset=True)
    del content["methods"]
    config = load_config(content)
    assert plan.methods(config) == ["fully_supervised"]
    assert plan.rows(config) == [(ratio, "fully_supervised") for ratio in (0.05, 0.1, 0.5, 1.0)]
    assert plan.left_out(config) == ["mine: T2: in no pair, so without Multi-ConDoS, which needs two modalities"]


def test_a_paired_cohort_leaves_nothing_out(paper: Config) -> None:
    assert plan.left_out(paper) == []
    assert all(
        comparison.spec.notes == [] for comparison in plan.comparisons(paper).values() if comparison.spec.notes != ()
    )


def test_a_new_table_of_scores_is_one_declaration(paper: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules, the page's choices and the runs follow from it."""
    table = plan.ScoreTable(
        "table_mine",
        "My table",
        ["PPV", "HD95"],
        lambda config: product([0.05], ["fully_supervised", "multi_condos"]),
    )
    monkeypatch.setattr("mcd.plan.tables.SCORE_TABLES", [*plan.SCORE_TABLES, table])
    made = plan.comparisons(paper)["table_mine"]
    assert [label for _, label in made.spec.rows] == ["Fully Supervised", "Multi-ConDoS"]
    assert set(made.runs) <= set(plan.comparisons(paper)["table2"].runs)  # nothing else is trained for it
    assert plan.reportable(paper)["table_mine"] == {"table"}
    numbers = replace(table, name="fig_mine")
    monkeypatch.setattr("mcd.plan.tables.SCORE_TABLES", [*plan.SCORE_TABLES, numbers])
    assert plan.reportable(paper)["fig_mine"] == {"table"}
    monkeypatch.setattr("mcd.plan.tables.SCORE_TABLES", [*plan.SCORE_TABLES, replace(numbers, picture=True)])
    assert plan.reportable(paper)["fig_mine"] == {"table", "picture"}


def test_an_ablation_of_which_nothing_is_left_is_named_where_it_is_reported() -> None:
    options = {"algorithms": {"dsgan": {"adversarial": 0}}, "pairs": ["T1CE-T2"], "methods": ["fully_supervised"]}
    config = planned(**options)
    plan.check_reported(config, plan.reported(config, plan.reportable(config)))
    config = planned(**options, report="all")
    with pytest.raises(McdError, match=r"algorithms.dsgan: as loss_gan is defined, .*all weights are 0"):
        plan.check_reported(config, plan.reported(config, plan.reportable(config)))
