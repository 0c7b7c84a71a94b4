"""Table IX: which pre-trainings it covers, and its layout."""

from mcd.config import Config
from mcd.methods import METHODS, PRETRAININGS
from mcd.plan.comparison import about_cohorts, is_made
from mcd.plan.runs import Pretrained, pretraining_of, unpaired_columns
from mcd.plan.tables import comparisons
from mcd.reporting.tables.spec import TableSpec


def costs(config: Config) -> tuple[TableSpec, list[Pretrained]] | None:
    """Table IX, and the pre-trainings that it covers: (cohort, pair, pretraining, seed, fold). None if there are none.

    They are those of Table II and of everything else that `report` names, so ablations and baselines beyond the paper are
    included if they are trained anyway.
    """
    runs = {
        run
        for name, comparison in comparisons(config).items()
        if is_made(config, name)
        for run in comparison.runs
        if METHODS[run.method].pretraining and run.pair in config.cohorts[run.cohort].pairs
    }
    if not runs:
        return None
    made = {one for run in runs if (one := pretraining_of(config, run))}
    trained_pairs = {(run.cohort, run.pair) for run in runs}
    pairs = {
        name: [pair for pair in cohort.pairs if (name, pair) in trained_pairs]
        for name, cohort in config.cohorts.items()
    }
    columns = [(name, "+".join(trained)) for name, trained in pairs.items() if trained]
    names = {
        key: METHODS[key].label for key in PRETRAININGS if any(key == pretraining for _, _, pretraining, *_ in made)
    }
    about = about_cohorts(config, columns)
    alone = [f"{cohort} {modality}" for cohort, modality in unpaired_columns(config)]
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
        groups={
            **{names[key]: METHODS[key].group for key in names if METHODS[key].group.startswith("Ablations")},
            **{names[key]: "One training on all modalities of a cohort" for key in names if PRETRAININGS[key].together},
        },
        notes=[
            f"All methods at the same size: f = {config.filters}, {length}, batches of {batches}.",
            "Time of the epochs alone, over all attempts of an interrupted training: without the start of the job and "
            "without what an interruption lost. Other jobs on the same machine make it longer. Memory of the process includes "
            "its libraries; two slices count as a pair even if a method sees them separately.",
            *([f"Without the pre-trainings of modalities in no pair: {', '.join(alone)}."] if alone else []),
            *(
                f"{about['cohort_labels'][name]}: of one fold; a run takes {count} times as long."
                for name, _ in columns
                if (count := config.cohorts[name].folds)
            ),
        ],
        **about,
    )
    return spec, sorted(
        made, key=lambda key: (list(config.cohorts).index(key[0]), list(PRETRAININGS).index(key[2]), key)
    )
