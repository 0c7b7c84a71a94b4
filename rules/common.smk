"""What all rules share: the checked configuration, the wildcards' spelling, and where each thing lies.

Wildcards
    cohort       a key of `cohorts` in the configuration
    subject      a patient's id
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
from mcd.cohorts.find import find_subjects, simulated_subjects
from mcd.config import load_config
from mcd.errors import McdError
from mcd.evaluation.metrics import METRIC_VERSIONS
from mcd.imaging.registration_summary import flagged, registrations
from mcd.methods import METHODS, PRETRAININGS
from mcd.reporting.claims.sentences import read_claims


def or_explain(function, *arguments):
    """Call a function; end with one line where the user made a mistake."""
    try:
        return function(*arguments)
    except McdError as error:
        sys.exit(f"error: {error}")


CONFIG = or_explain(load_config, config)
COHORTS = list(CONFIG.cohorts)
REGISTERED = [name for name, cohort in CONFIG.cohorts.items() if cohort.registered]


def raw_folder(cohort):
    """Where a cohort's raw files lie; simulated ones are written to data/<cohort>."""
    return f"data/{cohort}" if CONFIG.cohorts[cohort].simulate else CONFIG.cohorts[cohort].raw_folder


def raw_files_of(cohort):
    """What `find_subjects` takes, in words that a script can be given."""
    settings = CONFIG.cohorts[cohort]
    paths = {"folder": raw_folder(cohort), "sheet": settings.sheet_path}
    words = {name: str(path) if path else None for name, path in paths.items()}
    return {"layout": settings.layout, **words, "modalities": settings.modalities}


def list_subjects(cohort):
    settings = CONFIG.cohorts[cohort]
    if settings.simulate:
        return simulated_subjects(settings.layout, raw_folder(cohort), settings.modalities, settings.simulate.subjects)
    return find_subjects(**raw_files_of(cohort))


SUBJECTS = {cohort: {subject.id: subject for subject in or_explain(list_subjects, cohort)} for cohort in COHORTS}


def alternatives(names):
    """A wildcard's constraint: exactly these names, and a pattern that matches nothing when there is none."""
    return "|".join(re.escape(name) for name in sorted(names)) or "(?!)"


wildcard_constraints:
    cohort=alternatives(COHORTS),
    subject=r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    shard=r"\d+",
    pair=r"[A-Za-z0-9]+-[A-Za-z0-9]+|single",
    pretraining=alternatives(PRETRAININGS),
    method=alternatives(METHODS),
    modality=r"[A-Za-z0-9]+",
    first=r"[A-Za-z0-9]+",
    second=r"[A-Za-z0-9]+",
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
