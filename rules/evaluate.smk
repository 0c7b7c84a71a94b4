"""Stage 5: prediction of every test slice, and scores of every test patient (paper Sec. V, "Evaluation")."""


rule evaluate_model:
    """Predict all slices of the test patients and score the volumes."""
    input:
        model="work/{cohort}/{pair}/{method}/{modality}/labels{percent}/seed{seed}/model.pt",
        shards=lambda wildcards: shard_files(wildcards.cohort),
        split=split_file,
    output:
        scores="work/{cohort}/{pair}/{method}/{modality}/labels{percent}/seed{seed}/scores.csv",
        predictions="work/{cohort}/{pair}/{method}/{modality}/labels{percent}/seed{seed}/predictions.h5",
    log:
        "logs/{cohort}/evaluate_model/{pair}/{method}/{modality}/labels{percent}/seed{seed}.log",
    benchmark:
        "work/benchmarks/{cohort}/evaluate_model/{pair}/{method}/{modality}/labels{percent}/seed{seed}.tsv"
    conda:
        "../envs/training.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=GPUS,
        mem_mb=growing(16000 if GPUS else 4000),
        runtime=hours(2),
    params:
        columns=lambda wildcards: {
            "cohort": wildcards.cohort,
            "pair": wildcards.pair,
            "modality": wildcards.modality,
            "method": wildcards.method,
            "label_ratio": float(wildcards.percent) / 100,
            "seed": int(wildcards.seed),
        },
        compute=COMPUTE,
    script:
        "../workflow_scripts/evaluate.py"


rule export_predictions:
    """Write a run's predictions as NIfTI files on the raw images' grids, for a viewer."""
    input:
        predictions="work/{cohort}/{pair}/{method}/{modality}/labels{percent}/seed{seed}/predictions.h5",
        shards=lambda wildcards: shard_files(wildcards.cohort),
    output:
        folder=directory("results/predictions/{cohort}/{pair}/{method}/{modality}/labels{percent}/seed{seed}"),
    log:
        "logs/{cohort}/export_predictions/{pair}/{method}/{modality}/labels{percent}/seed{seed}.log",
    benchmark:
        "work/benchmarks/{cohort}/export_predictions/{pair}/{method}/{modality}/labels{percent}/seed{seed}.tsv"
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        regions=lambda wildcards: CONFIG.cohorts[wildcards.cohort].regions,
    script:
        "../workflow_scripts/export_predictions.py"
