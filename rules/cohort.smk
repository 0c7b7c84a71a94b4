"""Stage 0: raw files, and the index that lists them."""


rule simulate_brain:
    """Write the raw files of one simulated brain patient, as BraTS 2018 would store them."""
    output:
        T1="data/{cohort}/HGG/{subject}/{subject}_t1.nii.gz",
        T1CE="data/{cohort}/HGG/{subject}/{subject}_t1ce.nii.gz",
        T2="data/{cohort}/HGG/{subject}/{subject}_t2.nii.gz",
        FLAIR="data/{cohort}/HGG/{subject}/{subject}_flair.nii.gz",
        label="data/{cohort}/HGG/{subject}/{subject}_seg.nii.gz",
    log:
        "logs/{cohort}/simulate_brain/{subject}.log",
    benchmark:
        "work/benchmarks/{cohort}/simulate_brain/{subject}.tsv"
    wildcard_constraints:
        cohort=alternatives(BRAINS),
    conda:
        "../envs/simulation.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=20,
    params:
        simulation=simulation,
    script:
        "../workflow_scripts/simulate_brain.py"


rule simulate_head_neck:
    """Write the raw files of one simulated head-and-neck patient, as HECKTOR 2020 would store them."""
    output:
        CT="data/{cohort}/{subject}/{subject}_ct.nii.gz",
        PET="data/{cohort}/{subject}/{subject}_pt.nii.gz",
        label="data/{cohort}/{subject}/{subject}_ct_gtvt.nii.gz",
    log:
        "logs/{cohort}/simulate_head_neck/{subject}.log",
    benchmark:
        "work/benchmarks/{cohort}/simulate_head_neck/{subject}.tsv"
    wildcard_constraints:
        cohort=alternatives(HEADS),
    conda:
        "../envs/simulation.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=20,
    params:
        simulation=simulation,
    script:
        "../workflow_scripts/simulate_head_neck.py"


rule write_bounding_boxes:
    """Write the bounding-box CSV that a simulated HECKTOR cohort comes with."""
    output:
        boxes="data/{cohort}/hecktor2020_bounding_boxes.csv",
    log:
        "logs/{cohort}/write_bounding_boxes.log",
    benchmark:
        "work/benchmarks/{cohort}/write_bounding_boxes.tsv"
    wildcard_constraints:
        cohort=alternatives(HEADS),
    conda:
        "../envs/simulation.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        subjects=lambda wildcards: list(SUBJECTS[wildcards.cohort]),
        seed=lambda wildcards: CONFIG.cohorts[wildcards.cohort].simulate.seed,
    script:
        "../workflow_scripts/write_bounding_boxes.py"


rule index_cohort:
    """List a cohort's patients and their files, in one row each."""
    input:
        images=lambda wildcards: [
            path for subject in SUBJECTS[wildcards.cohort].values() for path in raw_files(subject)
        ],
        boxes=bounding_boxes,
    output:
        index="work/{cohort}/index.tsv",
    log:
        "logs/{cohort}/index_cohort.log",
    benchmark:
        "work/benchmarks/{cohort}/index_cohort.tsv"
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=30,
    params:
        cohort=lambda wildcards: raw_files_of(wildcards.cohort),
    script:
        "../workflow_scripts/index_cohort.py"
