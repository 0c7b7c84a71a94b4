"""Stage 6: the figures of the paper that show segmentations and their scores. PNG to look at, vector PDF to print."""


rule draw_comparison:
    """Fig. 2: two patients of each cohort, truth and every method, in greys as in the paper and as outlines in colour."""
    input:
        shards=[path for cohort in COHORTS for path in shard_files(cohort)],
        predictions=[predictions_file(run) for run in plan.compared_runs(CONFIG)],
    output:
        greys=report(
            "results/fig2.png",
            caption="../report/fig2.rst",
            category="Figures",
            labels={"figure": "Fig. 2"},
        ),
        greys_pdf="results/fig2.pdf",
        outlines=report(
            "results/fig2_outlines.png",
            caption="../report/fig2.rst",
            category="Figures",
            labels={"figure": "Fig. 2, outlines"},
        ),
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
        figure=report(
            "results/fig5.png",
            caption="../report/fig5.rst",
            category="Figures",
            labels={"figure": "Fig. 5"},
        ),
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
        figure=report(
            "results/fig6.png",
            caption="../report/fig6.rst",
            category="Figures",
            labels={"figure": "Fig. 6"},
        ),
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
        figure=report(
            "results/fig7.png",
            caption="../report/fig7.rst",
            category="Figures",
            labels={"figure": "Fig. 7"},
        ),
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


rule rank_groupings:
    """Rank the ways to pair a cohort's modalities by how different they look in its training patients (paper Sec. V-C)."""
    input:
        shards=lambda wildcards: shard_files(wildcards.cohort),
        split=lambda wildcards: f"splits/{wildcards.cohort}/seed{CONFIG.seeds[0]}.json",
    output:
        ranking="results/groupings/{cohort}.csv",
    log:
        "logs/{cohort}/rank_groupings.log",
    benchmark:
        "work/benchmarks/{cohort}/rank_groupings.tsv"
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
        long="results/fig8_long.csv",
        rankings=[f"results/groupings/{cohort}.csv" for cohort in plan.groupings(CONFIG)],
    output:
        figure=report(
            "results/fig8.png",
            caption="../report/fig8.rst",
            category="Figures",
            labels={"figure": "Fig. 8"},
        ),
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
        cohorts=list(plan.groupings(CONFIG)),
    script:
        "../workflow_scripts/draw_groupings.py"
