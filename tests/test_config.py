"""The configuration: defaults are the paper's, and a mistake is one readable line."""

from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from mcd import plan
from mcd.config import Config, load_config, read_config, read_yaml
from mcd.errors import McdError
from mcd.methods import METHODS, PRETRAININGS
from mcd.paths import expand
from mcd.pretraining import registry as pretraining
from mcd.reporting.printed.paper import reported
from mcd.segmentation import registry as segmentation

ROOT = Path(__file__).parents[1]
MINIMAL: dict[str, Any] = {
    "cohorts": {
        "mine": {
            "layout": "samplesheet",
            "sheet": "sheet.tsv",
            "modalities": ["CT", "PET"],
            "pairs": ["CT-PET"],
            "regions": {"tumour": [1]},
            "preprocessing": {"size": [64, 64]},
        }
    }
}


COHORT: dict[str, Any] = MINIMAL["cohorts"]["mine"]


def changed(path: str, value: Any) -> dict[str, Any]:
    """MINIMAL with one key set; `cohorts.mine` may be left out."""
    content = deepcopy(MINIMAL)
    target = content
    *parents, key = path.split(".")
    for parent in parents:
        target = target.setdefault(parent, {})
    target[key] = value
    return content


def test_a_minimal_file_has_the_papers_values() -> None:
    config = load_config(MINIMAL)
    assert config.pretraining.epochs == 200
    assert (config.finetuning.epochs, config.finetuning.learning_rate, config.finetuning.weight_decay) == (
        70,
        2e-4,
        1e-4,
    )
    assert config.label_ratios == [0.05, 0.1]
    assert config.filters == 64


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("filter", 8, "filter: unknown key; did you mean filters?"),
        ("cohorts.mine.preprocessing.spaceing", [1, 1, 1], "spaceing: unknown key; did you mean spacing?"),
        ("cohorts.mine.preprocessing.size", [64, 50], "multiples of 16"),
        ("cohorts.mine.pairs", ["CT-MR"], "pairs: CT-MR does not join two of CT, PET"),
        ("cohorts.mine.layout", "dicomweb", "unknown; use one of brats2018"),
        ("cohorts.mine.folder", None, None),
        ("cohorts.mine", COHORT | {"folds": 5}, None),
        ("cohorts.mine", COHORT | {"folds": 1}, "folds: Input should be greater than or equal to 2"),
        (
            "cohorts.mine",
            COHORT | {"folds": 5, "test": 0.2},
            "cohorts.mine: folds: every patient tests in one of them, and `test` says who does; remove one of the two",
        ),
        ("cohorts.mine", COHORT | {"folds": 5, "test_centre": ["A"]}, "and `test_centre` says who does"),
        ("cohorts.mine.sheet", None, "needs the key sheet"),
        ("cohorts.mine.simulate", {"subjects": 3}, "can be simulated"),
        ("cohorts.mine.regions", {"tumour": [300]}, "less than or equal to 255"),
        ("label_ratios", [5], "is more than all labels; if 5 % is meant, give 0.05"),
        ("methods", ["simclrr"], "did you mean simclr?"),
        ("algorithms", {"dsgann": {}}, "algorithms.dsgann: unknown key; did you mean dsgan?"),
        (
            "algorithms",
            {"dsgan": {"temprature": 1}},
            "algorithms.dsgan.temprature: unknown key; did you mean temperature?",
        ),
        (
            "algorithms",
            {"dsgan": {"temperature": "hot"}},
            "algorithms.dsgan.temperature: Input should be a valid number",
        ),
        ("algorithms", {"dsgan": {"feature_loss": "l3"}}, "algorithms.dsgan.feature_loss: Input should be"),
        (
            "algorithms",
            {"dsgan": {"shared": 5}},
            "algorithms.dsgan.shared: Input should be less than or equal to 3 (given: 5)",
        ),
        (
            "finetuning.augmentation",
            {"rotate": 3},
            "finetuning.augmentation.rotate: unknown key; did you mean rotation?",
        ),
        ("compute.device", "tpu", "compute.device"),
        ("cohorts.mine.preprocessing.registration", "rigid", None),
        (
            "cohorts.mine.preprocessing.registration",
            True,
            "registration: Input should be 'off', 'rigid' or 'affine' (given: True)",
        ),
        (
            "cohorts.mine.preprocessing.registration",
            {"PET": "elastic"},
            "registration.PET: Input should be 'off', 'rigid' or 'affine'",
        ),
        ("cohorts.mine.preprocessing.registration", {"CT": "rigid"}, "CT is not registered on CT, the reference"),
    ],
)
def test_a_mistake_is_named_in_one_line(path: str, value: Any, message: str | None) -> None:
    if message is None:
        load_config(changed(path, value))
        return
    with pytest.raises(McdError) as caught:
        load_config(changed(path, value))
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).startswith("configuration: ")


