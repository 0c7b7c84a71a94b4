"""Training and test patients. A split is drawn once: the rule covers only those that are missing, so that a file which
somebody has edited, or on which results depend, is never regenerated silently. Delete it to regenerate it.
"""

MISSING_SPLITS = {
    (cohort, seed)
    for cohort, seed in product(COHORTS, CONFIG.seeds)
    if not Path(fix(SPLIT, cohort=cohort, seed=seed)).exists()
}


rule make_split:
    """Draw the test patients, and the order in which training patients are given labels."""
    input:
        index=INDEX,
    output:
        split=SPLIT,
    log:
        log_of("make_split", "{cohort}/seed{seed}"),
    benchmark:
        benchmark_of("make_split", "{cohort}/seed{seed}")
    wildcard_constraints:
        cohort=alternatives({cohort for cohort, seed in MISSING_SPLITS}),
        seed=alternatives({str(seed) for cohort, seed in MISSING_SPLITS}),
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        test=lambda wildcards: CONFIG.cohorts[wildcards.cohort].test,
    script:
        "../workflow_scripts/make_split.py"
