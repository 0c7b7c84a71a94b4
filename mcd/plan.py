"""What a configuration asks for: which runs a table needs, and how the table is laid out. Knows no path."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

from mcd.config import Config
from mcd.methods import METHODS, PRETRAININGS
from mcd.reporting.spec import TableSpec

SINGLE = "single"
"""In the place of a pair for methods that see one modality only: they are the same whatever the pair."""


@dataclass(frozen=True)
class Run:
    """One fine-tuning with its test: a U-Net for one modality, trained on a share of the labels."""

    cohort: str
    pair: str
    method: str
    modality: str
    ratio: float
    seed: int


def percent(ratio: float) -> str:
    """A label ratio as the path and the reader see it: 0.05 -> "5"."""
    return f"{100 * ratio:g}"


def pair_of(config: Config, cohort: str, modality: str, method: str) -> str:
    """The pair in which a modality is pre-trained for a method: the first that holds it, or `SINGLE`."""
    if METHODS[method].pretraining is None:
        return SINGLE
    return next(pair for pair in config.cohorts[cohort].pairs if modality in pair.split("-"))


def columns(config: Config) -> list[tuple[str, str]]:
    """(cohort, modality) in the order of the configuration, modalities as they stand in the pairs."""
    found = []
    for name, cohort in config.cohorts.items():
        paired = [modality for pair in cohort.pairs for modality in pair.split("-")]
        found += [(name, modality) for modality in dict.fromkeys(paired or cohort.modalities)]
    return found


def rows(config: Config) -> list[tuple[float, str]]:
    """(label ratio, method) of Table II: every method at the small ratios, then Fully Supervised at the large ones."""
    small = list(product(config.label_ratios, config.methods))
    return small + [(ratio, "fully_supervised") for ratio in config.full_ratios if "fully_supervised" in config.methods]


def runs(config: Config, table_rows: Iterable[tuple[float, str]]) -> list[Run]:
    """Every run that rows need, in every column and for every seed."""
    return [
        Run(cohort, pair_of(config, cohort, modality, method), method, modality, ratio, seed)
        for ratio, method in table_rows
        for cohort, modality in columns(config)
        for seed in config.seeds
    ]


def pretraining_settings(config: Config, cohort: str, pretraining: str, seed: int) -> dict[str, Any]:
    """Everything that changes what a pre-training learns: arguments of `mcd.pretraining.run.pretrain`."""
    return {
        "algorithm": PRETRAININGS[pretraining].algorithm,
        "options": config.pretraining_options(pretraining),
        "filters": config.filters,
        "epochs": config.pretraining.epochs,
        "steps_per_epoch": config.pretraining.steps_per_epoch,
        "batch_size": config.cohorts[cohort].batch_size.pretraining,
        "sees": config.pretraining.sees,
        "seed": seed,
    }


def finetuning_settings(config: Config, cohort: str, method: str, ratio: float, seed: int) -> dict[str, Any]:
    """Everything that changes what a fine-tuning learns: arguments of `mcd.segmentation.run.finetune`."""
    spec = METHODS[method]
    return {
        "regions": config.cohorts[cohort].regions,
        "label_ratio": ratio,
        "filters": config.filters,
        "algorithm": spec.segmentation,
        "options": config.algorithms.get(spec.segmentation, {}),
        "depth": spec.transfer,
        "schedule": {
            **config.finetuning.model_dump(exclude={"augmentation"}),
            "batch_size": config.cohorts[cohort].batch_size.at(ratio),
        },
        "augmentation": config.finetuning.augmentation,
        "seed": seed,
    }


def shown_runs(config: Config) -> list[Run]:
    """One run a column for the picture: the last method of the table at its largest small ratio, first seed."""
    chosen = [(max(config.label_ratios), config.methods[-1])]
    return [run for run in runs(config, chosen) if run.seed == config.seeds[0]]


def shown_title(config: Config) -> str:
    """What the picture of `shown_runs` shows."""
    simulated = [cohort.title or name for name, cohort in config.cohorts.items() if cohort.simulate]
    words = f"{METHODS[config.methods[-1]].label}, {percent(max(config.label_ratios))} % of the labels: test patients"
    return words + (f"\n{' and '.join(simulated)}: simulated" if simulated else "")


def pretrained_layers(method: str) -> str:
    """Which layers of a method's U-Net do not start from random weights, in words."""
    pretraining = METHODS[method].pretraining
    return PRETRAININGS[pretraining].hands_back if pretraining else "none"


def table2(config: Config) -> TableSpec:
    """Table II: all methods, DSC and sensitivity."""
    cohorts = config.cohorts
    return TableSpec(
        name="table2",
        title="Table II: segmentation with few labels",
        rows=[(ratio, METHODS[method].label) for ratio, method in rows(config)],
        columns=columns(config),
        metrics=["DSC", "Sen"],
        methods={key: METHODS[key].label for key in config.methods},
        simulated=frozenset(name for name, cohort in cohorts.items() if cohort.simulate),
        paper_table="II",
        paper_cohorts={name: cohort.paper_dataset for name, cohort in cohorts.items() if cohort.paper_dataset},
        reference=METHODS["multi_condos"].label if "multi_condos" in config.methods else None,
        groups={METHODS[key].label: METHODS[key].group for key in config.methods},
        cohort_labels={name: cohort.title or name for name, cohort in cohorts.items()},
        pretrained={METHODS[key].label: pretrained_layers(key) for key in config.methods},
    )