@pytest.mark.parametrize(
    ("path", "value", "key", "remedy"),
    [
        ("cohorts.mine.preprocessing.statistics_region", "bodyy", "statistics_region", "'nonzero', 'body' or 'all'"),
        ("cohorts.mine.preprocessing.statistics_region", {"MR": "body"}, "statistics_region", "there are CT, PET"),
        ("cohorts.mine.preprocessing.statistics_region", {}, "statistics_region", "is empty; give at least one"),
        ("cohorts.mine.preprocessing.percentiles", [99, 1], "percentiles", "99 is not below 1"),
        ("cohorts.mine.preprocessing.percentiles", [-1, 99], "percentiles.0", "greater than or equal to 0"),
        ("cohorts.mine.preprocessing.spacing", [1, 1, 0], "spacing.2", "greater than 0"),
        ("cohorts.mine.preprocessing.spacing", [1, 1], "spacing.2", "is missing"),
        ("cohorts.mine.preprocessing.spacing", [1, 1, float("nan")], "spacing.2", "finite number"),
        ("cohorts.mine.preprocessing.body_threshold", float("inf"), "body_threshold", "finite number"),
        ("cohorts.mine.preprocessing.registration", {}, "registration", "is empty; give at least one"),
        ("cohorts.mine.test", 2.5, "test", "a whole number of patients"),
        ("cohorts.mine.test", 0, "test", "greater than 0"),
        ("cohorts.mine.regions", {}, "regions", "is empty; give at least one"),
        ("cohorts.mine.regions", {"tumour": []}, "regions.tumour", "is empty; give at least one"),
        ("cohorts.mine.regions", {"tumour": [1, 1]}, "regions.tumour", "1 appears twice; name it once"),
        ("cohorts.mine.modalities", ["CT", "PET", "CT"], "modalities", "CT appears twice; name it once"),
        ("cohorts.mine.pairs", ["CT-PET", "PET-CT"], "pairs", "CT-PET appears twice, in whatever order; name it once"),
        ("cohorts.mine.pairs", ["CT"], "pairs.0", "two different modalities joined by a hyphen"),
        ("cohorts.mine.batch_size", {"pretraining": 1}, "batch_size.pretraining", "greater than or equal to 2"),
        ("cohorts.mine.batch_size", {"finetuning": {0.05: 0}}, "finetuning.0.05", "greater than or equal to 1"),
        ("cohorts.mine.batch_size", {"finetuning": {}}, "batch_size.finetuning", "is empty; give at least one"),
        ("cohorts.mine.subjects_per_shard", 0, "subjects_per_shard", "greater than or equal to 1"),
        ("cohorts", {}, "cohorts", "is empty; give at least one"),
        ("seeds", [-1], "seeds.0", "greater than or equal to 0"),
        ("seeds", [0, 0], "seeds", "0 appears twice; name it once"),
        ("seeds", [], "seeds", "is empty; give at least one"),
        ("label_ratios", [0.1, 0.1], "label_ratios", "0.1 appears twice; name it once"),
        ("full_ratios", [0.5, 0.5], "full_ratios", "0.5 appears twice; name it once"),
        ("methods", ["simclr", "simclr"], "methods", "simclr appears twice; name it once"),
        ("finetuning", {"betas": [0.5, 3]}, "finetuning.betas.1", "less than 1"),
        ("finetuning", {"epochs": 4}, "finetuning", "warmup_epochs: 5 is more than the training's 4 epochs; lower it"),
        ("finetuning", {"steps_per_epoch": {}}, "finetuning.steps_per_epoch", "is empty; give at least one"),
        ("finetuning", {"steps_per_epoch": 0}, "finetuning.steps_per_epoch", "greater than or equal to 1"),
        ("finetuning", {"learning_rate": 0}, "finetuning.learning_rate", "greater than 0"),
        ("finetuning", {"weight_decay": -1}, "finetuning.weight_decay", "greater than or equal to 0"),
        ("finetuning", {"augmentation": {"scale": 1}}, "augmentation.scale", "less than 1"),
        ("algorithms", {"dsgan": {"warmup_epochs": 201}}, "algorithms.dsgan", "more than the training's 200 epochs"),
        ("algorithms", {"dsgan": {"betas": [0.5, 1]}}, "algorithms.dsgan.betas.1", "less than 1"),
        ("algorithms", {"dsgan": {"translation": -10}}, "algorithms.dsgan.translation", "greater than or equal to 0"),
        (
            "algorithms",
            {"dsgan": {"adversarial": 0, "translation": 0, "reconstruction": 0, "contrastive": 0}},
            "algorithms.dsgan",
            "all weights are 0; set one of them above 0",
        ),
        ("algorithms", {"dsgan": {"discriminator_filters": 0}}, "discriminator_filters", "greater than or equal to 1"),
        *(
            ("algorithms", {name: {"learning_rate": 0}}, f"algorithms.{name}.learning_rate", "greater than 0")
            for name in pretraining.REGISTRY
        ),
        *(
            ("algorithms", {name: {key: 0}}, f"algorithms.{name}.{key}", "greater than")
            for name in pretraining.REGISTRY
            for key in (
                "temperature",
                "embedding",
                "projection",
                "hidden",
                "prototypes",
                "permutations",
                "grid",
                "parts",
            )
            if key in pretraining.options_class(name).model_fields
        ),
        ("algorithms", {"byol": {"momentum": 1.5}}, "algorithms.byol.momentum", "less than or equal to 1"),
        ("algorithms", {"simclr": {"crop": [0.9, 0.1]}}, "algorithms.simclr.crop", "the smallest comes first"),
        ("algorithms", {"sass": {"dropout": 1}}, "algorithms.sass.dropout", "less than 1"),
        ("algorithms", {"mean_teacher": {"decay": 2}}, "algorithms.mean_teacher.decay", "less than or equal to 1"),
        ("algorithms", {"dtml": {"ramp": 0}}, "algorithms.dtml.ramp", "greater than 0"),
        (
            "algorithms",
            {"vicreg": {"invariance": 0, "variance": 0, "covariance": 0}},
            "algorithms.vicreg",
            "all weights are 0; set one of them above 0",
        ),
        ("seeds", [True], "seeds.0", "is a boolean; give a number"),
        ("finetuning", {"learning_rate": True}, "learning_rate", "is a boolean; give a number"),
        ("label_ratios", [0.333333, 0.3333333333333333], "label_ratios", "too close to 0.333333 to be told apart"),
        ("full_ratios", [0.0500001], "full_ratios", "too close to 0.05 to be told apart in tables; use one of them"),
        ("compute", {"threads": 0}, "compute.threads", "greater than or equal to 1"),
        ("compute", {"memory_limit_gb": float("nan")}, "compute.memory_limit_gb", "finite number"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(path: str, value: Any, key: str, remedy: str) -> None:
    """One line, with the key and what would be right; by classes that need neither torch nor an image library."""
    with pytest.raises(McdError) as caught:
        load_config(changed(path, value))
    (line,) = str(caught.value).splitlines()
    assert line.startswith("configuration: ")
    assert key in line
    assert remedy in line


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (
            {**changed("cohorts.mine.pairs", []), "methods": ["multi_condos"]},
            "methods: multi_condos pre-trains on a pair, and no cohort has one; leave it out",
        ),
        (
            {**MINIMAL, "methods": ["multi_condos", "loss_gan"], "algorithms": {"dsgan": {"adversarial": 0}}},
            "algorithms.dsgan: as loss_gan is defined, adversarial, translation, reconstruction, contrastive: all",
        ),
    ],
)
def test_methods_that_cannot_be_trained_are_refused(content: dict[str, Any], remedy: str) -> None:
    with pytest.raises(McdError) as caught:
        load_config(content)
    assert remedy in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_numbers_as_text_are_numbers_and_names_stay_names() -> None:
    """YAML 1.1 reads 1e-3 as text, since it has no point."""
    content = yaml.safe_load("learning_rate: 1e-3")
    assert content == {"learning_rate": "1e-3"}
    config = load_config(
        {
            **changed("cohorts.mine.title", "1e3"),
            "finetuning": content,
            "algorithms": {"simclr": content},
            "label_ratios": ["5e-2"],
            "seeds": ["1e1"],
        }
    )
    assert config.seeds == [10]
    assert config.finetuning.learning_rate == config.pretraining_options("simclr")["learning_rate"] == 1e-3
    assert config.label_ratios == [0.05]
    assert config.cohorts["mine"].title == "1e3"


def test_a_hint_is_another_key() -> None:
    with pytest.raises(McdError) as caught:
        load_config(changed("finetuning", {"momentum": 0.9}))
    assert "did you mean momentum" not in str(caught.value)


def test_a_key_that_appears_twice_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(MINIMAL) + "filters: 8\nseeds: [0]\nfilters: 16\n")
    with pytest.raises(McdError, match=r"config\.yaml: line \d+: the key filters appears twice; keep one"):
        read_config(path)


