"""Stage 6: the figures of the paper that show segmentations and their scores. PNG to look at, vector PDF to print."""


rule draw_comparison:
    """Fig. 2: two patients of each cohort, ground truth and every method, in greys as in the paper and as outlines in colour."""
    input:
        shards=[path for cohort in COHORTS for path in shard_files(cohort)],
        predictions=[predictions_file(run) for run in plan.compared_runs(CONFIG)],
    output:
        **figure_outputs("fig2", "Fig. 2", key="greys"),
        **figure_outputs("fig2_outlines", "Fig. 2, outlines", key="outlines", caption="fig2"),
    log:
        log_of("draw_comparison"),
    benchmark:
        benchmark_of("draw_comparison")
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        title=plan.compared_title(CONFIG),
        runs=[drawn_prediction(run) for run in plan.compared_runs(CONFIG)],
    script:
        "../workflow_scripts/draw_comparison.py"


rule draw_ratio_curves:
    """Fig. 5: DSC over the label ratios, one line per method, with intervals."""
    input:
        long=fix(LONG_TABLE, table="fig5"),
    output:
        **figure_outputs("fig5", "Fig. 5"),
    log:
        log_of("draw_ratio_curves"),
    benchmark:
        benchmark_of("draw_ratio_curves")
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        spec=lambda wildcards: asdict(COMPARISONS["fig5"].spec),
    script:
        "../workflow_scripts/draw_ratio_curves.py"


rule draw_sharing:
    """Fig. 6: how many layers the generators share; the sum of two modalities, whose interval needs every patient's scores."""
    input:
        scores=lambda wildcards: [scores_file(run) for run in COMPARISONS["fig6"].runs],
    output:
        **figure_outputs("fig6", "Fig. 6"),
    log:
        log_of("draw_sharing"),
    benchmark:
        benchmark_of("draw_sharing")
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        spec=lambda wildcards: asdict(COMPARISONS["fig6"].spec),
    script:
        "../workflow_scripts/draw_sharing.py"


rule draw_feature_losses:
    """Fig. 7: the contrastive loss on the paired features against L1 and MSE, with intervals."""
    input:
        long=fix(LONG_TABLE, table="fig7"),
    output:
        **figure_outputs("fig7", "Fig. 7"),
    log:
        log_of("draw_feature_losses"),
    benchmark:
        benchmark_of("draw_feature_losses")
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        spec=lambda wildcards: asdict(COMPARISONS["fig7"].spec),
    script:
        "../workflow_scripts/draw_feature_losses.py"


rule rank_groupings:
    """Rank the ways to pair a cohort's modalities by how different they look in its training patients (paper Sec. V-C)."""
    input:
        shards=lambda wildcards: shard_files(wildcards.cohort),
        split=lambda wildcards: split_file(wildcards.cohort, *plan.trainings(CONFIG, wildcards.cohort)[0]),
    output:
        ranking=GROUPING,
    log:
        log_of("rank_groupings", "{cohort}"),
    benchmark:
        benchmark_of("rank_groupings", "{cohort}")
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        modalities=lambda wildcards: [
            modality for cohort, modality in plan.columns(CONFIG) if cohort == wildcards.cohort
        ],
    script:
        "../workflow_scripts/rank_groupings.py"


rule draw_groupings:
    """Fig. 8: the ways to pair four modalities, with intervals, and how different the pairs look."""
    input:
        long=fix(LONG_TABLE, table="fig8"),
        rankings=expand(GROUPING, cohort=plan.groupings(CONFIG)),
    output:
        **figure_outputs("fig8", "Fig. 8"),
    log:
        log_of("draw_groupings"),
    benchmark:
        benchmark_of("draw_groupings")
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        spec=lambda wildcards: asdict(COMPARISONS["fig8"].spec),
        cohorts=list(plan.groupings(CONFIG)),
    script:
        "../workflow_scripts/draw_groupings.py"
