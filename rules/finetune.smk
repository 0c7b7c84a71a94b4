"""Stage 4: segmentation networks, fine-tuned on a share of the labels or trained from scratch (paper Sec. IV-D), and what
they predict. Training and prediction are one job, since starting torch takes as long as predicting in the default run; scoring
is separate (score.smk).
"""


rule finetune_modality:
    """Train the U-Net of a modality that is in no pair on the labelled slices; then predict every test patient."""
    input:
        unpack(pretrained),
        shards=lambda wildcards: shard_files(wildcards.cohort),
        split=labelled_split,
    output:
        models=[fix(MODEL, pair=plan.SINGLE)],
        losses=[fix(LOSSES, pair=plan.SINGLE)],
        predictions=[fix(PREDICTIONS, pair=plan.SINGLE)],
    log:
        log_of("finetune_modality", fix(OF_RUN, pair=plan.SINGLE)),
    benchmark:
        benchmark_of("finetune_modality", fix(OF_RUN, pair=plan.SINGLE))
    conda:
        "../envs/training.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=training_gpus,
        mem_mb=training_memory,
        held_mb=HELD_MB,
        runtime=hours(12),
    params:
        tasks=finetuning_tasks,
        runs=finetuned_runs,
        keep_probabilities=keeps_probabilities,
        cohort=lambda wildcards: plan.cohort_facts(CONFIG, wildcards.cohort),
        compute=COMPUTE,
        # outside the outputs, for the reason given in pretrain.smk
        resume=lambda wildcards, output: [f"{RESUME}/{path}" for path in output.models],
    script:
        "../workflow_scripts/finetune.py"


use rule finetune_modality as finetune_pair with:
    # both modalities of a pair in one job, since starting torch takes a third of the time of a small fine-tuning
    output:
        models=both(MODEL),
        losses=both(LOSSES),
        predictions=both(PREDICTIONS),
    log:
        log_of("finetune_pair", OF_BOTH_RUNS),
    benchmark:
        benchmark_of("finetune_pair", OF_BOTH_RUNS)


rule export_predictions:
    """Write a run's predictions as NIfTI files on the raw images' grids, for a viewer."""
    input:
        predictions=PREDICTIONS,
        shards=lambda wildcards: shard_files(wildcards.cohort),
    output:
        folder=directory(EXPORTED),
    log:
        log_of("export_predictions", OF_RUN),
    benchmark:
        benchmark_of("export_predictions", OF_RUN)
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
    """Draw the loss curves of a fine-tuning."""
    input:
        losses=LOSSES,
    output:
        picture=CURVES,
    log:
        log_of("draw_curves", OF_RUN),
    benchmark:
        benchmark_of("draw_curves", OF_RUN)
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=10,
    script:
        "../workflow_scripts/draw_curves.py"
