"""Stage 5: tables, and a picture of what was predicted. Their layout is in mcd/plan.py, their arithmetic in mcd/reporting/tables.py."""


rule table2:
    """Table II: every method at the small label ratios, Fully Supervised at all of them."""
    input:
        scores=[scores_file(run) for run in TABLE2_RUNS],
    output:
        table="results/table2.csv",
        long="results/table2_long.csv",
        page="results/table2.html",
    log:
        "logs/table2.log",
    benchmark:
        "work/benchmarks/table2.tsv"
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        table="table2",
    script:
        "../workflow_scripts/aggregate_table.py"


rule draw_segmentations:
    """Draw two test patients of each cohort with the outlines of truth and prediction."""
    input:
        shards=[path for cohort in COHORTS for path in shard_files(cohort)],
        predictions=[predictions_file(run) for run in plan.shown_runs(CONFIG)],
    output:
        picture="results/segmentations.png",
    log:
        "logs/draw_segmentations.log",
    benchmark:
        "work/benchmarks/draw_segmentations.tsv"
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        title=plan.shown_title(CONFIG),
        runs=[
            {
                "cohort": run.cohort,
                "modality": run.modality,
                "regions": CONFIG.cohorts[run.cohort].regions,
                "shards": shard_files(run.cohort),
                "predictions": predictions_file(run),
            }
            for run in plan.shown_runs(CONFIG)
        ],
    script:
        "../workflow_scripts/draw_segmentations.py"
