"""What a configuration asks for: which runs a table needs, and how the table is laid out. Knows no path."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import product
from typing import Any

from mcd.config import Config
from mcd.methods import METHODS, PRETRAININGS
from mcd.pair import Pair
from mcd.pretraining import options_class
from mcd.pretraining.options import PretrainingTask
from mcd.reporting.tables.spec import TableSpec
from mcd.segmentation.options import FinetuningTask

SINGLE = "single"
"""In the place of a pair, for a cohort without pairs."""


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
    """A label ratio as paths, tables and pages show it, in per cent: 0.05 -> "5". Exact: another ratio has another text."""
    return format((Decimal(repr(ratio)) * 100).normalize(), "f")


def ratios(config: Config) -> list[float]:
    """Every label ratio that the configuration names, each once."""
    return list(
        dict.fromkeys(
            [*config.label_ratios, *config.full_ratios, *config.curve_ratios, *config.sharing_ratios],
        )
    )


def pair_of(config: Config, cohort: str, modality: str) -> str:
    """The pair in which a modality is trained: the first that holds it, to methods without pre-training as good as any."""
    return next((pair for pair in config.cohorts[cohort].pairs if modality in pair.split("-")), SINGLE)


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
    full = [(ratio, "fully_supervised") for ratio in config.full_ratios if "fully_supervised" in config.methods]
    return list(dict.fromkeys(small + full))


def runs(config: Config, table_rows: Iterable[tuple[float, str]]) -> list[Run]:
    """Every run that rows need, in every column and for every seed."""
    return [
        Run(cohort, pair_of(config, cohort, modality), method, modality, ratio, seed)
        for ratio, method in table_rows
        for cohort, modality in columns(config)
        for seed in config.seeds
    ]


def pretraining_task(config: Config, cohort: str, pair: str, pretraining: str, seed: int) -> PretrainingTask:
    """Everything in the configuration that changes what a pre-training learns.

    Raises:
        McdError: where the configured options leave nothing of an ablation.
    """
    algorithm, options = PRETRAININGS[pretraining].algorithm, config.pretraining_options(pretraining)
    return PretrainingTask(
        algorithm=algorithm,
        options=options_class(algorithm).read(options, f"algorithms.{algorithm}, for {pretraining}").model_dump(),
        modalities=Pair(pair).modalities,
        filters=config.filters,
        epochs=config.pretraining.epochs,
        steps_per_epoch=config.pretraining.steps_per_epoch,
        batch_size=config.cohorts[cohort].batch_size.pretraining,
        sees=config.pretraining.sees,
        seed=seed,
    )


def finetuning_task(config: Config, cohort: str, method: str, modality: str, ratio: float, seed: int) -> FinetuningTask:
    """Everything in the configuration that changes what a fine-tuning learns."""
    spec = METHODS[method]
    return FinetuningTask(
        algorithm=spec.segmentation,
        options=config.algorithms.given(spec.segmentation),
        modality=modality,
        regions=config.cohorts[cohort].regions,
        label_ratio=ratio,
        filters=config.filters,
        depth=spec.transfer,
        schedule=config.finetuning.schedule(ratio, config.cohorts[cohort].batch_size.at(ratio)),
        augmentation=config.finetuning.augmentation,
        seed=seed,
    )


def cohort_facts(config: Config, cohort: str) -> dict[str, Any]:
    """What a network's description says of the cohort that it was trained on."""
    settings = config.cohorts[cohort]
    return {"cohort_title": settings.title or cohort, "simulated": settings.simulate is not None}


def shown_runs(config: Config) -> list[Run]:
    """One run a column for the picture: the last method of the table at its largest small ratio, first seed."""
    chosen = [(max(config.label_ratios), config.methods[-1])]
    return [run for run in runs(config, chosen) if run.seed == config.seeds[0]]


def shown_title(config: Config) -> str:
    """What the picture of `shown_runs` shows."""
    simulated = [cohort.title or name for name, cohort in config.cohorts.items() if cohort.simulate]
    words = f"{METHODS[config.methods[-1]].label}, {percent(max(config.label_ratios))} % of the labels: test patients"
    return words + (f"\n{' and '.join(simulated)}: simulated" if simulated else "")


