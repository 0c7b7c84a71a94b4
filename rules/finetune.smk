"""Stage 4: segmentation networks, fine-tuned on a share of the labels or trained from scratch (paper Sec. IV-D), and what
they predict. Training and prediction are one job, since starting torch takes as long as predicting in the default run; scores
are apart (score.smk).
"""


rule finetune_modality:
    """Train the U-Net of a modality that is in no pair on the labelled slices; then predict every test patient."""
    input:
        unpack(pretrained),
        shards=lambda wildcards: shard_files(wildcards.cohort),
        split=split_file,
    output:
        models=["work/{cohort}/single/{method}/{modality}/labels{percent}/seed{seed}/model.pt"],
        losses=["work/{cohort}/single/{method}/{modality}/labels{percent}/seed{seed}/losses.csv"],
        predictions=["work/{cohort}/single/{method}/{modality}/labels{percent}/seed{seed}/predictions.h5"],
    log:
        "logs/{cohort}/finetune_modality/single/{method}/{modality}/labels{percent}/seed{seed}.log",
    benchmark:
        "work/benchmarks/{cohort}/finetune_modality/single/{method}/{modality}/labels{percent}/seed{seed}.tsv"
    conda:
        "../envs/training.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=training_gpus,
        mem_mb=training_memory,
        runtime=hours(12),
    params:
        training=finetuning_settings,
        runs=finetuned_runs,
        keep_probabilities=keeps_probabilities,
        cohort=lambda wildcards: plan.cohort_facts(CONFIG, wildcards.cohort),
        compute=COMPUTE,
        # beside the outputs' place, for the reason given in pretrain.smk
        resume=lambda wildcards, output: [f"work/.resume/{path}" for path in output.models],
    script:
        "../workflow_scripts/finetune.py"


use rule finetune_modality as finetune_pair with:
    # both modalities of a pair, in one job: starting torch costs a small fine-tuning a third of its time
    output:
        models=[
            "work/{cohort}/{first}-{second}/{method}/{first}/labels{percent}/seed{seed}/model.pt",
            "work/{cohort}/{first}-{second}/{method}/{second}/labels{percent}/seed{seed}/model.pt",
        ],
        losses=[
            "work/{cohort}/{first}-{second}/{method}/{first}/labels{percent}/seed{seed}/losses.csv",
            "work/{cohort}/{first}-{second}/{method}/{second}/labels{percent}/seed{seed}/losses.csv",
        ],
        predictions=[
            "work/{cohort}/{first}-{second}/{method}/{first}/labels{percent}/seed{seed}/predictions.h5",
            "work/{cohort}/{first}-{second}/{method}/{second}/labels{percent}/seed{seed}/predictions.h5",
        ],
    log:
        "logs/{cohort}/finetune_pair/{first}-{second}/{method}/labels{percent}/seed{seed}.log",
    benchmark:
        "work/benchmarks/{cohort}/finetune_pair/{first}-{second}/{method}/labels{percent}/seed{seed}.tsv"


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


rule draw_curves:
    """Draw a fine-tuning's losses."""
    input:
        losses="work/{cohort}/{pair}/{method}/{modality}/labels{percent}/seed{seed}/losses.csv",
    output:
        picture="results/curves/{cohort}/{pair}/{method}/{modality}/labels{percent}/seed{seed}.png",
    log:
        "logs/{cohort}/draw_curves/{pair}/{method}/{modality}/labels{percent}/seed{seed}.log",
    benchmark:
        "work/benchmarks/{cohort}/draw_curves/{pair}/{method}/{modality}/labels{percent}/seed{seed}.tsv"
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=10,
    script:
        "../workflow_scripts/draw_curves.py"
