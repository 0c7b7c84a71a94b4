"""What all rules share: the checked configuration, the patients, and the wildcards' spelling.

Wildcards
    cohort       a key of `cohorts` in the configuration
    subject      a patient's id
    file         a file of a simulated cohort as a whole, beside its patients
    shard        number of a shard of the cohort, from 0
    pair         two modalities joined by a hyphen, such as CT-PET; for a modality that is in none, `single` in the paths of
                 its runs, and its own name in the path of their pre-training; in the path of a pre-training on all modalities
                 of the cohort, all of them
    pretraining  a key of mcd.methods.PRETRAININGS
    method       a key of mcd.methods.METHODS
    modality     one of the cohort's; first and second are those of a pair
    percent      label ratio in per cent, such as 5 or 12.5
    seed         one of `seeds`
    fold         -fold1, -fold2, ... of a cohort with folds; nothing of one with one split
    draw         of the labelled patients: nothing for a seed's first, then -draw1, -draw2, ...
    trait        centre or scanner, which a cohort's sheet names
    split        a cohort and a seed, such as brats/seed0, or one of its folds, brats/seed0-fold1, or a further draw of either,
                 brats/seed0-draw1, for the rules that draw them
"""

import os
import re
import sys
from dataclasses import asdict, astuple, replace
from itertools import product
from pathlib import Path

sys.path.insert(0, workflow.basedir)  # the package beside this workflow, installed or not

from mcd import plan
from mcd.cohorts.simulated import patient_files, simulator_of
from mcd.config import load_config, read_yaml
from mcd.errors import McdError
from mcd.evaluation.metrics import METRIC_VERSIONS
from mcd.files import ACCESS, read_json
from mcd.imaging.alike import empty_regions, unlike_others
from mcd.imaging.incomplete import clear_incomplete
from mcd.imaging.registration_summary import flagged, registrations
from mcd.leftovers import clear_states
from mcd.locks import hold
from mcd.loggers.base import LOGGER, check_installed
from mcd.methods import METHODS, PRETRAININGS
from mcd.paths import file_and_channel
from mcd.reporting.page.checks import Check, CheckedCohort, write_check_page_so_far
from mcd.section import nearest
from mcd.slices.splits import check_draw, check_folds, check_split, draw_labels, make_split
from mcd.status import RUNNING, made_since
from mcd.subject import MODALITY, ORIGIN, SUBJECT_ID
from mcd.training.cards import visible_cards


def or_explain(function, *arguments):
    """Call a function; end with one line where the user made a mistake."""
    try:
        return function(*arguments)
    except McdError as error:
        sys.exit(f"error: {error}")


if workflow.is_main_process:  # the processes of its jobs read this file, too
    for path in workflow.configfiles:  # Snakemake reads a key that appears twice as its last value, silently
        or_explain(read_yaml, path)
CONFIG = or_explain(load_config, config)
# for the scripts that this process starts, here or in a job
os.environ[ACCESS] = CONFIG.file_access
os.environ[LOGGER] = CONFIG.compute.logger or ""
own_packages = workflow.deployment_settings.deployment_method  # of jobs, which check for themselves
if workflow.is_main_process and not own_packages:
    or_explain(check_installed, CONFIG.compute.logger)
COHORTS = list(CONFIG.cohorts)
if workflow.is_main_process:
    for sentence in plan.left_out(CONFIG):
        print(f"note: {sentence}", file=sys.stderr)
REGISTERED = [name for name, cohort in CONFIG.cohorts.items() if cohort.registered]


SUBJECTS = {
    cohort: {subject.id: subject for subject in or_explain(plan.patients, CONFIG, cohort, fix(DATA, cohort=cohort))}
    for cohort in COHORTS
}


# Text of a label ratio in paths -> its number: read once, and never converted back.
RATIOS = {plan.percent(ratio): ratio for ratio in plan.ratios(CONFIG)}


if workflow.is_main_process:
    for sentence in clear_incomplete(Path(folder) for folder in subject_files(SUBJECT, COHORTS)):
        print(f"note: {sentence}", file=sys.stderr)


def alternatives(names):
    """A wildcard's constraint: exactly these names, and a pattern that matches nothing when there is none."""
    return "|".join(re.escape(name) for name in sorted(names)) or "(?!)"


wildcard_constraints:
    cohort=alternatives(COHORTS),
    subject=SUBJECT_ID.pattern,
    shard=r"\d+",
    pair=f"{MODALITY.pattern}(-{MODALITY.pattern})*",
    pretraining=alternatives(PRETRAININGS),
    method=alternatives(METHODS),
    modality=MODALITY.pattern,
    first=MODALITY.pattern,
    second=MODALITY.pattern,
    percent=alternatives(RATIOS),
    seed=r"\d+",
    fold=r"(-fold[1-9]\d*)?",
    draw=r"(-draw[1-9]\d*)?",


def shard_subjects(cohort, shard):
    """The patients of one shard: consecutive ones of the cohort, in order of id."""
    size = CONFIG.cohorts[cohort].subjects_per_shard
    return list(SUBJECTS[cohort])[int(shard) * size : (int(shard) + 1) * size]


def flagged_registrations():
    """One sentence per patient whose registration failed, among those preprocessed so far."""
    folders = subject_files(SUBJECT, REGISTERED)
    return flagged(registrations(folder for folder in folders if Path(folder, "info.json").exists()))


def warnings_of_patients():
    """What to say at the end: registrations that failed, patients unlike the others, as far as they are preprocessed, and
    label ratios that mean the same patients.
    """
    yield from (f"registration: {sentence}" for sentence in flagged_registrations())
    for cohort in COHORTS:
        paths = {
            subject: Path(fix(SUBJECT, cohort=cohort, subject=subject), "info.json") for subject in SUBJECTS[cohort]
        }
        infos = {subject: read_json(path) for subject, path in paths.items() if path.exists()}
        found = unlike_others(infos)
        if len(infos) == len(paths):
            found += empty_regions(infos, CONFIG.cohorts[cohort].regions)
        yield from (f"{cohort}: {unlike}" for unlike in found)
        split = SPLITS[cohort, *plan.trainings(CONFIG, cohort)[0]]
        for same in split.about_same_labels([*CONFIG.label_ratios, *CONFIG.full_ratios]):
            yield f"{cohort}: {same}; set label_ratios and full_ratios that differ"


PATIENTS = {cohort: list(SUBJECTS[cohort].values()) for cohort in COHORTS}
TRAITS = plan.traits(PATIENTS)
COMPARISONS = {
    name: plan.noted(comparison, CONFIG, PATIENTS)
    for name, comparison in {
        **plan.comparisons(CONFIG),
        **plan.fusion_comparison(CONFIG),
        **plan.validation_comparison(CONFIG, PATIENTS),
    }.items()
}
TRANSLATIONS = plan.translations(CONFIG, plan.TABLE_IV)
TRANSLATION_SPEC = plan.translation_spec(CONFIG)
DRAWN = plan.shown_translations(CONFIG, plan.TABLE_IV)
EMBEDDED = plan.shown_translations(CONFIG, plan.FIG_3)
CONFIGURED_RUNS = plan.configured_runs(CONFIG)


def pretraining_files():
    """The checkpoints of every pre-training that the configured methods need, each once."""
    return sorted({pretraining_file(*made) for run in CONFIGURED_RUNS if (made := plan.pretraining_of(CONFIG, run))})