def compared_runs(config: Config) -> list[Run]:
    """Fig. 2: every method of Table II at its largest small ratio, in every column, first seed."""
    chosen = [(max(config.label_ratios), method) for method in config.methods]
    return [run for run in runs(config, chosen) if run.seed == config.seeds[0]]


def compared_title(config: Config) -> str:
    """What the picture of `compared_runs` shows."""
    simulated = [cohort.title or name for name, cohort in config.cohorts.items() if cohort.simulate]
    words = f"Test patients, {percent(max(config.label_ratios))} % of the labels"
    return words + (f"; {' and '.join(simulated)}: simulated" if simulated else "")


def pretrained_layers(method: str) -> str:
    """Which layers of a method's U-Net do not start from random weights, in words."""
    pretraining = METHODS[method].pretraining
    return PRETRAININGS[pretraining].hands_back if pretraining else "none"


def costs(config: Config) -> tuple[TableSpec, list[tuple[str, str, str, int]]] | None:
    """Table IX, and the pre-trainings that it measures: (cohort, pair, pretraining, seed). None where there are none.

    They are those of Table II, and of what `report` names besides: the ablations too where they are trained anyway.
    """
    made = {
        (run.cohort, run.pair, pretraining, run.seed)
        for name, comparison in comparisons(config).items()
        if name == "table2" or config.report == "all" or name in config.report
        for run in comparison.runs
        if (pretraining := METHODS[run.method].pretraining) and run.pair in config.cohorts[run.cohort].pairs
    }
    if not made:
        return None
    pairs = {
        name: [pair for pair in cohort.pairs if any((name, pair) == key[:2] for key in made)]
        for name, cohort in config.cohorts.items()
    }
    columns = [(name, "+".join(trained)) for name, trained in pairs.items() if trained]
    names = {
        key: METHODS[key].label for key in PRETRAININGS if any(key == pretraining for _, _, pretraining, _ in made)
    }
    about = _about_cohorts(config, columns)
    batches = ", ".join(
        f"{config.cohorts[name].batch_size.pretraining} ({about['cohort_labels'][name]})" for name, _ in columns
    )
    length = f"{config.pretraining.epochs} epochs" + (
        f" of {config.pretraining.steps_per_epoch} steps" if config.pretraining.steps_per_epoch else ""
    )
    spec = TableSpec(
        name="table9",
        title="Table IX: cost of pre-training",
        rows=[(None, label) for label in names.values()],
        columns=columns,
        metrics=[
            "pretraining_hours"
            if about["paper_cohorts"]
            else "pretraining_minutes",  # the paper's unit, beside its numbers
            "pretraining_memory",
            "pretraining_gpu_memory",
            "pairs_per_second",
        ],
        methods=names,
        paper_table="IX",
        reference=names.get("multi_condos"),
        groups={names[key]: METHODS[key].group for key in names if METHODS[key].group.startswith("Ablations")},
        notes=[
            f"All methods at the same size: f = {config.filters}, {length}, batches of {batches}.",
            "Time of the epochs alone, all tries of an interrupted training together: neither starting the job nor what an "
            "interruption lost is in it. Other jobs on the same machine make it longer. Memory of the process is that of its "
            "libraries, too; pairs are counted as pairs where a method sees their slices apart.",
        ],
        **about,
    )
    return spec, sorted(
        made, key=lambda key: (list(config.cohorts).index(key[0]), list(PRETRAININGS).index(key[2]), key)
    )


@dataclass(frozen=True)
class Comparison:
    """A table, or the numbers behind a figure: what it shows, and the runs that it is made of."""

    spec: TableSpec
    runs: Sequence[Run]


