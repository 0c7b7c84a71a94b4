"""Stage 4: segmentation networks, fine-tuned on a share of the labels or trained from scratch (paper Sec. IV-D)."""


def pretrained(wildcards):
    """The checkpoint that a method starts from; nothing for one that starts from random weights."""
    pretraining = METHODS[wildcards.method].pretraining
    if pretraining is None:
        return {}
    folder = pretraining_folder(wildcards.cohort, wildcards.pair, pretraining, wildcards.seed)
    return {"pretrained": f"{folder}/checkpoint.pt"}


def finetuning_settings(wildcards):
    """Everything in the configuration that changes what a fine-tuning learns, apart from its schedule."""
    method = METHODS[wildcards.method]
    return {
        "regions": CONFIG.cohorts[wildcards.cohort].regions,
        "label_ratio": float(wildcards.percent) / 100,
        "filters": CONFIG.filters,
        "algorithm": method.segmentation,
        "depth": method.transfer,
        "seed": int(wildcards.seed),
    }


def finetuning_schedule(wildcards):
    settings = CONFIG.finetuning.model_dump(exclude={"augmentation"})
    batch_size = CONFIG.cohorts[wildcards.cohort].batch_size.at(float(wildcards.percent) / 100)
    return {**settings, "batch_size": batch_size}


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
    params:
        training=finetuning_settings,
        schedule=finetuning_schedule,
        augmentation=CONFIG.finetuning.augmentation,
        compute=COMPUTE,
        resume="work/.resume/{cohort}/{pair}/{method}/{modality}/labels{percent}/seed{seed}",
    threads: CONFIG.compute.threads
    resources:
        gpu=GPUS,
        mem_mb=growing(32000 if GPUS else 8000),
        runtime=hours(12),
    conda:
        "../envs/training.yaml"
    script:
        "../workflow_scripts/finetune.py"
