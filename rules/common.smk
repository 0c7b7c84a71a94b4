"""What all rules share: the checked configuration, the wildcards' spelling, and where each thing lies.

Wildcards
    cohort       a key of `cohorts` in the configuration
    subject      a patient's id
    file         what a simulated cohort has once, beside its patients
    shard        number of a shard of the cohort, from 0
    pair         two modalities joined by a hyphen, such as CT-PET; `single` where a cohort has no pairs
    pretraining  a key of mcd.methods.PRETRAININGS
    method       a key of mcd.methods.METHODS
    modality     one of the cohort's; first and second are those of a pair
    percent      label ratio in per cent, such as 5 or 12.5
    seed         one of `seeds`
"""

import re
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, workflow.basedir)  # the package beside this workflow, installed or not

from mcd import plan
from mcd.cohorts.find import find_subjects
from mcd.cohorts.simulated import patient_files, simulated_subjects, simulator_of
from mcd.config import load_config
from mcd.errors import McdError
from mcd.evaluation.metrics import METRIC_VERSIONS
from mcd.imaging.registration_summary import flagged, registrations
from mcd.methods import METHODS, PRETRAININGS
from mcd.reporting.claims.sentences import read_claims
from mcd.subject import MODALITY, SUBJECT_ID


def or_explain(function, *arguments):
    """Call a function; end with one line where the user made a mistake."""
    try:
        return function(*arguments)
    except McdError as error:
        sys.exit(f"error: {error}")


CONFIG = or_explain(load_config, config)
COHORTS = list(CONFIG.cohorts)
REGISTERED = [name for name, cohort in CONFIG.cohorts.items() if cohort.registered]


def list_subjects(cohort):
    """A cohort's patients: those that are on disk, or those that will be simulated, into data/<cohort>."""
    settings = CONFIG.cohorts[cohort]
    layout, modalities, simulate = settings.layout, settings.modalities, settings.simulate
    if simulate:
        return simulated_subjects(layout, f"data/{cohort}", modalities, simulate.subjects, seed=simulate.seed)
    return find_subjects(layout, settings.raw_folder, settings.sheet_path, modalities)


SUBJECTS = {cohort: {subject.id: subject for subject in or_explain(list_subjects, cohort)} for cohort in COHORTS}


def alternatives(names):
    """A wildcard's constraint: exactly these names, and a pattern that matches nothing when there is none."""
    return "|".join(re.escape(name) for name in sorted(names)) or "(?!)"


wildcard_constraints:
    cohort=alternatives(COHORTS),
    subject=SUBJECT_ID.pattern,
    shard=r"\d+",
    pair=f"{MODALITY.pattern}-{MODALITY.pattern}|{plan.SINGLE}",
    pretraining=alternatives(PRETRAININGS),
    method=alternatives(METHODS),
    modality=MODALITY.pattern,
    first=MODALITY.pattern,
    second=MODALITY.pattern,
    percent=r"\d+(\.\d+)?",
    seed=r"\d+",


def shard_subjects(cohort, shard):
    """The patients of one shard: the cohort's in order of id, so many a shard."""
    size = CONFIG.cohorts[cohort].subjects_per_shard
    return list(SUBJECTS[cohort])[int(shard) * size : (int(shard) + 1) * size]


def shard_files(cohort):
    size = CONFIG.cohorts[cohort].subjects_per_shard
    return [f"work/{cohort}/shards/{number}.h5" for number in range(-(-len(SUBJECTS[cohort]) // size))]


def flagged_registrations():
    """Sentences on the patients whose registration failed, as far as they are preprocessed."""
    folders = [f"work/{cohort}/subjects/{subject}" for cohort in REGISTERED for subject in SUBJECTS[cohort]]
    return flagged(registrations(folder for folder in folders if Path(folder, "info.json").exists()))


def pretraining_file(cohort, pair, pretraining, seed):
    return f"work/{cohort}/{pair}/pretraining/{pretraining}/seed{seed}/checkpoint.pt"


def run_folder(run):
    return f"work/{run.cohort}/{run.pair}/{run.method}/{run.modality}/labels{plan.percent(run.ratio)}/seed{run.seed}"


def model_file(run):
    return f"{run_folder(run)}/model.pt"


def scores_file(run):
    return f"{run_folder(run)}/scores.csv"


def predictions_file(run):
    return f"{run_folder(run)}/predictions.h5"


def translation_file(made, name):
    return f"work/{made.cohort}/{made.pair}/translation/{made.pretraining}/seed{made.seed}/{name}"


COMPARISONS = {**plan.comparisons(CONFIG), **plan.fusion_comparison(CONFIG)}
TRANSLATIONS = plan.translations(CONFIG, plan.TABLE_IV)
TRANSLATION_SPEC = plan.translation_spec(CONFIG)
DRAWN = plan.shown_translations(CONFIG, plan.TABLE_IV)
EMBEDDED = plan.shown_translations(CONFIG, plan.FIG_3)
TABLE2_RUNS = COMPARISONS["table2"].runs


def pretraining_files():
    """The checkpoints of every pre-training that Table II needs, each once."""
    return sorted(
        {
            pretraining_file(run.cohort, run.pair, METHODS[run.method].pretraining, run.seed)
            for run in TABLE2_RUNS
            if METHODS[run.method].pretraining
        }
    )