def comparisons(config: Config) -> dict[str, Comparison]:
    """Every table and every figure's numbers that come from segmentation scores, by the target's name.

    What a configuration cannot have is not there: the ablations need a pair, Fig. 8 a cohort of four modalities in pairs.
    """
    few, more = min(config.label_ratios), max(config.label_ratios)
    found = [
        _comparison(
            config, "table2", "Table II: segmentation with few labels", rows(config), ["DSC", "Sen"], paper_table="II"
        ),
        _comparison(
            config,
            "table6",
            "Table VI: boundary IoU and 95 % Hausdorff distance",
            product([more], config.methods),
            ["BIoU", "HD95"],
            paper_table="VI",
        ),
        _comparison(
            config,
            "table7",
            "Table VII: positive predictive value",
            product([more], config.methods),
            ["PPV"],
            paper_table="VII",
        ),
        _comparison(config, "fig5", "Fig. 5: label ratios", product(config.curve_ratios, config.methods), ["DSC"]),
    ]
    paired = [column for column in columns(config) if config.cohorts[column[0]].pairs]
    if paired:
        first = [column for column in paired if column[0] == paired[0][0]][:2]  # the paper's is Hecktor alone
        found += [
            _comparison(
                config,
                "table3",
                "Table III: ablations",
                product(config.label_ratios, TABLE_III),
                ["DSC", "Sen"],
                paper_table="III",
                only=paired,
            ),
            _comparison(
                config,
                "table5",
                "Table V: combinations of losses",
                product([few], TABLE_V),
                ["DSC", "Sen"],
                paper_table="V",
                labels=TABLE_V,
                only=paired,
            ),
            _comparison(
                config,
                "table8",
                "Table VIII: layers transferred",
                product([more], TABLE_VIII),
                ["DSC", "Sen"],
                paper_table="VIII",
                labels=TABLE_VIII,
                only=paired,
            ),
            _comparison(
                config,
                "fig6",
                "Fig. 6: sharing depth",
                product(config.sharing_ratios, FIG_6),
                ["DSC"],
                labels=FIG_6,
                only=first,
            ),
            _comparison(
                config,
                "fig7",
                "Fig. 7: losses on the paired features",
                product(config.label_ratios, FIG_7),
                ["DSC"],
                labels=FIG_7,
                only=paired,
            ),
        ]
    if pairings := groupings(config):
        found.append(_grouping_comparison(config, pairings, more))
    return {comparison.spec.name: comparison for comparison in found}


FUSED_METHODS = ("fully_supervised", "multi_condos")
"""Of which the modalities of a pair are fused: the reference and the paper's own."""

FUSED_WAYS = {
    "first": "first modality alone",
    "second": "second modality alone",
    "mean": "both, mean probability",
    "staple": "both, STAPLE",
}
"""As `mcd.prediction.score.score_fused` names them, and in words."""


def fusion_comparison(config: Config) -> dict[str, Comparison]:
    """`table_fusion`: one modality against two, a column a pair; nothing where there is no pair.

    A run that fuses has its pair in the modality's place, and is made of the two of `fused_from`.
    """
    pairs = [(name, pair) for name, cohort in config.cohorts.items() for pair in cohort.pairs]
    methods = [method for method in FUSED_METHODS if method in config.methods]
    if not pairs or not methods:
        return {}
    rows = list(product(config.label_ratios, methods))
    names = {
        f"{method}/{way}": f"{METHODS[method].label}, {words}"
        for method in methods
        for way, words in FUSED_WAYS.items()
    }
    spec = TableSpec(
        name="table_fusion",
        title="Fusion: one modality against both of a pair",
        rows=[(ratio, names[f"{method}/{way}"]) for ratio, method in rows for way in FUSED_WAYS],
        columns=pairs,
        metrics=["DSC", "Sen", "PPV", "HD95"],
        methods=names,
        reference=names[f"{methods[-1]}/mean"],
        pretrained={names[f"{method}/{way}"]: pretrained_layers(method) for method in methods for way in FUSED_WAYS},
        notes=[
            "A column is a pair; its first and second modality are named in this order. Fused are the two networks' outputs: "
            "the mean of their probabilities, or STAPLE over their masks (Warfield et al. 2004)."
        ],
        modality_labels={pair: " + ".join(pair.split("-")) for _, pair in pairs},
        **_about_cohorts(config, pairs),
    )
    made = [
        Run(cohort, pair, method, pair, ratio, seed)
        for ratio, method in rows
        for cohort, pair in pairs
        for seed in config.seeds
    ]
    return {spec.name: Comparison(spec, made)}


