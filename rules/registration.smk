"""What registration did, for cohorts where it is on. The registration itself is a part of preprocess_subject."""


rule draw_registration:
    """Draw one patient's checkerboards of the reference with each registered modality, before and after."""
    input:
        raw=lambda wildcards: list(raw_files(SUBJECTS[wildcards.cohort][wildcards.subject])),
        folder=SUBJECT,
    output:
        picture=report(
            CHECKERBOARD,
            caption="../report/registration.rst",
            category="Registration",
            subcategory="{cohort}",
            labels={"patient": "{subject}"},
        ),
    log:
        log_of("draw_registration", "{cohort}/{subject}"),
    benchmark:
        benchmark_of("draw_registration", "{cohort}/{subject}")
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
    """Collect a cohort's similarities before and after registration, and flag the patients where it failed."""
    input:
        folders=lambda wildcards: subject_files(SUBJECT, [wildcards.cohort]),
    output:
        table=report(
            REGISTRATIONS,
            caption="../report/registration.rst",
            category="Registration",
            subcategory="{cohort}",
            labels={"patient": "all"},
        ),
    log:
        log_of("summarise_registration", "{cohort}"),
    benchmark:
        benchmark_of("summarise_registration", "{cohort}")
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
        pictures=subject_files(CHECKERBOARD, REGISTERED),
        tables=expand(REGISTRATIONS, cohort=REGISTERED),


localrules:
    register_all,
