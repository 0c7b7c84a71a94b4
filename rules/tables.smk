"""Stage 5: tables, and a picture of what was predicted. Their layout is in mcd/plan.py, their arithmetic in mcd/reporting/tables.py."""


rule aggregate_table:
    """A table of the paper, or the numbers behind a figure, from its runs' scores."""
    input:
        scores=lambda wildcards: [scores_file(run) for run in COMPARISONS[wildcards.table].runs],
    output:
        table=report(
            "results/{table}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}", "format": "CSV"},
        ),
        long="results/{table}_long.csv",
        page=report(
            "results/{table}.html",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}", "format": "page"},
        ),
    log:
        "logs/aggregate_table/{table}.log",
    benchmark:
        "work/benchmarks/aggregate_table/{table}.tsv"
    wildcard_constraints:
        table=alternatives(COMPARISONS),
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        spec=lambda wildcards: asdict(COMPARISONS[wildcards.table].spec),
    script:
        "../workflow_scripts/aggregate_table.py"


rule draw_segmentations:
    """Draw two test patients of each cohort with the outlines of truth and prediction."""
    input:
        shards=[path for cohort in COHORTS for path in shard_files(cohort)],
        predictions=[predictions_file(run) for run in plan.shown_runs(CONFIG)],
    output:
        picture=report("results/segmentations.png", caption="../report/segmentations.rst", category="Figures"),
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