def fused_from(config: Config, run: Run) -> list[Run]:
    """The runs of the two modalities that a run of `fusion_comparison` puts together: those of Table II."""
    return [
        replace(run, pair=pair_of(config, run.cohort, modality), modality=modality) for modality in run.pair.split("-")
    ]


def fused_runs(config: Config) -> set[Run]:
    """The runs whose predictions some run of `fusion_comparison` puts together."""
    return {
        part
        for comparison in fusion_comparison(config).values()
        for run in comparison.runs
        for part in fused_from(config, run)
    }


# Method keys in the order of the print, with the names that a table gives them where it has names of its own.
TABLE_III = [
    "fully_supervised",
    "con_only",
    "p_gan",
    "cycle_gan",
    "cycle_p_gan",
    "multi_dos",
    "multi_con",
    "multi_condos",
]
TABLE_V = {
    "fully_supervised": "Training from scratch",
    "loss_c": "L_C",
    "loss_t": "L_T",
    "loss_gan": "L_GAN",
    "loss_t_r": "L_T+L_R",
    "loss_t_c": "L_T+L_C",
    "loss_gan_r": "L_GAN+L_R",
    "loss_gan_c": "L_GAN+L_C",
    "loss_gan_t": "L_GAN+L_T",
    "loss_t_r_c": "L_T+L_R+L_C",
    "loss_gan_r_c": "L_GAN+L_R+L_C",
    "multi_dos": "L_GAN+L_T+L_R",
    "loss_gan_t_c": "L_GAN+L_T+L_C",
    "multi_condos": "L_GAN+L_T+L_R+L_C",
}
TABLE_VIII = {
    "fully_supervised": "Training from scratch",
    "transfer_sl": "Encoder_SL",
    "transfer_d1": "Encoder_SL_D1",
    "transfer_d2": "Encoder_SL_D2",
    "multi_condos": "Encoder_SL_D3",
}
TABLE_IV = ["p_gan", "cycle_gan", "cycle_p_gan", "multi_dos", "multi_con", "multi_condos"]
FIG_3 = ["multi_dos", "multi_condos"]
# The paper calls two separate generators "CycleGAN" here. Beside that one stands Multi-Con, which differs from SL1 in nothing
# but the sharing.
FIG_6 = {
    "fully_supervised": "Fully Supervised",
    "cycle_gan": "Cycle-GAN",
    "multi_con": "Nothing shared",
    "multi_condos": "SL1",
    "sl2": "SL2",
    "sl3": "SL3",
}
FIG_7 = {"feature_mse": "MSE", "feature_l1": "L1", "multi_condos": "Contrastive"}


def _comparison(
    config: Config,
    name: str,
    title: str,
    table_rows: Iterable[tuple[float, str]],
    metrics: Sequence[str],
    *,
    paper_table: str | None = None,
    labels: Mapping[str, str] | None = None,
    only: Sequence[tuple[str, str]] | None = None,
) -> Comparison:
    """Rows of (label ratio, method key) over the columns `only`, or all; `labels` where the table has names of its own."""
    keys = list(table_rows)
    shown = list(columns(config) if only is None else only)
    names = {key: (labels or {}).get(key, METHODS[key].label) for _, key in keys}
    spec = TableSpec(
        name=name,
        title=title,
        rows=[(ratio, names[key]) for ratio, key in keys],
        columns=shown,
        metrics=metrics,
        methods=names,
        paper_table=paper_table,
        reference=names.get("multi_condos"),
        groups={} if labels else {names[key]: METHODS[key].group for key in names},
        pretrained={names[key]: pretrained_layers(key) for key in names},
        **_about_cohorts(config, shown),
    )
    return Comparison(spec, [run for run in runs(config, keys) if (run.cohort, run.modality) in shown])


def _about_cohorts(config: Config, shown: Iterable[tuple[str, str]]) -> dict[str, Any]:
    cohorts = {name: config.cohorts[name] for name in dict(shown)}
    return {
        "simulated": [name for name, cohort in cohorts.items() if cohort.simulate],
        "paper_cohorts": {name: cohort.paper_dataset for name, cohort in cohorts.items() if cohort.paper_dataset},
        "cohort_labels": {name: cohort.title or name for name, cohort in cohorts.items()},
    }


