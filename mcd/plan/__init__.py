"""What a configuration asks for: its runs, the settings of each stage, and what is shown. Knows no paths."""

from mcd.plan.comparison import Comparison, paper_datasets
from mcd.plan.costs import costs
from mcd.plan.diagnosis import diagnosed
from mcd.plan.figures import compared_runs, compared_title, shown_runs, shown_title
from mcd.plan.fusion import FUSED_WAYS, fused_from, fused_runs, fusion_comparison
from mcd.plan.groupings import groupings
from mcd.plan.patients import (
    check_labels,
    check_unlabelled,
    check_validation,
    noted,
    origin,
    parts,
    patients,
    traits,
    unknown_regions,
)
from mcd.plan.report import check_reported, claimable, claimed, claims_absent, reportable, reported
from mcd.plan.runs import (
    SINGLE,
    Run,
    columns,
    configured_runs,
    folds,
    is_first,
    left_out,
    methods,
    pretrained_on,
    pretraining_of,
    ratios,
    rows,
    runs,
    trained_in,
    trainings,
)
from mcd.plan.settings import cohort_facts, finetuning_task, pretraining_task
from mcd.plan.tables import SCORE_TABLES, TABLE_V, ScoreTable, comparisons
from mcd.plan.translations import FIG_3, IMAGES, TABLE_IV, shown_translations, translation_spec, translations
from mcd.plan.validation import VALIDATION, validation_comparison
from mcd.seeding import draw_number, draw_text, fold_number, fold_text, percent

__all__ = [
    "FIG_3",
    "FUSED_WAYS",
    "IMAGES",
    "SCORE_TABLES",
    "SINGLE",
    "TABLE_IV",
    "TABLE_V",
    "VALIDATION",
    "Comparison",
    "Run",
    "ScoreTable",
    "check_labels",
    "check_reported",
    "check_unlabelled",
    "check_validation",
    "claimable",
    "claimed",
    "claims_absent",
    "cohort_facts",
    "columns",
    "compared_runs",
    "compared_title",
    "comparisons",
    "configured_runs",
    "costs",
    "diagnosed",
    "draw_number",
    "draw_text",
    "finetuning_task",
    "fold_number",
    "fold_text",
    "folds",
    "fused_from",
    "fused_runs",
    "fusion_comparison",
    "groupings",
    "is_first",
    "left_out",
    "methods",
    "noted",
    "origin",
    "paper_datasets",
    "parts",
    "patients",
    "percent",
    "pretrained_on",
    "pretraining_of",
    "pretraining_task",
    "ratios",
    "reportable",
    "reported",
    "rows",
    "runs",
    "shown_runs",
    "shown_title",
    "shown_translations",
    "trained_in",
    "trainings",
    "traits",
    "translation_spec",
    "translations",
    "unknown_regions",
    "validation_comparison",
]
