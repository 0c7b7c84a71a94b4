"""What registration did, for cohorts where it is on (SPEC 1.8). The registration itself is a part of preprocess_subject."""


rule draw_registration:
    """Draw one patient's checkerboards of the reference with each registered modality, before and after."""
    input:
        raw=lambda wildcards: list(raw_files(SUBJECTS[wildcards.cohort][wildcards.subject])),
        folder="work/{cohort}/subjects/{subject}",
    output:
        picture=report(
            "results/registration/{cohort}/{subject}.png",
            caption="../report/registration.rst",
            category="Registration",
            subcategory="{cohort}",
            labels={"patient": "{subject}"},
        ),
    log:
        "logs/{cohort}/draw_registration/{subject}.log",
    benchmark:
        "work/benchmarks/{cohort}/draw_registration/{subject}.tsv"
    wildcard_constraints:
        cohort=alternatives(REGISTERED),
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=10,
    params:
        images=lambda wildcards: {
            modality: str(path) for modality, path in SUBJECTS[wildcards.cohort][wildcards.subject].images.items()
        },
    script:
        "../workflow_scripts/draw_registration.py"


rule summarise_registration:
    """Gather a cohort's similarities before and after registration, and flag the patients where it failed."""
    input:
        folders=lambda wildcards: [
            f"work/{wildcards.cohort}/subjects/{subject}" for subject in SUBJECTS[wildcards.cohort]
        ],
    output:
        table=report(
            "results/registration/{cohort}.csv",
            caption="../report/registration.rst",
            category="Registration",
            subcategory="{cohort}",
            labels={"patient": "all"},
        ),
    log:
        "logs/{cohort}/summarise_registration.log",
    benchmark:
        "work/benchmarks/{cohort}/summarise_registration.tsv"
    wildcard_constraints:
        cohort=alternatives(REGISTERED),
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=10,
    script:
        "../workflow_scripts/summarise_registration.py"


rule register_all:
    """The checkerboards and the table of every cohort whose registration is on."""
    input:
        pictures=[
            f"results/registration/{cohort}/{subject}.png" for cohort in REGISTERED for subject in SUBJECTS[cohort]
        ],
        tables=expand("results/registration/{cohort}.csv", cohort=REGISTERED),


localrules:
    register_all,
