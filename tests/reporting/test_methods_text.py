"""The text on methods: who is cited, and whether its numbers are those of the configuration and of the run."""

import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from mcd import plan
from mcd.config import load_config, read_yaml
from mcd.evaluation.metrics import METRIC_KEYS
from mcd.evaluation.score_rows import write_scores
from mcd.methods import METHODS, PRETRAININGS
from mcd.pretraining import registry as pretraining
from mcd.reporting.methods_text.citations import (
    LAYOUT_KEYS,
    METHOD_KEYS,
    METRIC_CITED,
    bibliography,
    cited,
    of_method,
    references,
)
from mcd.reporting.methods_text.text import MethodsCohort, MethodsFacts, methods_text, write_methods
from mcd.segmentation import registry as segmentation
from mcd.slices.splits import Origin, make_split, write_split
from mcd.training.history import write_history

ROOT = Path(__file__).parents[2]
OURS = [
    name for name in METHODS if name not in {**pretraining.BASELINES, **segmentation.BASELINES} or name in METHOD_KEYS
]


def told(
    folder: Path, *, seeds: int = 1, draws: int = 1, methods: list[str] | None = None, **changes: Any
) -> MethodsFacts:
    """The demo's configuration, with a run of it made up: 10 training patients, 75 steps, 800 slices with a target."""
    config = load_config(read_yaml(ROOT / "configs/demo.yaml") | changes)
    names = methods or config.methods
    write_split(
        make_split(Origin("hecktor", 4, dict.fromkeys(f"SIM{n:04d}" for n in range(14))), 0), folder / "split.json"
    )
    rows = [{"epoch": epoch, "steps": 25, "device": "CPU, 1 thread", "total": 1.0} for epoch in (1, 2, 3)]
    write_history(rows, folder / "losses.csv")
    run = {"cohort": "hecktor", "pair": "CT-PET", "modality": "CT", "method": "simclr", "label_ratio": 0.2, "seed": 0}
    score = {"subject": "SIM0001", "region": "GTVt", "steps": 100, "targets_seen": 800, "mcd_version": "0.1.0+abc"}
    write_scores([{**run, **score, **dict.fromkeys(METRIC_KEYS, 0.5)}], folder / "scores.csv")
    pretrainings = list(dict.fromkeys(name for method in names if (name := METHODS[method].pretraining)))
    return MethodsFacts(
        methods=names,
        cohorts=[
            MethodsCohort(
                "HECKTOR", config.cohorts["hecktor"].model_dump(mode="json"), 14, 0, [folder / "split.json"], boxed=True
            )
        ],
        ratios=config.label_ratios,
        seeds=seeds,
        draws=draws,
        filters=config.filters,
        pretrainings={
            name: plan.pretraining_task(
                config, "hecktor", "CT-PET-MR" if PRETRAININGS[name].together else "CT-PET", name, 0
            ).model_dump()
            for name in pretrainings
        },
        finetuning=config.finetuning.model_dump(mode="json"),
        pretraining_losses={name: [folder / "losses.csv"] for name in pretrainings},
        scores=[folder / "scores.csv"],
    )


def test_every_method_is_cited_by_an_entry_that_exists() -> None:
    assert set(OURS) >= {"rotation", "multi_condos", "mae", "unimatch", "mt_control", "loss_gan_t"}
    assert [name for name in OURS if not METHOD_KEYS.get(name)] == []
    assert METHOD_KEYS.keys() <= METHODS.keys()
    keys = {key for keys in METHOD_KEYS.values() for key in keys}
    assert keys <= references().keys()


def test_no_entry_is_there_for_nothing() -> None:
    """Each is of a method, a layout or a metric, or is named in the text's module."""
    tables = [*METHOD_KEYS.values(), *LAYOUT_KEYS.values(), *METRIC_CITED.values()]
    source = (ROOT / "mcd/reporting/methods_text/text.py").read_text()
    known = {key for keys in tables for key in keys} | set(re.findall(r"[\"'](\w+\d{4}\w*)[\"']", source))
    assert references().keys() <= known


