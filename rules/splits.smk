"""Who trains and who tests. A split is made once: the rule covers only those that are not there, so that a file which
somebody has edited, or on which results stand, is never made again behind their back. To have it made again, delete it.
"""

MISSING_SPLITS = [
    cohort for cohort in COHORTS if not all(Path(f"splits/{cohort}/seed{seed}.json").exists() for seed in CONFIG.seeds)
]


rule make_split:
    """Draw the test patients, and the order in which training patients are given labels."""
    input:
        index="work/{cohort}/index.tsv",
    output:
        split="splits/{cohort}/seed{seed}.json",
    log:
        "logs/{cohort}/make_split/seed{seed}.log",
    benchmark:
        "work/benchmarks/{cohort}/make_split/seed{seed}.tsv"
    wildcard_constraints:
        cohort=alternatives(MISSING_SPLITS),
        seed=alternatives(
            str(seed)
            for seed in CONFIG.seeds
            if not all(Path(f"splits/{cohort}/seed{seed}.json").exists() for cohort in COHORTS)
        ),
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        test=lambda wildcards: CONFIG.cohorts[wildcards.cohort].test,
    script:
        "../workflow_scripts/make_split.py"
