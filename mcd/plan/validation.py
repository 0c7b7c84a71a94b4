"""The scores of validation patients, by which settings may be chosen: every configured run's, in a table of their own."""

from collections.abc import Iterable, Mapping

from mcd.config import Config
from mcd.methods import METHODS
from mcd.plan.comparison import Comparison, about_cohorts
from mcd.plan.patients import validated
from mcd.plan.runs import columns, configured_runs
from mcd.plan.settings import pretrained_layers
from mcd.reporting.tables.spec import TableSpec
from mcd.subject import Subject

VALIDATION = "validation"


def validation_comparison(config: Config, patients: Mapping[str, Iterable[Subject]]) -> dict[str, Comparison]:
    """`validation`: the runs of `methods`, scored on those who neither train nor test; empty if no cohort has any.

    It stands on no page and beside no printed number, and no claim is tested on it.
    """
    cohorts = validated(config, patients)
    runs = [run for run in configured_runs(config) if run.cohort in cohorts]
    if not runs:
        return {}
    shown = [column for column in columns(config) if column[0] in cohorts]
    names = {method: METHODS[method].label for method in dict.fromkeys(run.method for run in runs)}
    spec = TableSpec(
        name=VALIDATION,
        title="Validation patients: for choosing settings",
        rows=list(dict.fromkeys((run.ratio, names[run.method]) for run in runs)),
        columns=shown,
        metrics=["DSC", "Sen"],
        methods=names,
        reference=names.get("multi_condos"),
        groups={label: METHODS[method].group for method, label in names.items()},
        pretrained={label: pretrained_layers(method) for method, label in names.items()},
        notes=["These patients neither train nor test. What is chosen by them is to be reported on the test patients."],
        number="Mean over the validation patients of a patient\u2019s mean over its regions.",
        **{**about_cohorts(config, shown), "paper_cohorts": {}},
    )
    return {VALIDATION: Comparison(spec, runs)}