@pytest.mark.parametrize("text", ["a: {k: 1, k: 2}", "{1: 0, 1: 2}"])
def test_keys_that_appear_twice_are_found_at_any_depth(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(McdError, match="appears twice; keep one"):
        read_yaml(path)


def test_what_is_merged_from_an_anchor_may_be_overridden(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("a: &a {k: 1, l: 1}\nb: {<<: *a, k: 2}\n")
    assert read_yaml(path)["b"] == {"k": 2, "l": 1}


def test_a_key_that_is_no_name_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("? [a]\n: 1\n")
    with pytest.raises(McdError, match=r"config\.yaml: not valid YAML"):
        read_yaml(path)


def test_whole_numbers_may_be_written_with_an_exponent() -> None:
    assert load_config(changed("pretraining.epochs", "1e2")).pretraining.epochs == 100
    with pytest.raises(McdError, match=r"pretraining\.epochs: Input should be a valid integer"):
        load_config(changed("pretraining.epochs", "15e-1"))


def test_a_ratio_may_be_among_the_small_and_the_large() -> None:
    config = load_config({**MINIMAL, "label_ratios": [0.5], "full_ratios": [0.5, 1.0]})
    assert [row for row in plan.rows(config) if row == (0.5, "fully_supervised")] == [(0.5, "fully_supervised")]


def test_what_a_registry_says_of_an_algorithm_is_so() -> None:
    from mcd.pretraining.brainmvp_lite import BrainMVPLite
    from mcd.pretraining.contig import ContIG
    from mcd.pretraining.dsgan import DSGAN
    from mcd.pretraining.m_jigsaw import MJigsaw

    paired = {DSGAN, ContIG, MJigsaw, BrainMVPLite}
    for name, algorithm in pretraining.REGISTRY.items():
        assert algorithm.multimodal == (pretraining.pretraining_class(name) in paired)
    assert [name for name, found in segmentation.REGISTRY.items() if found.unlabelled] == [
        "mean_teacher",
        "dtml",
        "sass",
        "bcp",
        "unimatch",
    ]


def test_all_plus_adds_the_baselines_beyond_the_paper() -> None:
    methods = load_config(changed("methods", "all+")).methods
    assert methods[:15] == load_config(changed("methods", "all")).methods
    assert methods[15:17] == ["supervised_content", "mt_control"]
    assert methods[17:] == [*("vicreg", "mae", "volume_fusion", "brainmvp_lite", "bcp", "unimatch", "multi_condos_m")]


def test_all_methods_are_those_of_table_2_in_its_order() -> None:
    methods = load_config(changed("methods", "all")).methods
    assert [METHODS[method].label for method in methods] == list(dict.fromkeys(reported("II")["method"]))


def test_several_mistakes_are_all_told() -> None:
    content = changed("filter", 8)
    content["seed"] = [0]
    with pytest.raises(McdError) as caught:
        load_config(content)
    assert len(str(caught.value).splitlines()) == 2


def test_options_from_the_command_line_get_their_types() -> None:
    """Snakemake's --config hands on what is nested as text."""
    config = load_config(
        changed("algorithms", {"dsgan": {"shared": "2", "temperature": "0.2", "feature": "bottleneck"}})
    )
    assert config.pretraining_options("multi_condos") == {"shared": 2, "temperature": 0.2, "feature": "bottleneck"}
    augmentation = load_config(changed("finetuning", {"augmentation": {"mirror": "false"}})).finetuning.augmentation
    assert augmentation.mirror is False
    assert load_config(changed("finetuning", {"steps_per_epoch": "null"})).finetuning.steps_per_epoch is None


def test_registration_is_off_by_any_spelling_and_per_modality() -> None:
    """YAML reads a bare `off` as false."""
    path = "cohorts.mine.preprocessing.registration"
    for text, registered in (
        ("off", []),
        ("'off'", []),
        ("rigid", ["PET"]),
        ("{PET: affine}", ["PET"]),
        ("{PET: off}", []),
    ):
        cohort = load_config(changed(path, yaml.safe_load(text))).cohorts["mine"]
        assert cohort.registered == registered
    assert load_config(MINIMAL).cohorts["mine"].preprocessing.registration == "off"


def test_paths_expand_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCANS", "/scans")
    assert expand("$SCANS/a") == Path("/scans/a")
    with pytest.raises(McdError, match=r"the environment variable \$NOT_SET_AT_ALL is not set"):
        expand("$NOT_SET_AT_ALL/a")


def test_a_path_that_is_there_as_it_is_written_is_taken_so(tmp_path: Path) -> None:
    for name in ("$NOT_SET_AT_ALL", "~", "{subject}", "a b", "50%"):
        (tmp_path / name).mkdir()
        assert expand(str(tmp_path / name)) == tmp_path / name
        assert expand(name, base=tmp_path) == tmp_path / name


def test_a_sheet_is_looked_up_in_the_working_folder_then_beside_the_workflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cohort = load_config(changed("cohorts.mine.sheet", "lung.tsv")).cohorts["mine"]
    assert cohort.sheet_path == Path(__file__).parents[1] / "lung.tsv"
    Path("lung.tsv").touch()
    assert cohort.sheet_path == Path("lung.tsv")


def test_batch_size_of_a_ratio_is_that_of_the_next_lower_one() -> None:
    sizes = (
        load_config(changed("cohorts.mine.batch_size", {"finetuning": {0.05: 31, 0.1: 90}})).cohorts["mine"].batch_size
    )
    assert [sizes.at(ratio) for ratio in (0.01, 0.05, 0.07, 0.1, 0.5, 1.0)] == [31, 31, 31, 90, 90, 90]


@pytest.mark.parametrize("path", sorted([ROOT / "config.yaml", *ROOT.glob("configs/**/*.yaml")]), ids=lambda p: p.name)
def test_every_configuration_of_the_project_is_valid(path: Path) -> None:
    assert isinstance(load_config(yaml.safe_load(path.read_text())), Config)


def test_the_papers_configuration_is_the_papers() -> None:
    """Sec. V, number by number."""
    config = load_config(yaml.safe_load((ROOT / "configs/paper.yaml").read_text()))
    hecktor, brats = config.cohorts["hecktor"], config.cohorts["brats"]
    assert (hecktor.preprocessing.size, brats.preprocessing.size) == ((144, 144), (160, 160))
    assert hecktor.preprocessing.spacing == brats.preprocessing.spacing == (1, 1, 1)
    assert hecktor.preprocessing.interpolation == "nearest"
    assert (hecktor.test, brats.test) == (21, 42)
    assert (hecktor.batch_size.pretraining, brats.batch_size.pretraining) == (48, 36)
    assert hecktor.batch_size.finetuning == {0.05: 31, 0.1: 90}
    assert brats.batch_size.finetuning == {0.05: 56, 0.1: 70}
    assert brats.pairs == ["T1CE-T2", "FLAIR-T1"]
    assert brats.regions == {"WT": [1, 2, 4], "TC": [1, 4], "ET": [4]}
    dsgan = config.algorithms.given("dsgan")
    assert (dsgan["translation"], dsgan["reconstruction"], dsgan["contrastive"]) == (10, 1, 0.1)
    assert (dsgan["learning_rate"], dsgan["temperature"]) == (2e-4, 0.1)
    assert (config.pretraining.epochs, config.finetuning.epochs) == (200, 70)


def test_table_2_has_the_papers_rows_and_columns() -> None:
    config = load_config(yaml.safe_load((ROOT / "configs/paper.yaml").read_text()))
    table = plan.comparisons(config)["table2"].spec
    assert list(table.columns) == [
        ("hecktor", "CT"),
        ("hecktor", "PET"),
        ("brats", "T1CE"),
        ("brats", "T2"),
        ("brats", "FLAIR"),
        ("brats", "T1"),
    ]
    assert table.rows[0] == (0.05, "Fully Supervised")
    assert table.rows[-2:] == [(0.5, "Fully Supervised"), (1.0, "Fully Supervised")]
    assert table.paper_cohorts == {"hecktor": "hecktor", "brats": "brats2018"}
    runs = plan.runs(config, plan.rows(config))
    assert len(runs) == len(set(runs)) == len(table.rows) * 6
    assert {run.pair for run in runs} == {"CT-PET", "T1CE-T2", "FLAIR-T1"}
    unpaired = load_config(changed("cohorts.mine.pairs", []) | {"methods": ["fully_supervised"]})
    assert {run.pair for run in plan.runs(unpaired, plan.rows(unpaired))} == {plan.SINGLE}


@pytest.mark.parametrize("name", PRETRAININGS)
def test_what_a_pretraining_hands_back_is_what_its_class_trains(name: str) -> None:
    """The words of the table's column against the class."""
    from mcd.pretraining.registry import options_class, pretraining_class

    words = {
        -1: "encoder",
        1: "encoder and up layer 1",
        3: "encoder and up layers 1-3",
        4: "everything but the output layer",
    }
    spec = PRETRAININGS[name]
    method_class = pretraining_class(spec.algorithm)
    up_layers = method_class.up_layers
    if name in ("con_only", "loss_c"):  # how far DSGAN trains depends on its losses
        up_layers = method_class(
            options_class(spec.algorithm).model_validate(spec.options), 2, ["CT", "PET"], (32, 32)
        ).up_layers
    assert spec.hands_back == words[up_layers]


def _keys(settings: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every key below some settings."""
    if isinstance(settings, dict):
        for key, value in settings.items():
            yield (*before, key)
            yield from _keys(value, (*before, key))


@pytest.mark.parametrize("wrong", [None, [], {}, "text", -1, True, [None]])
def test_whatever_stands_under_a_key_is_taken_or_refused(wrong: Any) -> None:
    whole = yaml.safe_load((ROOT / "config.yaml").read_text())
    for *path, last in _keys(whole):
        settings = deepcopy(whole)
        place = settings
        for key in path:
            place = place[key]
        place[last] = wrong
        with suppress(McdError):
            load_config(settings)


def test_an_algorithm_without_options_has_its_defaults() -> None:
    settings = yaml.safe_load((ROOT / "config.yaml").read_text())
    settings["algorithms"] = {"dsgan": None, "swav": {}}
    config = load_config(settings)
    assert config.algorithms.given("dsgan") == config.algorithms.given("swav") == {}
