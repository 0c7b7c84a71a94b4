"""Training and test patients. A split is drawn once: the rule covers only those that are missing, so that a file which
somebody has edited, or on which results depend, is never regenerated silently: `mcd split` decides what becomes of one.
"""

import shlex

CONFIG_FILE = next(iter(workflow.configfiles), "CONFIGURATION")

# Cohort, seed, draw and fold of each split that is not there yet, by the one wildcard that stands for them: their product
# would cover splits that are there, too.
MISSING_SPLITS = {}
FIRST_DRAWS = {}  # by the same, the file whose patients a further draw has
SPLITS = {}  # as they are or will be drawn, so that what they leave no patients for is refused before anything runs
SPLIT_FILES = []

if workflow.is_main_process:
    CHOSEN = f"--config {shlex.quote(str(CONFIG_FILE))}"
    ORIGINS = {cohort: or_explain(plan.origin, CONFIG, cohort, SUBJECTS[cohort].values()) for cohort in COHORTS}

for cohort, (seed, draw, fold) in ((name, own) for name in COHORTS for own in plan.trainings(CONFIG, name)):
    key = cohort, seed, draw, fold
    path = split_file(*key)
    SPLIT_FILES.append(path)
    is_there = Path(path).exists()
    if not is_there:
        name = split_name(*key)
        MISSING_SPLITS[name], FIRST_DRAWS[name] = key, split_file(cohort, seed, 0, fold)
    if workflow.is_main_process:
        base = SPLITS.get((cohort, seed, 0, fold))  # of a further draw; of the first, itself
        if is_there:
            remedy = f"mcd split keep, extend or redraw {path} {CHOSEN}"
            SPLITS[key] = or_explain(check_split, path, ORIGINS[cohort], remedy)
        elif draw:
            SPLITS[key] = draw_labels(base, cohort, seed, draw, fold)
        else:
            SPLITS[key] = or_explain(make_split, ORIGINS[cohort], seed, fold)
        if draw:
            or_explain(check_draw, path, SPLITS[key], base, f"mcd split redraw {path} {CHOSEN}")

MISSING_OF_SEEDS = alternatives(name for name, (_, _, draw, _) in MISSING_SPLITS.items() if not draw)
MISSING_DRAWS = alternatives(name for name, (_, _, draw, _) in MISSING_SPLITS.items() if draw)

if workflow.is_main_process:
    for cohort, seed in product((name for name in COHORTS if CONFIG.cohorts[name].folds), CONFIG.seeds):
        paths = {split_file(cohort, seed, 0, fold): fold for fold in plan.folds(CONFIG, cohort)}
        of_seed = {path: SPLITS[cohort, seed, 0, fold] for path, fold in paths.items()}
        or_explain(check_folds, of_seed, f"mcd split redraw {' '.join(paths)} {CHOSEN}")


rule make_split:
    """Draw the test patients, and the order in which training patients are given labels."""
    input:
        index=lambda wildcards: fix(INDEX, cohort=MISSING_SPLITS[wildcards.split][0]),
    output:
        split=DRAWN_SPLIT,
    log:
        log_of("make_split", "{split}"),
    benchmark:
        benchmark_of("make_split", "{split}")
    wildcard_constraints:
        split=MISSING_OF_SEEDS,
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        cohort=lambda wildcards: MISSING_SPLITS[wildcards.split][0],
        seed=lambda wildcards: MISSING_SPLITS[wildcards.split][1],
        fold=lambda wildcards: MISSING_SPLITS[wildcards.split][3],
        parts=lambda wildcards: plan.parts(CONFIG, MISSING_SPLITS[wildcards.split][0]),
    script:
        "../workflow_scripts/make_split.py"


rule draw_labels:
    """Draw the order in which training patients are given labels again, for a further draw of a seed or of its fold."""
    input:
        split=lambda wildcards: FIRST_DRAWS[wildcards.split],
    output:
        split=DRAWN_SPLIT,
    log:
        log_of("draw_labels", "{split}"),
    benchmark:
        benchmark_of("draw_labels", "{split}")
    wildcard_constraints:
        split=MISSING_DRAWS,
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        draw=lambda wildcards: MISSING_SPLITS[wildcards.split],
    script:
        "../workflow_scripts/draw_labels.py"
