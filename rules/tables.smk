"""Stage 5: tables, claims, and a picture of predictions. Rows and columns are in mcd/plan/, the arithmetic in mcd/reporting/."""


rule aggregate_table:
    """A table of the paper, or the numbers behind a figure, from its runs' scores."""
    input:
        scores=lambda wildcards: table_scores(wildcards.table),
        splits=lambda wildcards: [path for _, path in table_splits(wildcards.table)],
    output:
        **table_outputs("{table}"),
    log:
        log_of("aggregate_table", "{table}"),
    benchmark:
        benchmark_of("aggregate_table", "{table}")
    wildcard_constraints:
        table=alternatives(COMPARISONS),
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        spec=lambda wildcards: asdict(COMPARISONS[wildcards.table].spec),
        split_cohorts=lambda wildcards: [cohort for cohort, _ in table_splits(wildcards.table)],
    script:
        "../workflow_scripts/aggregate_table.py"


rule aggregate_by_trait:
    """Table II's scores apart for each centre or scanner of the test patients."""
    input:
        scores=[scores_file(run) for run in COMPARISONS["table2"].runs],
    output:
        scores=BY_TRAIT,
    log:
        log_of("aggregate_by_trait", "{trait}"),
    benchmark:
        benchmark_of("aggregate_by_trait", "{trait}")
    wildcard_constraints:
        trait=alternatives(TRAITS),
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        traits=lambda wildcards: TRAITS[wildcards.trait],
    script:
        "../workflow_scripts/aggregate_by_trait.py"


rule evaluate_claims:
    """The paper's comparative sentences, each tested on this run and on the printed numbers."""
    input:
        scores=lambda wildcards: sorted({path for paths in claims_scores().values() for path in paths}),
        translations=[path for paths in claims_translations().values() for path in paths],
        long=list(claims_measured().values()),
        rankings=list(claims_rankings().values()),
    output:
        claims=report(CLAIMS, caption="../report/claims.rst", category="Claims"),
    log:
        log_of("evaluate_claims"),
    benchmark:
        benchmark_of("evaluate_claims")
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        specs={name: asdict(COMPARISONS[name].spec) for name in claims_scores()},
        scores=claims_scores(),
        translation_spec=TRANSLATION_SPEC and asdict(TRANSLATION_SPEC),
        translations=claims_translations(),
        measured=claims_measured(),
        rankings=claims_rankings(),
        absent=plan.claims_absent(CLAIMABLE, CLAIMED),
        datasets=plan.paper_datasets(CONFIG),
        simulated=[name for name, cohort in CONFIG.cohorts.items() if cohort.simulate],
    script:
        "../workflow_scripts/evaluate_claims.py"


rule aggregate_costs:
    """Table IX: what every pre-training cost, as the trainings measured it."""
    input:
        losses=lambda wildcards: [f"{Path(pretraining_file(*run)).parent}/losses.csv" for run in COSTS[1]],
    output:
        **table_outputs("table9", caption="table9"),
    log:
        log_of("aggregate_costs"),
    benchmark:
        benchmark_of("aggregate_costs")
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        spec=lambda wildcards: asdict(COSTS[0]),
        runs=lambda wildcards: COSTS[1],
    script:
        "../workflow_scripts/aggregate_costs.py"


rule draw_segmentations:
    """Draw two test patients of each cohort with the outlines of ground truth and prediction."""
    input:
        shards=[path for cohort in COHORTS for path in shard_files(cohort)],
        predictions=[predictions_file(run) for run in plan.shown_runs(CONFIG)],
    output:
        picture=report(
            fix(FIGURE, figure="segmentations"),
            caption="../report/segmentations.rst",
            category="Figures",
            labels={"figure": "Segmentations"},
        ),
    log:
        log_of("draw_segmentations"),
    benchmark:
        benchmark_of("draw_segmentations")
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        title=plan.shown_title(CONFIG),
        runs=[drawn_prediction(run) for run in plan.shown_runs(CONFIG)],
    script:
        "../workflow_scripts/draw_segmentations.py"
