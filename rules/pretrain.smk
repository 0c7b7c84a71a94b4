"""Stage 3: self-supervised pre-training on the training patients' slices, without labels (paper Sec. IV)."""


rule pretrain_pair:
    """Pre-train one method on one pair of modalities."""
    input:
        shards=lambda wildcards: shard_files(wildcards.cohort),
        split=split_file,
    output:
        checkpoint="work/{cohort}/{pair}/pretraining/{pretraining}/seed{seed}/checkpoint.pt",
        losses="work/{cohort}/{pair}/pretraining/{pretraining}/seed{seed}/losses.csv",
        curves="work/{cohort}/{pair}/pretraining/{pretraining}/seed{seed}/losses.png",
    log:
        "logs/{cohort}/pretrain_pair/{pair}/{pretraining}/seed{seed}.log",
    benchmark:
        "work/benchmarks/{cohort}/pretrain_pair/{pair}/{pretraining}/seed{seed}.tsv"
    conda:
        "../envs/training.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=training_gpus,
        mem_mb=training_memory,
        runtime=hours(48),
    params:
        training=pretraining_settings,
        compute=COMPUTE,
        # not an output: Snakemake deletes the outputs of a killed job, and this is what the next try goes on from
        resume="work/.resume/{cohort}/{pair}/{pretraining}/seed{seed}",
    script:
        "../workflow_scripts/pretrain.py"
