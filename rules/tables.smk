"""Stage 6: tables. Their layout is in mcd/plan.py, their arithmetic in mcd/reporting/tables.py."""


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
