"""Fig. 8: the ways to pair four modalities."""

from collections.abc import Mapping

from mcd.config import Config
from mcd.methods import METHODS
from mcd.pair import Pair
from mcd.plan.comparison import Comparison, about_cohorts
from mcd.plan.runs import Run, columns, trainings
from mcd.reporting.tables.spec import TableSpec


def groupings(config: Config) -> dict[str, dict[str, tuple[Pair, Pair]]]:
    """Fig. 8: for each cohort of four modalities in pairs, the three ways to pair them: label -> two pairs.

    A is the configured pairing, the others follow in the order of the modalities: for T1CE, T2, FLAIR, T1 that is the order of
    the paper's text (Sec. V-C; its caption swaps B and C). A configured pair keeps its name, so that nothing is trained twice.
    """
    found = {}
    for name, cohort in config.cohorts.items():
        modalities = list(dict.fromkeys(modality for pair in cohort.pairs for modality in pair.modalities))
        if len(modalities) != 4 or len(cohort.pairs) != 2:
            continue
        first, *others = modalities
        spelling = {frozenset(pair.modalities): pair for pair in cohort.pairs}
        ways = {}
        for letter, partner in zip("ABC", others, strict=True):
            rest = [modality for modality in others if modality != partner]
            pairs = ((first, partner), (rest[0], rest[1]))
            one, two = (spelling.get(frozenset(pair), Pair.of(*pair)) for pair in pairs)
            ways[f"{letter}: {one}, {two}"] = (one, two)
        found[name] = ways
    return found


def grouping_comparison(
    config: Config, pairings: Mapping[str, Mapping[str, tuple[Pair, Pair]]], ratio: float
) -> Comparison:
    """The numbers behind Fig. 8 at a label ratio."""
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
        **about_cohorts(config, shown),
    )
    made = [
        Run(cohort, pair, "multi_condos", modality, ratio, *training)
        for cohort, ways in pairings.items()
        for pairs in ways.values()
        for pair in pairs
        for modality in pair.modalities
        for training in trainings(config, cohort)
    ]
    return Comparison(spec, made)
