"""Stage 3: self-supervised pre-training on the training patients' slices, without labels (paper Sec. IV)."""


rule pretrain_pair:
    """Pre-train one method on one pair of modalities."""
    input:
        shards=lambda wildcards: shard_files(wildcards.cohort),
        split=SPLIT,
    output:
        checkpoint=CHECKPOINT,
        losses=f"{PRETRAINING}/losses.csv",
        curves=f"{PRETRAINING}/losses.png",
    log:
        log_of("pretrain_pair", OF_PRETRAINING),
    benchmark:
        benchmark_of("pretrain_pair", OF_PRETRAINING)
    conda:
        "../envs/training.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=training_gpus,
        mem_mb=training_memory,
        held_mb=HELD_MB,
        runtime=hours(48),
    params:
        task=pretraining_task,
        compute=COMPUTE,
        # not an output: Snakemake deletes the outputs of a killed job, and the next attempt resumes from this
        resume=f"{RESUME}/{PRETRAINING_STATE}",
    script:
        "../workflow_scripts/pretrain.py"