def test_entries_are_complete() -> None:
    text = bibliography(list(references()))
    assert text.count("{") == text.count("}")
    assert text.count("\n@") + 1 == len(references()) > 35
    for key, entry in references().items():
        assert {"author", "title", "year"} <= set(re.findall(r"^  (\w+) = \{", entry, re.MULTILINE)), key
        assert re.search(r"^  (journal|booktitle) = ", entry, re.MULTILINE), key
        (year,) = re.findall(r"year = \{(\d{4})\}", entry)
        assert year in key, key


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_bibliography_has_what_the_text_cites_and_nothing_else(tmp_path: Path, seeds: int) -> None:
    write_methods(told(tmp_path, seeds=seeds, methods=OURS), tmp_path / "methods.md", tmp_path / "methods.bib")
    text = (tmp_path / "methods.md").read_text()
    entries = re.findall(r"^@\w+\{(\w+),", (tmp_path / "methods.bib").read_text(), re.MULTILINE)
    assert sorted(entries) == sorted(set(cited(text)))
    assert len(entries) == len(set(entries))
    for method in OURS:
        assert of_method(method) in text
        for key in METHOD_KEYS[method]:
            assert key in entries


def test_the_numbers_are_those_of_configuration_and_run(tmp_path: Path) -> None:
    text = methods_text(told(tmp_path))
    for words in (
        "14 simulated patients with CT and PET; segmented: GTVt (label 1)",
        "10 simulated patients trained and 4 simulated patients tested (split by patient)",
        "20 % (2) were used",
        "resampled to 3 × 3 × 4.5 mm (nearest-neighbour interpolation",
        "slices of 48 × 48 pixels around the patient’s box",
        "percentiles 1 and 99 and z-scored over the body of CT and the non-zero voxels of PET",
        "with 8 filters",
        "| SimCLR | 3 | 75 | 16 | 0.001 | 1e-06 |",
        "| Multi-ConDoS | 3 | 75 | 16 | 0.001 | 0 |",
        "learning rate of 0.005, a warm-up of 1 epoch and a cosine decay to 0, and weight decay of 0.0001, for 10 epochs",
        "soft Dice [@milletari2016vnet] over the batch, of regions that it holds, and binary cross-entropy",
        "Outputs began at 0.25 everywhere by their bias, after [@lin2017focal]",
        "20 % of the labels 800 labelled slices with a target, in 100 steps",
        "mcd 0.1.0+abc",
        "Pre-trainings ran on CPU, 1 thread.",
    ):
        assert words in text
    changed = methods_text(
        told(
            tmp_path,
            filters=16,
            label_ratios=[0.5],
            finetuning={
                "epochs": 7,
                "learning_rate": 0.25,
                "warmup_epochs": 0,
                "decay": "constant",
                "weight_decay_form": "decoupled",
            },
            algorithms={"simclr": {"learning_rate": 0.125}},
        )
    )
    for words in (
        "with 16 filters",
        "50 % (5) were used",
        "learning rate of 0.25, no warm-up and a constant rate, and decoupled weight decay [@loshchilov2019adamw]",
        "for 7 epochs",
        "| SimCLR | 3 | 75 | 16 | 0.125 |",
    ):
        assert words in changed


def test_simulated_patients_are_called_so_and_real_ones_are_cited(tmp_path: Path) -> None:
    facts = told(tmp_path)
    assert "patients simulated by this software" in methods_text(facts)
    assert "The patients of HECKTOR are simulated: their numbers say nothing about real patients." in methods_text(
        facts
    )
    (cohort,) = facts.cohorts
    real = replace(cohort, settings={**cohort.settings, "simulate": None})
    text = methods_text(replace(facts, cohorts=[real]))
    assert "simulated" not in text
    assert "HECKTOR [@andrearczyk2020hecktor]: 14 patients" in text
    own = replace(real, settings={**real.settings, "layout": "samplesheet"}, unlabelled=3, masked=2)
    text = methods_text(replace(facts, cohorts=[own]))
    assert "**cite the data here**" in text
    assert "3 have no label" in text
    assert "over the mask of each of 2 patients" in text
    fetched = methods_text(replace(facts, cohorts=[replace(own, citation="Somebody et al., 2020")]))
    assert "(Somebody et al., 2020)" in fetched
    assert "cite the data here" not in fetched


