"""Training and test patients. A split is drawn once: the rule covers only those that are missing, so that a file which
somebody has edited, or on which results depend, is never regenerated silently: `mcd split` decides what becomes of one.
"""

import shlex

CONFIG_FILE = next(iter(workflow.configfiles), "CONFIGURATION")

# Cohort and seed of each split that is not there yet, by the one wildcard that stands for both: their product would cover
# splits that are there, too.
MISSING_SPLITS = {}
SPLITS = {}  # as they are or will be drawn, so that what they leave no patients for is refused before anything runs
for cohort, seed in product(COHORTS, CONFIG.seeds):
    path = fix(SPLIT, cohort=cohort, seed=seed)
    is_there = Path(path).exists()
    if not is_there:
        MISSING_SPLITS[f"{cohort}/seed{seed}"] = (cohort, seed)
    if workflow.is_main_process:
        origin = or_explain(plan.origin, CONFIG, cohort, SUBJECTS[cohort].values())
        remedy = f"mcd split keep, extend or redraw {path} --config {shlex.quote(str(CONFIG_FILE))}"
        drawing = (check_split, path, origin, remedy) if is_there else (make_split, origin, seed)
        SPLITS[cohort, seed] = or_explain(*drawing)


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
        split=alternatives(MISSING_SPLITS),
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        cohort=lambda wildcards: MISSING_SPLITS[wildcards.split][0],
        seed=lambda wildcards: MISSING_SPLITS[wildcards.split][1],
        test=lambda wildcards: CONFIG.cohorts[MISSING_SPLITS[wildcards.split][0]].test,
        test_centre=lambda wildcards: CONFIG.cohorts[MISSING_SPLITS[wildcards.split][0]].test_centre,
    script:
        "../workflow_scripts/make_split.py"
