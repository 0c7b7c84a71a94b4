"""Stage 6: the figures of the paper that show segmentations and their scores. PNG to look at, vector PDF to print."""

FIGURES = [
    "fig2",
    "fig2_outlines",
    *(["fig3", "fig4"] if TRANSLATIONS else []),
    *(name for name in COMPARISONS if name.startswith("fig")),
]


rule draw_comparison:
    """Fig. 2: two patients of each cohort, truth and every method, in greys as in the paper and as outlines in colour."""
    input:
        shards=[path for cohort in COHORTS for path in shard_files(cohort)],
        predictions=[predictions_file(run) for run in plan.compared_runs(CONFIG)],
    output:
        greys="results/fig2.png",
        greys_pdf="results/fig2.pdf",
        outlines="results/fig2_outlines.png",
        outlines_pdf="results/fig2_outlines.pdf",
    log:
        "logs/draw_comparison.log",
    benchmark:
        "work/benchmarks/draw_comparison.tsv"
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
    """Fig. 5: DSC over the label ratios, a line a method, with intervals."""
    input:
        long="results/fig5_long.csv",
    output:
        figure="results/fig5.png",
        pdf="results/fig5.pdf",
    log:
        "logs/draw_ratio_curves.log",
    benchmark:
        "work/benchmarks/draw_ratio_curves.tsv"
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
    """Fig. 6: how deep the generators share; the sum of two modalities, whose interval needs every patient."""
    input:
        scores=lambda wildcards: [scores_file(run) for run in COMPARISONS["fig6"].runs],
    output:
        figure="results/fig6.png",
        pdf="results/fig6.pdf",
    log:
        "logs/draw_sharing.log",
    benchmark:
        "work/benchmarks/draw_sharing.tsv"
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
        long="results/fig7_long.csv",
    output:
        figure="results/fig7.png",
        pdf="results/fig7.pdf",
    log:
        "logs/draw_feature_losses.log",
    benchmark:
        "work/benchmarks/draw_feature_losses.tsv"
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        spec=lambda wildcards: asdict(COMPARISONS["fig7"].spec),
    script:
        "../workflow_scripts/draw_feature_losses.py"


rule draw_groupings:
    """Fig. 8: the ways to pair four modalities, with intervals."""
    input:
        long="results/fig8_long.csv",
    output:
        figure="results/fig8.png",
        pdf="results/fig8.pdf",
    log:
        "logs/draw_groupings.log",
    benchmark:
        "work/benchmarks/draw_groupings.tsv"
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        spec=lambda wildcards: asdict(COMPARISONS["fig8"].spec),
    script:
        "../workflow_scripts/draw_groupings.py"
