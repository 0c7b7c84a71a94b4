"""Stage 1: every patient on one grid, cropped and normalised (paper Sec. V, "Pre-processing")."""


rule preprocess_subject:
    """Resample one patient's modalities and label to a common grid, crop, clip and z-score them."""
    input:
        raw=lambda wildcards: list(raw_files(SUBJECTS[wildcards.cohort][wildcards.subject])),
    output:
        folder=directory(SUBJECT),
    log:
        log_of("preprocess_subject", "{cohort}/{subject}"),
    benchmark:
        benchmark_of("preprocess_subject", "{cohort}/{subject}")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=20,
    params:
        subject=lambda wildcards: preprocessed_subject(SUBJECTS[wildcards.cohort][wildcards.subject]),
        options=lambda wildcards: CONFIG.cohorts[wildcards.cohort].preprocessing.model_dump(),
        unwatched=lambda wildcards: unwatched_files(SUBJECTS[wildcards.cohort][wildcards.subject]),
    script:
        "../workflow_scripts/preprocess_subject.py"


rule draw_qc:
    """Draw one preprocessed patient: each modality with the label's outline, in three planes."""
    input:
        folder=SUBJECT,
    output:
        picture=report(
            QC,
            caption="../report/qc.rst",
            category="Preprocessing",
            subcategory="{cohort}",
            labels={"patient": "{subject}"},
        ),
        contrasts=CONTRASTS,
    log:
        log_of("draw_qc", "{cohort}/{subject}"),
    benchmark:
        benchmark_of("draw_qc", "{cohort}/{subject}")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        regions=lambda wildcards: CONFIG.cohorts[wildcards.cohort].regions,
        first=lambda wildcards: first_colour(wildcards.cohort),
    script:
        "../workflow_scripts/draw_qc.py"


rule check_page:
    """One page of all preprocessed patients: a table to sort, and their pictures."""
    input:
        folders=subject_files(SUBJECT, COHORTS),
        pictures=subject_files(QC, COHORTS),
        contrasts=subject_files(CONTRASTS, COHORTS),
    output:
        page=report(QC_PAGE, caption="../report/qc.rst", category="Preprocessing", labels={"patient": "all"}),
    log:
        log_of("check_page"),
    benchmark:
        benchmark_of("check_page")
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        cohorts=lambda wildcards: [checked_cohort(cohort) for cohort in COHORTS],
        patients=lambda wildcards: checked_patients(),
    script:
        "../workflow_scripts/check_page.py"


rule preprocess_all:
    """All patients of all cohorts, their QC pictures with a page of them and, where registration is on, its checkerboards and tables."""
    input:
        folders=subject_files(SUBJECT, COHORTS),
        pictures=subject_files(QC, COHORTS),
        contrasts=subject_files(CONTRASTS, COHORTS),
        page=QC_PAGE,
        registrations=rules.register_all.input,


localrules:
    preprocess_all,
