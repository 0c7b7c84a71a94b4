"""Which trainings a configuration asks for, and their names."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from mcd.config import Config
from mcd.errors import McdError
from mcd.methods import BEYOND, CONTROLS, METHODS, learns_from_unlabelled, needs_pair, needs_three

SINGLE = "single"
"""In place of a pair, for a modality that is in none."""


Pretrained = tuple[str, str, str, int, int]
"""Cohort, pair (or a modality that is in none, or all modalities), pre-training, seed, fold."""


@dataclass(frozen=True)
class Run:
    """One fine-tuning with its test: a U-Net for one modality, trained on a share of the labels.

    A seed decides the pre-training, the initial weights and the batches; a draw whose labels are used; a fold who tests, and is
    seen by no training: 0 where the cohort has one split.
    """

    cohort: str
    pair: str
    method: str
    modality: str
    ratio: float
    seed: int
    draw: int = 0
    fold: int = 0


def folds(config: Config, cohort: str) -> Sequence[int]:
    """The folds of a cohort, from 1; 0 alone where it has one split."""
    return range(1, count + 1) if (count := config.cohorts[cohort].folds) else [0]


def trainings(config: Config, cohort: str) -> list[tuple[int, int, int]]:
    """(seed, draw, fold) of every training of a row in a column of a cohort."""
    return list(product(config.seeds, range(config.label_draws), folds(config, cohort)))


def is_first(config: Config, run: Run) -> bool:
    """Whether a run is of the first seed, draw and fold, which are shown where one has to do."""
    return (run.seed, run.draw, run.fold) == trainings(config, run.cohort)[0]


def ratios(config: Config) -> list[float]:
    """Every label ratio that the configuration names, each once."""
    named = [*config.label_ratios, *config.full_ratios, *config.curve_ratios, *config.sharing_ratios]
    return list(dict.fromkeys(named))


def pair_of(config: Config, cohort: str, modality: str) -> str:
    """The pair in which a modality is trained: the first that contains it. Without pre-training the choice has no effect."""
    return next((pair for pair in config.cohorts[cohort].pairs if modality in pair.modalities), SINGLE)


def columns(config: Config) -> list[tuple[str, str]]:
    """(cohort, modality) in the order of the configuration: modalities in the order of the pairs, then those in no pair."""
    found = []
    for name, cohort in config.cohorts.items():
        paired = [modality for pair in cohort.pairs for modality in pair.modalities]
        found += [(name, modality) for modality in dict.fromkeys([*paired, *cohort.modalities])]
    return found


def rows(config: Config) -> list[tuple[float, str]]:
    """(label ratio, method) of Table II: its methods at the small ratios, then Fully Supervised at the large ones."""
    small = list(product(config.label_ratios, methods_of_table_2(config)))
    full = [(ratio, "fully_supervised") for ratio in config.full_ratios if "fully_supervised" in config.methods]
    return list(dict.fromkeys(small + full))


def beyond_rows(config: Config) -> list[tuple[float, str]]:
    """(label ratio, method) of the table of baselines beyond the paper, if any is configured.

    Each ratio has them between Fully Supervised and, where there is a pair, Multi-ConDoS, configured or not; beside controls
    stand the configured methods of Table II that they are controls of.
    """
    beyond = [method for method in methods(config) if method in BEYOND]
    controls = [method for method in beyond if method in CONTROLS]
    held = [method for method in methods_of_table_2(config) if controls and learns_from_unlabelled(method)]
    proposed = ["multi_condos"] if paired_columns(config) else []
    others = [method for method in beyond if method not in CONTROLS]
    shown = ["fully_supervised", *controls, *held, *others, *proposed]
    return list(product(config.label_ratios, shown)) if beyond else []


def configured_runs(config: Config) -> list[Run]:
    """Every run of the configured methods: those of Table II, and those of the table beyond it."""
    beyond = [row for row in beyond_rows(config) if row[1] in BEYOND]
    return runs(config, [*rows(config), *beyond])


def runs(config: Config, table_rows: Iterable[tuple[float, str]]) -> list[Run]:
    """Every run that rows need, for every seed, draw and fold and every column to which the method applies."""
    return [
        Run(cohort, pair, method, modality, ratio, *training)
        for ratio, method in table_rows
        for cohort, modality in columns(config)
        for training in trainings(config, cohort)
        if _applies(config, method, cohort, pair := pair_of(config, cohort, modality))
    ]


def _applies(config: Config, method: str, cohort: str, pair: str) -> bool:
    """Whether a method can be had for a modality of a cohort, which is in this pair."""
    if needs_three(method):
        return len(config.cohorts[cohort].modalities) > 2
    return pair != SINGLE or not needs_pair(method)


def paired_columns(config: Config) -> list[tuple[str, str]]:
    """The columns whose modality is in a pair."""
    return [column for column in columns(config) if pair_of(config, *column) != SINGLE]


def unpaired_columns(config: Config) -> list[tuple[str, str]]:
    """The columns whose modality is in no pair."""
    return [column for column in columns(config) if pair_of(config, *column) == SINGLE]


def trained_in(run: Run) -> str:
    """The pair in which a run's modality is trained, or the modality alone."""
    return run.modality if run.pair == SINGLE else run.pair


def pretrained_on(config: Config, run: Run) -> str:
    """What the pre-training of a run saw: its pair, its modality alone, or all of the cohort, joined by hyphens."""
    return "-".join(config.cohorts[run.cohort].modalities) if needs_three(run.method) else trained_in(run)


def pretraining_of(config: Config, run: Run) -> Pretrained | None:
    """The pre-training that a run starts from; None from random weights."""
    pretraining = METHODS[run.method].pretraining
    return (run.cohort, pretrained_on(config, run), pretraining, run.seed, run.fold) if pretraining else None


def methods(config: Config) -> list[str]:
    """The configured methods that apply to at least one column."""
    shown = [(cohort, pair_of(config, cohort, modality)) for cohort, modality in columns(config)]
    found = [method for method in config.methods if any(_applies(config, method, *place) for place in shown)]
    if not found:
        raise McdError(
            "configuration: methods: each needs a pair, and no cohort has one; add fully_supervised, or set pairs"
        )
    return found


def methods_of_table_2(config: Config) -> list[str]:
    """Those of `methods` that are rows of Table II: all but the baselines beyond the paper."""
    return [method for method in methods(config) if method not in BEYOND]


def left_out(config: Config) -> list[str]:
    """Sentences on what is configured but impossible."""
    return without_pair(config) + without_third(config)


def without_third(config: Config) -> list[str]:
    """Likewise on methods that need more modalities than a cohort has."""
    needing = ", ".join(METHODS[method].label for method in config.methods if needs_three(method))
    few = [name for name, cohort in config.cohorts.items() if len(cohort.modalities) < 3]
    return [f"{name}: without {needing}, which needs a third modality" for name in few if needing]


def without_pair(config: Config) -> list[str]:
    """Likewise on methods that need a pair, for modalities that are in none."""
    needing = [METHODS[method].label for method in config.methods if needs_pair(method)]
    if not needing:
        return []
    alone: dict[str, list[str]] = {}
    for cohort, modality in unpaired_columns(config):
        alone.setdefault(cohort, []).append(modality)
    verb = "needs" if len(needing) == 1 else "need"
    return [
        f"{cohort}: {', '.join(modalities)}: in no pair, so without {', '.join(needing)}, which {verb} two modalities"
        for cohort, modalities in alone.items()
    ]