def test_what_splits_share_is_said(tmp_path: Path) -> None:
    facts = told(tmp_path, seeds=2)
    (cohort,) = facts.cohorts
    twice = replace(cohort, splits=[*cohort.splits, *cohort.splits])
    text = methods_text(replace(facts, cohorts=[twice]))
    assert "(split by patient; the same for every training; whose labels are used is drawn for each of 2 seeds)" in text
    write_split(
        make_split(Origin("another", 5, dict.fromkeys(f"SIM{n:04d}" for n in range(14))), 0), tmp_path / "other.json"
    )
    text = methods_text(replace(facts, cohorts=[replace(cohort, splits=[*cohort.splits, tmp_path / "other.json"])]))
    assert (
        "9 to 10 simulated patients trained and 4 to 5 simulated patients tested (split by patient; not the same"
        in text
    )
    centre = replace(cohort, settings={**cohort.settings, "test_centre": ["MDA"]})
    assert "tested (those of MDA)" in methods_text(replace(facts, cohorts=[centre]))


def test_cross_validation_is_said_and_cited(tmp_path: Path) -> None:
    origin = Origin("hecktor", 0, dict.fromkeys(f"SIM{n:04d}" for n in range(14)), folds=3)
    for seed, fold in product((0, 1), (1, 2, 3)):
        write_split(make_split(origin, seed, fold), tmp_path / f"seed{seed}-fold{fold}.json")

    def text_of(seeds: int, draws: int = 1) -> str:
        facts = told(tmp_path, seeds=seeds, draws=draws)
        (cohort,) = facts.cohorts
        splits = [tmp_path / f"seed{seed}-fold{fold}.json" for seed, fold in product(range(seeds), (1, 2, 3))] * draws
        crossed = replace(cohort, settings={**cohort.settings, "folds": 3}, splits=splits)
        return methods_text(replace(facts, cohorts=[crossed]))

    one, several, drawn = text_of(1), text_of(2), text_of(1, draws=2)
    assert (
        "by 3-fold cross-validation [@stone1974]: every patient with a label tested in one of 3 folds, by networks that "
        "neither pre-trained nor trained on it. In a fold, 9 to 10 simulated patients trained and 4 to 5 simulated patients "
        "tested (split by patient)."
    ) in one
    assert (
        "(split by patient; divided again for each of 2 seeds; whose labels are used is drawn for each of 2 seeds"
        in several
    )
    assert "the networks of all folds count together as one training" in one
    assert "Every method was trained once in each fold; intervals" in one
    assert "on one pre-training of each fold; intervals" in drawn
    assert "cross-validation" not in methods_text(told(tmp_path))


def test_registration_is_said(tmp_path: Path) -> None:
    facts = told(tmp_path)
    assert "No image was registered" in methods_text(facts)
    (cohort,) = facts.cohorts
    options = {**cohort.settings["preprocessing"], "registration": {"PET": "rigid"}}
    moved = replace(cohort, settings={**cohort.settings, "preprocessing": options})
    assert "Registered to CT by mutual information: PET (rigid)" in methods_text(replace(facts, cohorts=[moved]))


def test_what_is_not_in_the_paper_is_not_left_to_it(tmp_path: Path) -> None:
    facts = told(tmp_path, methods=["fully_supervised", "multi_condos"])
    assert "not in the paper" not in methods_text(facts)
    facts = told(tmp_path, methods=["fully_supervised", "multi_condos", "multi_condos_m"])
    assert "Multi-ConDoS-M, which is not in the paper, is pre-trained on all M modalities" in methods_text(facts)


def test_statistics_are_those_that_the_number_of_trainings_allows(tmp_path: Path) -> None:
    once = methods_text(told(tmp_path))
    assert "Every method was trained once" in once
    assert "@holm1979" not in once
    several = methods_text(told(tmp_path, seeds=3))
    assert "repeated with 3 seeds" in several
    assert "compared with Multi-ConDoS patient by patient" in several
    assert "trained once" not in several
    assert "each of 4 draws" in methods_text(told(tmp_path, draws=4))
    alone = methods_text(told(tmp_path, seeds=3, methods=["fully_supervised"]))
    assert "compared with Multi-ConDoS" not in alone
    assert "Pre-training" not in alone


def test_what_a_pretraining_hands_on_is_said(tmp_path: Path) -> None:
    text = methods_text(told(tmp_path, methods=["simclr", "gl", "multi_condos"]))
    for name in ("simclr", "gl", "multi_condos"):
        assert f"{PRETRAININGS[name].hands_back} of {METHODS[name].label}" in text
