"""Stage 1: every patient on one grid, cropped and normalised (paper Sec. V, "Pre-processing")."""


rule preprocess_subject:
    """Resample one patient's modalities and label to a common grid, crop, clip and z-score them."""
    input:
        raw=lambda wildcards: list(raw_files(SUBJECTS[wildcards.cohort][wildcards.subject])),
    output:
        folder=directory("work/{cohort}/subjects/{subject}"),
    log:
        "logs/{cohort}/preprocess_subject/{subject}.log",
    benchmark:
        "work/benchmarks/{cohort}/preprocess_subject/{subject}.tsv"
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=20,
    params:
        subject=lambda wildcards: SUBJECTS[wildcards.cohort][wildcards.subject].to_json(),
        options=lambda wildcards: CONFIG.cohorts[wildcards.cohort].preprocessing.model_dump(),
    script:
        "../workflow_scripts/preprocess_subject.py"


rule draw_qc:
    """Draw one preprocessed patient: each modality with the label's outline, in three planes."""
    input:
        folder="work/{cohort}/subjects/{subject}",
    output:
        picture=report(
            "results/qc/{cohort}/{subject}.png",
            caption="../report/qc.rst",
            category="Preprocessing",
            subcategory="{cohort}",
            labels={"patient": "{subject}"},
        ),
    log:
        "logs/{cohort}/draw_qc/{subject}.log",
    benchmark:
        "work/benchmarks/{cohort}/draw_qc/{subject}.tsv"
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    script:
        "../workflow_scripts/draw_qc.py"


rule preprocess_all:
    """All patients of all cohorts, their pictures, and what registration did where it is on."""
    input:
        folders=[f"work/{cohort}/subjects/{subject}" for cohort in COHORTS for subject in SUBJECTS[cohort]],
        pictures=[f"results/qc/{cohort}/{subject}.png" for cohort in COHORTS for subject in SUBJECTS[cohort]],
        registrations=rules.register_all.input,


localrules:
    preprocess_all,
