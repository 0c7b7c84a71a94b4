"""Training and test patients. A split is drawn once: the rule covers only those that are missing, so that a file which
somebody has edited, or on which results depend, is never regenerated silently: `mcd split` decides what becomes of one.
"""

import shlex

CONFIG_FILE = next(iter(workflow.configfiles), "CONFIGURATION")

# Cohort, seed and draw of each split that is not there yet, by the one wildcard that stands for them: their product would
# cover splits that are there, too.
MISSING_SPLITS = {}
SPLITS = {}  # as they are or will be drawn, so that what they leave no patients for is refused before anything runs
SPLIT_FILES = []
for cohort, (seed, draw) in product(COHORTS, plan.trainings(CONFIG)):
    path = fix(LABELS, cohort=cohort, seed=seed, draw=plan.draw_text(draw))
    SPLIT_FILES.append(path)
    is_there = Path(path).exists()
    if not is_there:
        MISSING_SPLITS[f"{cohort}/seed{seed}{plan.draw_text(draw)}"] = (cohort, seed, draw)
    if workflow.is_main_process:
        origin = or_explain(plan.origin, CONFIG, cohort, SUBJECTS[cohort].values())
        base = SPLITS.get((cohort, seed, 0))  # of a further draw; of the first, itself
        remedy = f"mcd split keep, extend or redraw {path} --config {shlex.quote(str(CONFIG_FILE))}"
        if is_there:
            SPLITS[cohort, seed, draw] = or_explain(check_split, path, origin, remedy)
        else:
            SPLITS[cohort, seed, draw] = (
                draw_labels(base, cohort, seed, draw) if draw else or_explain(make_split, origin, seed)
            )
        if draw:
            remedy = f"mcd split redraw {path} --config {shlex.quote(str(CONFIG_FILE))}"
            or_explain(check_draw, path, SPLITS[cohort, seed, draw], base, remedy)
MISSING_OF_SEEDS = alternatives(name for name, (_, _, draw) in MISSING_SPLITS.items() if not draw)
MISSING_DRAWS = alternatives(name for name, (_, _, draw) in MISSING_SPLITS.items() if draw)


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
        test=lambda wildcards: CONFIG.cohorts[MISSING_SPLITS[wildcards.split][0]].test,
        test_centre=lambda wildcards: CONFIG.cohorts[MISSING_SPLITS[wildcards.split][0]].test_centre,
        validation=lambda wildcards: CONFIG.cohorts[MISSING_SPLITS[wildcards.split][0]].validation,
    script:
        "../workflow_scripts/make_split.py"


rule draw_labels:
    """Draw the order in which training patients are given labels again, for a further draw of a seed."""
    input:
        split=lambda wildcards: fix(
            SPLIT, cohort=MISSING_SPLITS[wildcards.split][0], seed=MISSING_SPLITS[wildcards.split][1]
        ),
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
