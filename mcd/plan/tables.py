"""The tables of segmentation scores, as data: a new one takes one entry of `SCORE_TABLES` and nothing else.

The rules, the page, Snakemake's report and the claims iterate over this list.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from mcd.config import Config
from mcd.methods import METHODS, needs_three
from mcd.plan.comparison import Comparison, about_cohorts
from mcd.plan.groupings import grouping_comparison, groupings
from mcd.plan.runs import (
    beyond_rows,
    columns,
    methods_of_table_2,
    paired_columns,
    rows,
    runs,
    without_pair,
    without_third,
)
from mcd.plan.settings import pretrained_layers
from mcd.reporting.tables.spec import TableSpec

Rows = Iterable[tuple[float, str]]
"""(label ratio, method) of each row."""


@dataclass(frozen=True)
class ScoreTable:
    """The declaration of a table, or of the numbers behind a figure.

    Attributes:
        name: of the target `results/<name>.csv`; for a figure's numbers it begins with `fig`.
        rows: which label ratios and methods it has; a configuration without any has no such table.
        paper_table: number of the printed table whose numbers are shown beside ours on the paper's cohorts.
        labels: method -> label of its row, if the table has names of its own.
        columns: which (cohort, modality) it has; a configuration without any has no such table.
        picture: whether a rule of `rules/figures.smk` draws `results/<name>.png` from it.
    """

    name: str
    title: str
    metrics: Sequence[str]
    rows: Callable[[Config], Rows]
    paper_table: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    columns: Callable[[Config], Sequence[tuple[str, str]]] = columns
    picture: bool = False


# Method keys in the printed order.
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
# The paper calls two separate generators "CycleGAN" here. We also show Multi-Con, which differs from SL1 only in the sharing.
FIG_6 = {
    "fully_supervised": "Fully Supervised",
    "cycle_gan": "Cycle-GAN",
    "multi_con": "Nothing shared",
    "multi_condos": "SL1",
    "sl2": "SL2",
    "sl3": "SL3",
}
FIG_7 = {"feature_mse": "MSE", "feature_l1": "L1", "multi_condos": "Contrastive"}


def _few(config: Config) -> float:
    return min(config.label_ratios)


def _more(config: Config) -> float:
    return max(config.label_ratios)


def _first_pair(config: Config) -> list[tuple[str, str]]:
    """The first pair's two columns, of the first cohort that has a pair; the paper shows HECKTOR only."""
    paired = paired_columns(config)
    return [column for column in paired if column[0] == paired[0][0]][:2]


SCORE_TABLES: list[ScoreTable] = [
    ScoreTable("table2", "Table II: segmentation with few labels", ["DSC", "Sen"], rows, paper_table="II"),
    ScoreTable(
        "table3",
        "Table III: ablations",
        ["DSC", "Sen"],
        lambda config: product(config.label_ratios, TABLE_III),
        paper_table="III",
        columns=paired_columns,
    ),
    ScoreTable(
        "table5",
        "Table V: combinations of losses",
        ["DSC", "Sen"],
        lambda config: product([_few(config)], TABLE_V),
        paper_table="V",
        labels=TABLE_V,
        columns=paired_columns,
    ),
    ScoreTable(
        "table6",
        "Table VI: boundary IoU and 95 % Hausdorff distance",
        ["BIoU", "HD95"],
        lambda config: product([_more(config)], methods_of_table_2(config)),
        paper_table="VI",
    ),
    ScoreTable(
        "table7",
        "Table VII: positive predictive value",
        ["PPV"],
        lambda config: product([_more(config)], methods_of_table_2(config)),
        paper_table="VII",
    ),
    ScoreTable(
        "table8",
        "Table VIII: layers transferred",
        ["DSC", "Sen"],
        lambda config: product([_more(config)], TABLE_VIII),
        paper_table="VIII",
        labels=TABLE_VIII,
        columns=paired_columns,
    ),
    ScoreTable("table_beyond", "Beyond the paper: controls and other baselines", ["DSC", "Sen"], beyond_rows),
    ScoreTable(
        "fig5",
        "Fig. 5: label ratios",
        ["DSC"],
        lambda config: product(config.curve_ratios, methods_of_table_2(config)),
        picture=True,
    ),
    ScoreTable(
        "fig6",
        "Fig. 6: sharing depth",
        ["DSC"],
        lambda config: product(config.sharing_ratios, FIG_6),
        labels=FIG_6,
        columns=_first_pair,
        picture=True,
    ),
    ScoreTable(
        "fig7",
        "Fig. 7: losses on the paired features",
        ["DSC"],
        lambda config: product(config.label_ratios, FIG_7),
        labels=FIG_7,
        columns=paired_columns,
        picture=True,
    ),
]


def comparisons(config: Config) -> dict[str, Comparison]:
    """Every table and every figure's numbers that come from segmentation scores, by the target's name.

    Tables that the configuration cannot support are left out: the ablations need a pair, Fig. 8 four modalities in pairs, the
    table beyond the paper a baseline that is not in it.
    """
    found = {
        table.name: _comparison(config, table)
        for table in SCORE_TABLES
        if table.columns(config) and any(table.rows(config))
    }
    if pairings := groupings(config):
        found["fig8"] = grouping_comparison(config, pairings, _more(config))
    return found


def _comparison(config: Config, table: ScoreTable) -> Comparison:
    keys = list(table.rows(config))
    shown = list(table.columns(config))
    names = {key: table.labels.get(key, METHODS[key].label) for _, key in keys}
    sentences = without_pair(config) + (without_third(config) if any(map(needs_three, names)) else [])
    spec = TableSpec(
        name=table.name,
        title=table.title,
        rows=[(ratio, names[key]) for ratio, key in keys],
        columns=shown,
        metrics=table.metrics,
        methods=names,
        paper_table=table.paper_table,
        reference=names.get("multi_condos"),
        groups={} if table.labels else {names[key]: METHODS[key].group for key in names},
        pretrained={names[key]: pretrained_layers(key) for key in names},
        notes=[f"{sentence}." for sentence in sentences],
        **about_cohorts(config, shown),
    )
    return Comparison(spec, [run for run in runs(config, keys) if (run.cohort, run.modality) in shown])
