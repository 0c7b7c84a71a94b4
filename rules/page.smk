"""Stage 6: one page of the whole run."""


rule report_page:
    """Everything that the configuration's `report` names, every test patient and every QC picture in one HTML file."""
    input:
        tables=lambda wildcards: list(reported_contents().values()),
        pictures=lambda wildcards: list(reported_files("picture").values()),
        claims=lambda wildcards: list(reported_files("claims").values()),
        diagnosis=lambda wildcards: list(reported_files("diagnosis").values()),
        scores=[scores_file(run) for run in CONFIGURED_RUNS],
        predictions=[predictions_file(run) for run in browsed_runs()],
        losses=lambda wildcards: list(reported_losses().values()),
        shards=[path for cohort in COHORTS for path in shard_files(cohort)],
        splits=SPLIT_FILES,
        folders=rules.preprocess_all.input.folders,
        checks=rules.preprocess_all.input.pictures,
        contrasts=rules.preprocess_all.input.contrasts,
        check_page=QC_PAGE,
        methods_text=METHODS_TEXT,
    output:
        page=report(PAGE, caption="../report/page.rst", category="Page"),
        patients=directory(PAGE_PATIENTS),
    log:
        log_of("report_page"),
    benchmark:
        benchmark_of("report_page")
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        page=lambda wildcards: {
            "title": "Multi-ConDoS: results of this run",
            "methods": {
                key: {"label": METHODS[key].label, "group": METHODS[key].group} for key in plan.methods(CONFIG)
            },
            "ratio": max(CONFIG.label_ratios),
            "draws": CONFIG.label_draws,
            "reference": "multi_condos" if "multi_condos" in plan.methods(CONFIG) else None,
            "tables": reported_contents(),
            "pictures": reported_files("picture"),
            "captions": {name: caption(name) for name in reported_files("picture")},
            "claims": next(iter(reported_files("claims").values()), None),
            "diagnosis": next(iter(reported_files("diagnosis").values()), None),
            "pretrainings": DIAGNOSED_METHODS,
            "losses": reported_losses(),
            "methods_text": METHODS_TEXT,
            "absent": [name for name in REPORTABLE if name not in REPORTED],
            # not an input: Snakemake lets no rule depend on a benchmark file; each is there when its job's outputs are
            "benchmarks": BENCHMARKS,
            # without the raw files' paths: a folder may have a person's name, and the page is meant to be shared
            "configuration": CONFIG.model_dump(mode="json", exclude={"cohorts": {"__all__": {"folder", "sheet"}}}),
        },
        cohorts=[page_cohort(cohort) for cohort in COHORTS],
        predictions=lambda wildcards: [
            {
                "cohort": run.cohort,
                "modality": run.modality,
                "method": run.method,
                "ratio": run.ratio,
                "seed": run.seed,
                "path": predictions_file(run),
                **({"fold": run.fold} if run.fold else {}),
            }
            for run in browsed_runs()
        ],
        checks=lambda wildcards: checked_patients(),
    script:
        "../workflow_scripts/report_page.py"


rule write_methods:
    """A paragraph on methods that a paper can use, with the references that it cites."""
    input:
        splits=SPLIT_FILES,
        losses=[path for paths in described_losses().values() for path in paths],
        scores=[scores_file(run) for run in CONFIGURED_RUNS],
    output:
        text=METHODS_TEXT,
        references=REFERENCES,
    log:
        log_of("write_methods"),
    benchmark:
        benchmark_of("write_methods")
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        facts=lambda wildcards: {
            "methods": plan.methods(CONFIG),
            "ratios": [*CONFIG.label_ratios, *CONFIG.full_ratios],
            "seeds": len(CONFIG.seeds),
            "draws": CONFIG.label_draws,
            "filters": CONFIG.filters,
            "pretrainings": described_pretrainings(),
            "pretraining_losses": described_losses(),
            "finetuning": CONFIG.finetuning.model_dump(mode="json"),
        },
        cohorts=lambda wildcards: [described_cohort(cohort) for cohort in COHORTS],
    script:
        "../workflow_scripts/write_methods.py"
