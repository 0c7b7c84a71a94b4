"""Stage 4: segmentation networks, fine-tuned on a share of the labels or trained from scratch (paper Sec. IV-D)."""


rule finetune_modality:
    """Train one modality's U-Net on the labelled slices that hold a target."""
    input:
        unpack(pretrained),
        shards=lambda wildcards: shard_files(wildcards.cohort),
        split=split_file,
    output:
        model="work/{cohort}/{pair}/{method}/{modality}/labels{percent}/seed{seed}/model.pt",
        losses="work/{cohort}/{pair}/{method}/{modality}/labels{percent}/seed{seed}/losses.csv",
        curves="work/{cohort}/{pair}/{method}/{modality}/labels{percent}/seed{seed}/losses.png",
    log:
        "logs/{cohort}/finetune_modality/{pair}/{method}/{modality}/labels{percent}/seed{seed}.log",
    benchmark:
        "work/benchmarks/{cohort}/finetune_modality/{pair}/{method}/{modality}/labels{percent}/seed{seed}.tsv"
    conda:
        "../envs/training.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=GPUS,
        mem_mb=growing(32000 if GPUS else 8000),
        runtime=hours(12),
    params:
        training=finetuning_settings,
        compute=COMPUTE,
        resume="work/.resume/{cohort}/{pair}/{method}/{modality}/labels{percent}/seed{seed}",
    script:
        "../workflow_scripts/finetune.py"
