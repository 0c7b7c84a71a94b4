"""Which pre-trained generators translate the test patients' slices, and Table IV."""

from collections.abc import Iterable
from dataclasses import dataclass

from mcd.config import Config
from mcd.methods import METHODS
from mcd.pair import Pair
from mcd.plan.comparison import about_cohorts, cross_validated
from mcd.plan.runs import folds
from mcd.reporting.tables.spec import TableSpec

TABLE_IV = ["p_gan", "cycle_gan", "cycle_p_gan", "multi_dos", "multi_con", "multi_condos"]
FIG_3 = ["multi_dos", "multi_condos"]


@dataclass(frozen=True)
class TranslationRun:
    """One pre-training whose generators translate the test patients' slices. `pretraining` is also the method's key."""

    cohort: str
    pair: str
    pretraining: str
    seed: int
    fold: int = 0


def translations(config: Config, methods: Iterable[str]) -> list[TranslationRun]:
    """Every translation by the methods given: all pairs, all seeds and folds."""
    return [
        TranslationRun(name, pair, METHODS[method].pretraining or "", seed, fold)
        for method in methods
        for name, cohort in config.cohorts.items()
        for pair in cohort.pairs
        for seed in config.seeds
        for fold in folds(config, name)
    ]


def shown_translations(config: Config, methods: Iterable[str]) -> list[TranslationRun]:
    """Those of the first seed and fold, for Figs. 3 and 4."""
    return [made for made in translations(config, methods) if made.seed == config.seeds[0] and made.fold in (0, 1)]


IMAGES = {"X_trans": "{0}′ from {1}", "Y_trans": "{1}′ from {0}", "X_rec": "{0}″ from {1}′", "Y_rec": "{1}″ from {0}′"}
"""The columns of Table IV, with their headings for a pair (X, Y)."""


def translation_spec(config: Config) -> TableSpec | None:
    """Table IV, labelled FID until the extractor is known; None if no cohort has a pair."""
    shown = [
        (name, f"{pair}:{image}")
        for name, cohort in config.cohorts.items()
        for pair in cohort.pairs
        for image in IMAGES
    ]
    if not shown:
        return None
    names = {key: METHODS[key].label for key in TABLE_IV}
    return TableSpec(
        name="table4",
        title="Table IV: translations and reconstructions against real slices",
        rows=[(None, name) for name in names.values()],
        columns=shown,
        metrics=["FID", "SSIM"],
        methods=names,
        paper_table="IV",
        reference=names["multi_condos"],
        modality_labels={
            column: IMAGES[column.partition(":")[2]].format(*Pair(column.partition(":")[0]).modalities)
            for _, column in shown
        },
        number="SSIM: mean over the test patients of a patient’s mean over its slices. FID: of all test slices together"
        + (
            "; with folds, of those of a fold, and then the mean over folds." if cross_validated(config, shown) else "."
        ),
        notes=cross_validated(config, shown),
        **about_cohorts(config, shown),
    )