def paper_datasets(config: Config) -> dict[str, str]:
    """Cohort -> the paper's data set that it is, or whose layout it has, simulated or not; others are not there."""
    layouts = {"hecktor2020": "hecktor", "brats2018": "brats2018"}
    found = {name: cohort.paper_dataset or layouts.get(cohort.layout) for name, cohort in config.cohorts.items()}
    return {name: dataset for name, dataset in found.items() if dataset}


@dataclass(frozen=True)
class Translation:
    """One pre-training whose generators are tried on the test patients. `pretraining` is also the method's key."""

    cohort: str
    pair: str
    pretraining: str
    seed: int


def translations(config: Config, methods: Iterable[str]) -> list[Translation]:
    """Every translation of some methods that translate: all pairs, all seeds."""
    return [
        Translation(name, pair, METHODS[method].pretraining or "", seed)
        for method in methods
        for name, cohort in config.cohorts.items()
        for pair in cohort.pairs
        for seed in config.seeds
    ]


IMAGES = {"X_trans": "{0}′ from {1}", "Y_trans": "{1}′ from {0}", "X_rec": "{0}″ from {1}′", "Y_rec": "{1}″ from {0}′"}
"""The columns of Table IV, with their headings for a pair (X, Y)."""


def translation_spec(config: Config) -> TableSpec | None:
    """Table IV, its FID as long as nobody knows the network; None where no cohort has a pair."""
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
            column: IMAGES[column.partition(":")[2]].format(*column.partition(":")[0].split("-")) for _, column in shown
        },
        number="SSIM: mean over the test patients of a patient’s mean over its slices. FID: of all test slices together.",
        **_about_cohorts(config, shown),
    )


def shown_translations(config: Config, methods: Iterable[str]) -> list[Translation]:
    """Those of the first seed, for Figs. 3 and 4."""
    return [made for made in translations(config, methods) if made.seed == config.seeds[0]]


def groupings(config: Config) -> dict[str, dict[str, tuple[str, str]]]:
    """Fig. 8: for each cohort of four modalities in pairs, the three ways to pair them: label -> two pairs.

    A is the configured way, the others follow in the order of the modalities: for T1CE, T2, FLAIR, T1 that is the order of the
    paper's text (Sec. V-C; its caption swaps B and C). A configured pair keeps its spelling, so that nothing is trained twice.
    """
    found = {}
    for name, cohort in config.cohorts.items():
        modalities = list(dict.fromkeys(modality for pair in cohort.pairs for modality in pair.split("-")))
        if len(modalities) != 4 or len(cohort.pairs) != 2:
            continue
        first, *others = modalities
        spelling = {frozenset(pair.split("-")): pair for pair in cohort.pairs}
        ways = {}
        for letter, partner in zip("ABC", others, strict=True):
            rest = [modality for modality in others if modality != partner]
            pairs = ((first, partner), (rest[0], rest[1]))
            one, two = (spelling.get(frozenset(pair), "-".join(pair)) for pair in pairs)
            ways[f"{letter}: {one}, {two}"] = (one, two)
        found[name] = ways
    return found


def _grouping_comparison(
    config: Config, pairings: Mapping[str, Mapping[str, tuple[str, str]]], ratio: float
) -> Comparison:
    shown = [column for column in columns(config) if column[0] in pairings]
    labels = list(dict.fromkeys(label for ways in pairings.values() for label in ways))
    spec = TableSpec(
        name="fig8",
        title="Fig. 8: grouping of modalities, Multi-ConDoS",
        rows=[(ratio, label) for label in labels],
        columns=shown,
        metrics=["DSC", "Sen"],
        methods={"multi_condos": METHODS["multi_condos"].label},
        row_of_pair={pair: label for ways in pairings.values() for label, pairs in ways.items() for pair in pairs},
        reference=labels[0],
        **_about_cohorts(config, shown),
    )
    made = [
        Run(cohort, pair, "multi_condos", modality, ratio, seed)
        for cohort, ways in pairings.items()
        for pairs in ways.values()
        for pair in pairs
        for modality in pair.split("-")
        for seed in config.seeds
    ]
    return Comparison(spec, made)
