"""Why a pre-training helps or not: a diagnosis of each, from what the workflow has trained anyway (beyond the paper)."""


rule diagnose_pretraining:
    """Test one pre-training: its translations, L_C's task, its features, its shared layers, and what fine-tuning left of it."""
    input:
        models=diagnosed_models,
        shards=lambda wildcards: shard_files(wildcards.cohort),
        split=SPLIT,
        pretrained=CHECKPOINT,
        losses=f"{PRETRAINING}/losses.csv",
    output:
        numbers=DIAGNOSIS,
    log:
        log_of("diagnose_pretraining", OF_PRETRAINING),
    benchmark:
        benchmark_of("diagnose_pretraining", OF_PRETRAINING)
    conda:
        "../envs/translation.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=training_gpus,
        mem_mb=training_memory,
        held_mb=HELD_MB,
        runtime=hours(1),
    params:
        regions=lambda wildcards: CONFIG.cohorts[wildcards.cohort].regions,
        compute=COMPUTE,
    script:
        "../workflow_scripts/diagnose_pretraining.py"


rule aggregate_diagnoses:
    """The numbers of all diagnoses in one CSV, and a page that says in words what they show."""
    input:
        numbers=[of_pretraining(DIAGNOSIS, *names) for names in DIAGNOSED],
    output:
        table=report(
            DIAGNOSES,
            caption="../report/diagnosis.rst",
            category="Diagnosis",
            labels={"format": "CSV"},
        ),
        page=report(
            DIAGNOSES_PAGE,
            caption="../report/diagnosis.rst",
            category="Diagnosis",
            labels={"format": "page"},
        ),
    log:
        log_of("aggregate_diagnoses"),
    benchmark:
        benchmark_of("aggregate_diagnoses")
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        methods=DIAGNOSED_METHODS,
        cohorts={name: cohort.title or name for name, cohort in CONFIG.cohorts.items()},
        simulated=[name for name, cohort in CONFIG.cohorts.items() if cohort.simulate],
    script:
        "../workflow_scripts/aggregate_diagnoses.py"
