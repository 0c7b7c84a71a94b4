"""Which pairs of networks are fused, and the table that compares them with single ones (beyond the paper)."""

from dataclasses import replace
from itertools import product

from mcd.config import Config
from mcd.methods import METHODS
from mcd.pair import Pair
from mcd.plan.comparison import Comparison, about_cohorts
from mcd.plan.runs import Run, pair_of, trainings
from mcd.plan.settings import pretrained_layers
from mcd.reporting.tables.spec import TableSpec

FUSED_METHODS = ("fully_supervised", "multi_condos")
"""The methods whose networks are fused: the reference and the paper's own."""


FUSED_WAYS = {
    "first": "first modality alone",
    "second": "second modality alone",
    "mean": "both, mean probability",
    "staple": "both, STAPLE",
}
"""As `mcd.prediction.score.score_fused` names them, and in words."""


def fusion_comparison(config: Config) -> dict[str, Comparison]:
    """`table_fusion`: one modality against two, one column per pair; empty if there is no pair.

    A fusing run has its pair as modality, and combines the two runs of `fused_from`.
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
            "A column is a pair; its first and second modality are named in this order. The two networks' outputs are fused "
            "by the mean of their probabilities, or by STAPLE over their masks (Warfield et al. 2004)."
        ],
        modality_labels={pair: " + ".join(pair.modalities) for _, pair in pairs},
        **about_cohorts(config, pairs),
    )
    made = [
        Run(cohort, pair, method, pair, ratio, *training)
        for ratio, method in rows
        for cohort, pair in pairs
        for training in trainings(config, cohort)
    ]
    return {spec.name: Comparison(spec, made)}


def fused_from(config: Config, run: Run) -> list[Run]:
    """The runs of the two modalities that a run of `fusion_comparison` combines: those of Table II."""
    return [
        replace(run, pair=pair_of(config, run.cohort, modality), modality=modality)
        for modality in Pair(run.pair).modalities
    ]


def fused_runs(config: Config) -> set[Run]:
    """The runs whose predictions some run of `fusion_comparison` combines."""
    return {
        part
        for comparison in fusion_comparison(config).values()
        for run in comparison.runs
        for part in fused_from(config, run)
    }
