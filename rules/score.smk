"""Stage 4: scores, from what the networks predicted. They need neither torch nor a GPU, and a new metric retrains nothing."""


rule score_modality:
    """Score the predictions for every test patient, for a modality that is in no pair."""
    input:
        predictions=rules.finetune_modality.output.predictions,
        shards=lambda wildcards: shard_files(wildcards.cohort),
        split=LABELS,
    output:
        scores=[fix(SCORES, pair=plan.SINGLE)],
    log:
        log_of("score_modality", fix(OF_RUN, pair=plan.SINGLE)),
    benchmark:
        benchmark_of("score_modality", fix(OF_RUN, pair=plan.SINGLE))
    conda:
        "../envs/reporting.yaml"
    threads: scoring_threads
    resources:
        mem_mb=growing(2000),
        runtime=60,
    params:
        runs=finetuned_runs,
        metrics=METRIC_VERSIONS,
    script:
        "../workflow_scripts/score.py"


use rule score_modality as score_pair with:
    # both modalities of a pair in one job, as they are trained
    input:
        predictions=rules.finetune_pair.output.predictions,
        shards=lambda wildcards: shard_files(wildcards.cohort),
        split=LABELS,
    output:
        scores=both(SCORES),
    log:
        log_of("score_pair", OF_BOTH_RUNS),
    benchmark:
        benchmark_of("score_pair", OF_BOTH_RUNS)


rule fuse_pair:
    """Score the predictions for a pair's two modalities on the test patients, each alone and fused (beyond the paper)."""
    input:
        predictions=lambda wildcards: [predictions_file(run) for run in plan.fused_from(CONFIG, fused_run(wildcards))],
        shards=lambda wildcards: shard_files(wildcards.cohort),
        split=LABELS,
    output:
        scores=fix(SCORES, modality="{pair}"),
    log:
        log_of("fuse_pair", "{cohort}/{pair}/{method}/labels{percent}/seed{seed}{fold}{draw}"),
    benchmark:
        benchmark_of("fuse_pair", "{cohort}/{pair}/{method}/labels{percent}/seed{seed}{fold}{draw}")
    conda:
        "../envs/reporting.yaml"
    threads: scoring_threads
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        run=lambda wildcards: asdict(fused_run(wildcards)),
        metrics=METRIC_VERSIONS,
    script:
        "../workflow_scripts/fuse_pair.py"


rule predict_validation:
    """Predict the patients by whom settings are chosen, with a network that was trained without them (on request)."""
    input:
        model=MODEL,
        shards=lambda wildcards: shard_files(wildcards.cohort),
        split=validated_split,
    output:
        predictions=temp(VALIDATION_PREDICTIONS),
    log:
        log_of("predict_validation", OF_RUN),
    benchmark:
        benchmark_of("predict_validation", OF_RUN)
    conda:
        "../envs/training.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=training_gpus,
        mem_mb=training_memory,
        held_mb=HELD_MB,
        runtime=60,
    params:
        compute=COMPUTE,
    script:
        "../workflow_scripts/predict_validation.py"


rule score_validation:
    """Score the predictions for the patients by whom settings are chosen (on request)."""
    input:
        predictions=[VALIDATION_PREDICTIONS],
        shards=lambda wildcards: shard_files(wildcards.cohort),
        split=LABELS,
    output:
        scores=[VALIDATION_SCORES],
    log:
        log_of("score_validation", OF_RUN),
    benchmark:
        benchmark_of("score_validation", OF_RUN)
    conda:
        "../envs/reporting.yaml"
    threads: scoring_threads
    resources:
        mem_mb=growing(2000),
        runtime=60,
    params:
        runs=finetuned_runs,
        metrics=METRIC_VERSIONS,
        part="validation",
    script:
        "../workflow_scripts/score.py"
