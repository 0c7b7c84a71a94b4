"""Stage 4: scores, from what the networks predicted. They need neither torch nor a GPU, so a new metric trains nothing again."""


rule score_modality:
    """Score the predictions for every test patient of a modality that is in no pair."""
    input:
        predictions=rules.finetune_modality.output.predictions,
        shards=lambda wildcards: shard_files(wildcards.cohort),
        split=split_file,
    output:
        scores=["work/{cohort}/single/{method}/{modality}/labels{percent}/seed{seed}/scores.csv"],
    log:
        "logs/{cohort}/score_modality/single/{method}/{modality}/labels{percent}/seed{seed}.log",
    benchmark:
        "work/benchmarks/{cohort}/score_modality/single/{method}/{modality}/labels{percent}/seed{seed}.tsv"
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=60,
    params:
        runs=finetuned_runs,
        metrics=METRIC_VERSIONS,
    script:
        "../workflow_scripts/score.py"


use rule score_modality as score_pair with:
    # both modalities of a pair, in one job, as they are trained
    input:
        predictions=rules.finetune_pair.output.predictions,
        shards=lambda wildcards: shard_files(wildcards.cohort),
        split=split_file,
    output:
        scores=[
            "work/{cohort}/{first}-{second}/{method}/{first}/labels{percent}/seed{seed}/scores.csv",
            "work/{cohort}/{first}-{second}/{method}/{second}/labels{percent}/seed{seed}/scores.csv",
        ],
    log:
        "logs/{cohort}/score_pair/{first}-{second}/{method}/labels{percent}/seed{seed}.log",
    benchmark:
        "work/benchmarks/{cohort}/score_pair/{first}-{second}/{method}/labels{percent}/seed{seed}.tsv"


rule fuse_pair:
    """Score the predictions for a pair's two modalities on the test patients, each alone and fused (beyond the paper)."""
    input:
        predictions=lambda wildcards: [predictions_file(run) for run in plan.fused_from(CONFIG, fused_run(wildcards))],
        shards=lambda wildcards: shard_files(wildcards.cohort),
        split=split_file,
    output:
        scores="work/{cohort}/{pair}/{method}/{pair}/labels{percent}/seed{seed}/scores.csv",
    log:
        "logs/{cohort}/fuse_pair/{pair}/{method}/labels{percent}/seed{seed}.log",
    benchmark:
        "work/benchmarks/{cohort}/fuse_pair/{pair}/{method}/labels{percent}/seed{seed}.tsv"
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        run=lambda wildcards: asdict(fused_run(wildcards)),
        metrics=METRIC_VERSIONS,
    script:
        "../workflow_scripts/fuse_pair.py"
